/**
 * Which statement reads rows by key, and what follows the parameters that every read has: the table's own
 * function for `main`, the one that serves all tables for other tenants.
 *
 * @module
 */
import type { SqlParam } from "./database.ts";
import { tableKey } from "./table_key.ts";
import { DEFAULT_TENANT } from "./tenant_name.ts";

/** A registered statement and the end of its parameters. */
export type ReadStatement = readonly [name: string, rest: readonly SqlParam[]];

/** Reads one row. */
export function getStatement(tenant: string, table: string, id: string): ReadStatement {
  return tenant === DEFAULT_TENANT ? [`get:${tableKey(table)}`, [id]] : ["tenant:get", [table, id]];
}

/** Reads some rows. */
export function getManyStatement(
  tenant: string,
  table: string,
  ids: readonly string[],
): ReadStatement {
  const list = JSON.stringify(ids);
  return tenant === DEFAULT_TENANT
    ? [`get_many:${tableKey(table)}`, [list]]
    : ["tenant:get_many", [table, list]];
}
