/**
 * Which cluster and database this is. Transaction ids mean something in one cluster only, so data that
 * were restored into another one must be rebased before they are used.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { identifier, OWNER_ROLE } from "./definer.ts";
import type { Statements } from "./statements.ts";

/** Name of the note in `meta`. */
export const IDENTITY_NOTE = "system";

/** Cluster and database as one word; the cluster is unknown where a provider hides it. */
export async function databaseIdentity(sql: Statements): Promise<string> {
  const [row] = await sql`
    select oid::text as oid, has_function_privilege('pg_control_system()', 'execute') as may
      from pg_database where datname = current_database()`;
  if (row!.may !== true) return `unknown.${row!.oid}`;
  const [cluster] = await sql`select system_identifier::text as id from pg_control_system()`;
  return `${cluster!.id}.${row!.oid}`;
}

/** True where `noted`, by an earlier migration, means the database of `now`; nothing noted is no other. */
export function sameDatabase(noted: string | undefined, now: string): boolean {
  if (noted === undefined) return true;
  const [[cluster, database], [ours, oid]] = [noted.split("."), now.split(".")];
  return database === oid && (cluster === ours || cluster === "unknown" || ours === "unknown");
}

/** Why a rebase is needed, or null. `noted` is what the last migration wrote down. As the owner. */
export async function rebaseReason(
  sql: Statements,
  noted: string | undefined,
): Promise<string | null> {
  if (!sameDatabase(noted, await databaseIdentity(sql))) {
    return "the data were restored into another database than the one they come from";
  }
  const tables = await sql`select id, ptr from kontract.storage order by owner, id`;
  for (const { id, ptr } of tables) {
    const name = `kontract_private.${identifier(String(ptr))}`;
    const [row] = await sql.unsafe(
      `select coalesce(greatest((select max(_txid::text::numeric) from (select _txid from ${name}
                 order by _txid desc limit 1) m),
              (select max(_deleted_txid::text::numeric) from (select _deleted_txid from ${name}
                 where _deleted_txid is not null order by _deleted_txid desc limit 1) m)), 0)
              >= pg_snapshot_xmax(pg_current_snapshot())::text::numeric as future`,
    );
    if (row?.future === true) {
      return `table '${id}' has rows from the future of this cluster: the data come from another one`;
    }
  }
  return null;
}

/** True where Kontract's tables are here but belong to somebody else: a restore without roles. */
export async function isDisowned(sql: Statements): Promise<boolean> {
  const rows = await sql`
    select pg_get_userbyid(c.relowner) <> ${OWNER_ROLE} as other
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where (n.nspname, c.relname) in (('kontract', 'storage'), ('kontract_private', 'meta'))`;
  return rows.length === 2 && rows.some(({ other }) => other === true);
}

/** The refusal to touch restored data. */
export function needsRebase(reason: string): KontractError {
  return new KontractError(
    "MIGRATION_REFUSED",
    `Transaction ids do not belong to this server: ${reason}. Run 'kontract migrate rebase' first.`,
  );
}
