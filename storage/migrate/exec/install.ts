/**
 * Storing the queries of a build, all or none.
 *
 * @module
 */
import type postgres from "postgres";
import type { ExecDef, TableDef } from "../../../_internal/manifest.ts";
import type { ShapeTable } from "../../../_internal/shape.ts";
import { KontractError } from "../../../_internal/errors.ts";
import { OWNER_ROLE } from "../definer.ts";
import { checkExecs } from "./check.ts";

/**
 * Checks and stores them; `tx` acts as the owner before and after. A query that is gone from the source stays for a
 * day, since servers of the last build may still send its id.
 *
 * @throws {KontractError} `MIGRATION_REFUSED` with every query that cannot be used
 */
export async function installExecs(
  tx: postgres.TransactionSql,
  execs: readonly ExecDef[],
  tables: readonly TableDef[],
  types: ShapeTable,
): Promise<void> {
  await tx.unsafe("reset role");
  const { checked, problems } = await checkExecs(tx, execs, tables, types);
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  const [first] = problems;
  if (first !== undefined) {
    throw new KontractError(
      "MIGRATION_REFUSED",
      problems.map(({ message }) => message).join("\n"),
      { data: { file: first.file, line: first.line, problems } },
    );
  }
  for (const { id, body, tables } of checked) {
    await tx`insert into kontract_private.execs (id, body, tables)
      values (${id}, ${body}, ${JSON.stringify(tables)}::text::jsonb)
      on conflict (id) do update set body = excluded.body, tables = excluded.tables, declared_at = now()`;
  }
  await tx`delete from kontract_private.execs where declared_at < now() - interval '1 day'`;
}

/** What is stored as one word: another one means that somebody changed something. As the owner. */
export async function execsDigest(tx: postgres.TransactionSql): Promise<string> {
  const [row] = await tx`
    select md5(coalesce(string_agg(concat_ws(chr(10), x.id, x.body, x.tables), chr(10) order by x.id), ''))
           as digest from kontract_private.execs x`;
  return String(row!.digest);
}
