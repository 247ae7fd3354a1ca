/**
 * CHECK constraints of data tables: PostgreSQL's own guard against writers that are not a commit.
 *
 * They hold for live versions only and are never validated against old ones: a row from before must stay
 * closable, or it could never be updated or deleted. Adding or dropping one is a matter of the catalog,
 * under a lock that is tried for briefly and given up, so that nobody queues behind a long transaction.
 *
 * @module
 */
import type postgres from "postgres";
import type { TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { tableKey } from "../table_key.ts";
import { HELPER, identifier, OWNER_ROLE } from "./definer.ts";
import type { Statements } from "./statements.ts";
import { columnCheck } from "./value_check.ts";

/**
 * The check a table should have. The server reads the text of a check anew in every statement that
 * writes, so the text is a call, and what it calls is planned once per connection. A commit asks the same
 * function first, so that it can say which row it was; in one transaction the second call costs little.
 */
export interface TableCheck {
  readonly name: string;
  readonly text: string;
  /** Name of the function that the text calls, of a key and a row, in the private schema. */
  readonly call: string;
  /** Creates it. */
  readonly helper: string;
}

const ATTEMPTS = 20;
const LOCK_TIMEOUT = "250ms";

/** The check for a declaration. */
export function tableCheck(
  table: TableDef,
  types: ShapeTable,
  lazy: Readonly<Record<string, unknown>>,
): TableCheck {
  const body = columnCheck(table, types, lazy);
  const name = `shape_${tableKey(body).slice(0, 12)}`;
  return {
    name,
    call: `kontract_private.${name}`,
    text: `_deleted_txid is not null or kontract_private.${name}(id, data)`,
    helper:
      `create or replace function kontract_private.${name}(id text, data jsonb) returns boolean
      language plpgsql immutable ${HELPER} as $f$ begin return (${body}) is true; end $f$`,
  };
}

/** Adds a check to a table. */
export function addCheckText(ptr: string, { name, text }: TableCheck): string {
  return `alter table kontract_private.${identifier(ptr)}
    add constraint ${identifier(name)} check (${text}) not valid`;
}

/** Drops the functions of checks that are gone; those that `storage` or a template names are called. */
export async function dropOtherHelpers(sql: Statements): Promise<void> {
  const rows = await sql.unsafe(`
    select p.oid::regprocedure::text as signature from pg_proc p
     where p.pronamespace = 'kontract_private'::regnamespace and p.proname like 'shape\\_%'
       and not exists (select 1 from pg_depend d where d.refclassid = 'pg_proc'::regclass
                          and d.refobjid = p.oid and d.classid = 'pg_constraint'::regclass)
       and not exists (select 1 from kontract.storage st where st.shape = p.proname)
       and not exists (select 1 from kontract_private.templates t where t.entry->>'shape' = p.proname)`);
  for (const row of rows) await sql.unsafe(`drop function if exists ${row.signature}`);
}

/** Drops checks of other declarations. True where none is left. */
export async function dropOtherChecks(
  sql: postgres.Sql,
  ptr: string,
  keep: string,
): Promise<boolean> {
  for (const name of await checksOf(sql, ptr)) {
    if (name === keep) continue;
    const text = `drop constraint if exists ${identifier(name)}`;
    if (!(await alterBriefly(sql, ptr, text))) return false;
  }
  return true;
}

/** Adds the check where it is missing. True where it is there. */
export async function addCheck(
  sql: postgres.Sql,
  ptr: string,
  check: TableCheck,
): Promise<boolean> {
  if ((await checksOf(sql, ptr)).includes(check.name)) return true;
  return await alterBriefly(
    sql,
    ptr,
    `add constraint ${identifier(check.name)} check (${check.text}) not valid`,
    check.helper,
  );
}

async function checksOf(sql: Statements, ptr: string): Promise<readonly string[]> {
  const rows = await sql`
    select conname as name from pg_constraint
     where conrelid = to_regclass(${`kontract_private.${identifier(ptr)}`})
       and contype = 'c' and conname like 'shape\\_%'`;
  return rows.map((row) => String(row.name));
}

async function alterBriefly(
  sql: postgres.Sql,
  ptr: string,
  what: string,
  before?: string,
): Promise<boolean> {
  for (let attempt = 1;; attempt++) {
    try {
      await sql.begin(async (tx) => {
        await tx.unsafe(`set local role ${OWNER_ROLE}`);
        await tx.unsafe(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
        if (before !== undefined) await tx.unsafe(before);
        await tx.unsafe(`alter table kontract_private.${identifier(ptr)} ${what}`);
      });
      return true;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "55P03") throw error;
      if (attempt >= ATTEMPTS) return false;
      await new Promise((resolve) => setTimeout(resolve, 25 * attempt));
    }
  }
}
