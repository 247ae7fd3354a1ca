/**
 * The functions written out for one table of the default tenant.
 *
 * @module
 */
import { applyFunction } from "./commit.sql.ts";
import { literal } from "./definer.ts";
import { putFunction } from "./put.sql.ts";
import { readFunctions, type TableSql } from "./read.sql.ts";

/** Statements that create them, or replace them by today's. */
export function tableFunctions(table: TableSql, tenant: string): readonly string[] {
  return [
    ...readFunctions(table),
    applyFunction(table),
    putFunction(table, tenant),
    `select kontract_private.make_dispatcher(${literal(tenant)})`,
  ];
}
