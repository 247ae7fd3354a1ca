/**
 * How a tenant's tables are made: DDL and the row of `storage` for each declared table, stored by the
 * migration so that `make_tenant` needs neither this build nor anybody's text.
 *
 * @module
 */
import type postgres from "postgres";
import { addCheckTexts, tableCheck } from "./checks.ts";
import { describeTable, fieldSet } from "./data_tables.ts";
import { followGroups, USERS } from "./groups.ts";
import { createIndexText, indexNames, wantedIndexes } from "./indexes.ts";
import type { StoredDef } from "./plan.ts";
import { createTable } from "./table.sql.ts";
import { TEMPLATE_PTR } from "./tenants.sql.ts";

/** Replaces all templates by those of these tables. As the owner. */
export async function writeTemplates(
  sql: postgres.TransactionSql,
  defs: readonly StoredDef[],
): Promise<void> {
  await sql`delete from kontract_private.templates`;
  for (const def of defs) await writeTemplate(sql, def);
}

/** Writes the template of one table. As the owner, where the expressions of this build are installed. */
async function writeTemplate(sql: postgres.TransactionSql, def: StoredDef): Promise<void> {
  const { table, types } = def;
  const wanted = await wantedIndexes(
    sql,
    table,
    types,
    { ptr: TEMPLATE_PTR, lazy: {} },
    "installed",
  );
  const check = tableCheck(table, types, {});
  await sql.unsafe(check.helper);
  const ddl = [
    ...createTable(TEMPLATE_PTR, table.rows === "owner"),
    ...wanted.map((index) => createIndexText(TEMPLATE_PTR, index, "in transaction")),
    ...addCheckTexts(TEMPLATE_PTR, check),
    ...(table.name === USERS ? followGroups(TEMPLATE_PTR) : []),
  ];
  await sql`insert into kontract_private.templates (id, ddl, entry)
    values (${table.name}, ${JSON.stringify(ddl)}::text::jsonb,
            ${JSON.stringify(templateEntry(def, indexNames(wanted)))}::text::jsonb)`;
}

/** The columns of `storage` that all tenants' new tables share. */
export function templateEntry(
  { table, types }: StoredDef,
  indexes: Readonly<Record<string, readonly string[]>>,
): Readonly<Record<string, unknown>> {
  const { key, owned, bits, lazy, defaults } = describeTable(table, types, {
    ptr: TEMPLATE_PTR,
    lazy: {},
    swap: null,
  });
  return {
    key,
    permissions: table.perm,
    owned,
    fields: fieldSet(table, types),
    bits,
    lazy,
    defaults,
    indexes,
    def: { table, types },
  };
}
