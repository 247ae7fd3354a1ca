/**
 * Queries whose plans a connection keeps: in `main`, the very text that `kontract.exec` would make of a query is
 * the body of two functions, since planning a text per call costs some ten times as much as a search by key.
 *
 * They belong to the role that queries run as (`role.sql.ts`) and may do no more than the text. They are used
 * where every table stands as it stood when they were made and the call has written nothing there; else the text is
 * made and planned per call, as it is for tenants and for a build before. Their names say what text is theirs: a
 * call sees the tables as its statement found them, functions as they are at the moment, and a migration may end
 * between the two. Those of before a migration stay until the next one for the same reason. Where some table is large PostgreSQL
 * decides, after five plans for what the parameters were, whether one for any parameters is as good. Where all are
 * small any plan will do that stays good when they grow: one that keeps to indexes.
 *
 * A plan takes a connection some 100 kB, so no more than {@link KEPT_EXECS} queries of a build have one.
 *
 * @module
 */
import type postgres from "postgres";
import type { ExecDef } from "../../../_internal/manifest.ts";
import { EXEC_ROLE, EXEC_SCHEMA, HELPER, literal, OWNER_ROLE } from "../definer.ts";
import { tableKey } from "../../table_key.ts";
import { DEFAULT_TENANT } from "../../tenant_name.ts";
import { execFunction } from "./role.sql.ts";

/** Queries of a build that have functions of their own, from its first on. */
export const KEPT_EXECS = 64;

/** Bytes up to which a table is small. */
const SMALL = 64 * 8192;

/** Name and clauses of each of the two. */
const KINDS = [
  ["small", "set plan_cache_mode = force_generic_plan set enable_seqscan = off"],
  ["large", "set plan_cache_mode = auto"],
] as const;

const PARAMETERS = "p_snap pg_snapshot, p_params jsonb";
const TYPES = "(pg_snapshot, jsonb)";

/** A query with what its text was made from. */
interface Kept {
  readonly id: string;
  /** Of both functions, after the kind. */
  readonly name: string;
  readonly text: string;
  readonly places: Readonly<Record<string, readonly [ptr: string, ...unknown[]]>>;
}

/** For the owner; `installKept` replaces the dispatcher. */
export const KEPT_FUNCTIONS: readonly string[] = [
  // Null where a table is not there or a field needs a grant.
  `create or replace function kontract_private.exec_places(p_tables jsonb) returns jsonb
   language plpgsql stable ${HELPER} as $f$
   declare places jsonb;
   begin
     select jsonb_object_agg(st.id, jsonb_build_array(st.ptr, st.fields, st.bits, st.lazy)) into places
       from storage st where st.owner = ${literal(DEFAULT_TENANT)} and p_tables ? st.id;
     if (select count(*) from jsonb_object_keys(places)) <> (select count(*) from jsonb_object_keys(p_tables)) then
       return null;
     end if;
     perform exec_text(p_tables, '', places, null, null);
     return places;
   exception when insufficient_privilege then
     return null;
   end $f$`,
  dispatcher([]),
];

/** Makes the functions of these queries and no others. As the owner before and after. */
export async function installKept(
  tx: postgres.TransactionSql,
  execs: readonly ExecDef[],
): Promise<void> {
  const ids = [...new Set(execs.map(({ id }) => id))].filter((id) => /^[0-9a-f]+$/.test(id));
  const rows = await tx<Omit<Kept, "name">[]>`
    select x.id, p.places, kontract_private.exec_text(x.tables, x.body, p.places, null, null) as text
      from kontract_private.execs x cross join lateral (
             select kontract_private.exec_places(x.tables) as places) p
     where x.id in ${tx(["", ...ids.slice(0, KEPT_EXECS)])} and p.places is not null order by x.id`;
  const wanted = rows.map((row) => ({ ...row, name: `${row.id}_${tableKey(row.text)}` }));
  const before = await tx`select kept_as from kontract_private.execs where kept_as is not null`;
  await tx.unsafe(
    `grant create on schema ${EXEC_SCHEMA} to ${EXEC_ROLE}; set local role ${EXEC_ROLE}`,
  )
    .simple();
  const made: Kept[] = [];
  for (const kept of wanted) if (await make(tx, kept)) made.push(kept);
  const stay = [...made.map(({ name }) => name), ...before.map((row) => String(row.kept_as))];
  const names = stay.flatMap((name) => KINDS.map(([kind]) => `${kind}_${name}`));
  const left = await tx`
    select p.oid::regprocedure::text as name from pg_proc p
     where p.pronamespace = ${EXEC_SCHEMA}::regnamespace and p.proname ~ '^(small|large)_'
       and p.proname not in ${tx(["", ...names])}`;
  for (const { name } of left) await tx.unsafe(`drop function ${name}`);
  await tx.unsafe(
    `set local role ${OWNER_ROLE}; revoke create on schema ${EXEC_SCHEMA} from ${EXEC_ROLE}`,
  )
    .simple();
  await tx.unsafe(dispatcher(made));
  await tx`update kontract_private.execs set kept = null, kept_as = null where kept is not null`;
  for (const { id, places, name } of made) {
    await tx`update kontract_private.execs
        set kept = ${JSON.stringify(places)}::text::jsonb, kept_as = ${name} where id = ${id}`;
  }
}

/** False where the text cannot be part of a function: PL/pgSQL has rules of its own. As the role of queries. */
async function make(tx: postgres.TransactionSql, { name: of, text }: Kept): Promise<boolean> {
  try {
    await tx.savepoint(async (inner) => {
      for (const [kind, clauses] of KINDS) {
        const name = `${EXEC_SCHEMA}.${kind}_${of}`;
        await inner.unsafe(execFunction(name, PARAMETERS, `rows := (${text});`, clauses));
        await inner.unsafe(`revoke all on function ${name}${TYPES} from public`);
        await inner.unsafe(`grant execute on function ${name}${TYPES} to ${OWNER_ROLE}`);
      }
    });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === "42601") return false;
    throw error;
  }
}

/** Calls a function by its name, or gives null: text made per call would be planned per call. */
function dispatcher(made: readonly Kept[]): string {
  const cases = made.map(({ name, places }) => {
    const sizes = Object.values(places).map(([ptr]) =>
      `pg_relation_size(${literal(`kontract_private.${ptr}`)}::regclass)`
    );
    return `when ${literal(name)} then
         if greatest(${sizes.join(", ")}) <= ${SMALL} then
           return ${EXEC_SCHEMA}.small_${name}(p_snap, p_params);
         end if;
         return ${EXEC_SCHEMA}.large_${name}(p_snap, p_params);`;
  });
  return `create or replace function kontract_private.exec_kept(p_name text, ${PARAMETERS}) returns json
   language plpgsql stable ${HELPER} as $f$
   begin
     ${cases.length === 0 ? "" : `case p_name ${cases.join("\n")} else null; end case;`}
     return null;
   end $f$`;
}
