/**
 * Tables without a row, of which a migration may make anything: until the first row comes.
 *
 * @module
 */
import type postgres from "postgres";
import type { TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { KontractError } from "../../_internal/errors.ts";
import { describeApplied, type StoredTable } from "./applied.ts";
import type { Prepared } from "./data_tables.ts";
import type { Changes } from "./migration.ts";
import { defHash } from "./plan.ts";

/**
 * Tables that change and have no row, so that anything may become of them. It is for the holder of their locks to
 * say so: the first row may be under way.
 */
export async function emptyTables(
  sql: postgres.TransactionSql,
  stored: readonly StoredTable[],
  { tables, types }: { readonly tables: readonly TableDef[]; readonly types: ShapeTable },
  { changes, rebuilds, unchanged }: Prepared,
): Promise<readonly StoredTable[]> {
  const empty: StoredTable[] = [];
  for (const table of tables) {
    if (unchanged.has(table.name) || rebuilds.has(table.name)) continue;
    const name = changes.renames.get(table.name) ?? table.name;
    const row = stored.find(({ id }) => id === name);
    if (row === undefined) continue;
    const same = defHash(row.def) === defHash({ table, types });
    if (same && !changes.transforms.has(table.name)) continue;
    if ((await describeApplied(sql, row)).empty) empty.push(row);
  }
  return empty;
}

/** Rows that no file has changed: nothing was copied of a table that had none. With the locks held. */
export async function refuseNewRows(
  sql: postgres.TransactionSql,
  empty: readonly StoredTable[],
  { transforms, renames }: Changes,
): Promise<void> {
  const before = (name: string): string => renames.get(name) ?? name;
  const changed = new Set([...transforms.keys()].map(before));
  for (const row of empty) {
    if (!changed.has(row.id) || (await describeApplied(sql, row)).empty) continue;
    throw new KontractError(
      "CONFLICT",
      `The first rows of table '${row.id}' were written meanwhile: run the migration again.`,
      { data: { table: row.id } },
    );
  }
}
