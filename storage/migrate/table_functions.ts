/**
 * The functions written out for one table of the default tenant.
 *
 * @module
 */
import { changesFunction } from "./changes.sql.ts";
import { applyFunction } from "./commit.sql.ts";
import { literal } from "./definer.ts";
import { groupFunctions } from "./group.sql.ts";
import { putFunction } from "./put.sql.ts";
import { PUT_MANY_PARAMETERS, putManyByCommit, putManyFunction } from "./put_many.sql.ts";
import { readFunctions, type TableSql } from "./read.sql.ts";

/** Statements that create them, or replace them by today's. */
export function tableFunctions(table: TableSql, tenant: string): readonly string[] {
  const many = Object.keys(table.bits).length === 0 && !table.unique;
  return [
    table.check.helper,
    ...readFunctions(table, tenant),
    changesFunction(table),
    applyFunction(table),
    putFunction(table, tenant),
    // One of a build before had other parameters.
    `do $do$ declare f regprocedure; begin
       for f in select p.oid from pg_proc p where p.proname = ${
      literal(`put_many_${table.key}`)
    } and p.pronamespace = 'kontract'::regnamespace and p.pronargs <> ${PUT_MANY_PARAMETERS} loop
         execute format('drop function %s', f);
       end loop; end $do$`,
    many ? putManyFunction(table, tenant) : putManyByCommit(table, tenant),
    ...groupFunctions(table, tenant),
    `select kontract_private.make_dispatcher(${literal(tenant)})`,
  ];
}
