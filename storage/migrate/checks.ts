/**
 * Checks of data tables: PostgreSQL's own guard, for commits and for writers that are none.
 *
 * Each is a trigger, since the server reads the text of a CHECK constraint and plans it anew in every
 * statement that writes, while a trigger's function is planned once per connection; and it can say which
 * row it was. It holds for live versions only and is never asked of old ones: a row from before must stay
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
import { triggerCheck } from "./value_check.ts";

/** The check a table should have; tables of one shape share its function. */
export interface TableCheck {
  /** Name of the trigger, and of its function in the private schema. */
  readonly name: string;
  /** Creates the function. */
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
  return checkOf(triggerCheck(table, types, lazy));
}

function checkOf(body: string): TableCheck {
  const name = `shape_${tableKey(body).slice(0, 12)}`;
  return {
    name,
    helper: `create or replace function kontract_private.${name}() returns trigger
      language plpgsql ${HELPER} as $f$
      begin
        -- By itself: setting up what is asked of a live version costs more than asking it.
        if new._deleted_txid is not null then return new; end if;
        if (${body}) is not true then
          raise exception 'value' using errcode = '23514', detail = json_build_object('key', new.id,
            'table', (select st.id from storage st where st.ptr = tg_table_name))::text;
        end if;
        return new;
      end $f$`,
  };
}

/** Adds a check to a table. */
export function addCheckTexts(ptr: string, { name }: TableCheck): readonly string[] {
  const table = `kontract_private.${identifier(ptr)}`;
  return [
    `create or replace trigger ${identifier(name)} before insert or update
    on ${table} for each row execute function kontract_private.${name}()`,
    alwaysFires(table, name),
  ];
}

/**
 * A trigger fires under `session_replication_role = replica` as well: a setting that an import left on a role
 * or a database would switch the guard off without a word, and a CHECK constraint holds there, too.
 */
export function alwaysFires(table: string, trigger: string): string {
  return `alter table ${table} enable always trigger ${identifier(trigger)}`;
}

/** Functions of checks that are not what their name says, which is a hash of what they ask. */
export async function forgedChecks(sql: Statements): Promise<readonly string[]> {
  const rows = await sql`
    select p.proname as name, p.prosrc as text from pg_proc p
     where p.pronamespace = 'kontract_private'::regnamespace and p.proname like 'shape\\_%'`;
  return rows.map(({ name, text }) => ({ name: String(name), text: String(text) }))
    .filter(({ name, text }) => {
      const body =
        /_deleted_txid is not null then return new; end if;\s*if \(([^]*)\) is not true then/.exec(
          text,
        )?.[1];
      if (body === undefined) return true;
      const check = checkOf(body);
      return check.name !== name || !check.helper.includes(text);
    }).map(({ name }) => name);
}

/** Drops the functions of checks that are gone; those that a template names will be called. */
export async function dropOtherHelpers(sql: Statements): Promise<void> {
  const rows = await sql.unsafe(`
    select p.oid::regprocedure::text as signature from pg_proc p
     where p.pronamespace = 'kontract_private'::regnamespace and p.proname like 'shape\\_%'
       and not exists (select 1 from pg_depend d where d.refclassid = 'pg_proc'::regclass
                          and d.refobjid = p.oid and d.classid = 'pg_trigger'::regclass)
       and not exists (select 1 from kontract_private.templates t
                        where strpos(t.ddl::text, p.proname || '()') > 0)`);
  for (const row of rows) await sql.unsafe(`drop function if exists ${row.signature}`);
}

/** Drops checks of other declarations. True where none is left. */
export async function dropOtherChecks(
  sql: postgres.Sql,
  ptr: string,
  keep: string,
): Promise<boolean> {
  for (const name of (await checksOf(sql, ptr)).keys()) {
    if (name === keep) continue;
    const text = `drop trigger if exists ${identifier(name)} on kontract_private.${
      identifier(ptr)
    }`;
    if (!(await alterBriefly(sql, [text]))) return false;
  }
  return true;
}

/** Adds the check where it is missing or does not always fire. True where it is there. */
export async function addCheck(
  sql: postgres.Sql,
  ptr: string,
  check: TableCheck,
): Promise<boolean> {
  if ((await checksOf(sql, ptr)).get(check.name) === true) return true;
  return await alterBriefly(sql, [check.helper, ...addCheckTexts(ptr, check)]);
}

/** The checks a physical table has, by name: false where one does not always fire. */
export async function checksOf(
  sql: Statements,
  ptr: string,
): Promise<ReadonlyMap<string, boolean>> {
  const rows = await sql`
    select tgname as name, tgenabled = 'A' as fires from pg_trigger
     where tgrelid = to_regclass(${`kontract_private.${identifier(ptr)}`})
       and tgname like 'shape\\_%'`;
  return new Map(rows.map(({ name, fires }) => [String(name), fires === true]));
}

async function alterBriefly(sql: postgres.Sql, statements: readonly string[]): Promise<boolean> {
  for (let attempt = 1;; attempt++) {
    try {
      await sql.begin(async (tx) => {
        await tx.unsafe(`set local role ${OWNER_ROLE}`);
        await tx.unsafe(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
        for (const statement of statements) await tx.unsafe(statement);
      });
      return true;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "55P03") throw error;
      if (attempt >= ATTEMPTS) return false;
      await new Promise((resolve) => setTimeout(resolve, 25 * attempt));
    }
  }
}
