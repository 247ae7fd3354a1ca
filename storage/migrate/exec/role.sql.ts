/**
 * The role that stored queries run as, and all it can reach: one view per data table that some query names,
 * whose rows it gives for the session that `kontract.exec` is running for and refuses for anybody else's tables. What the judgement of a
 * text (`check.ts`) should miss is then refused by PostgreSQL: the role has no right on sessions, effects, keys,
 * data tables or Kontract's functions.
 *
 * Which session that is stands in a setting, as the hash of its id. A text that sets it to something else needs
 * the hash of another live session, which it can read nowhere. The views are no security barriers, so that the
 * indexes of the tables serve the queries: they keep apart what a query may name, not what it may compare.
 *
 * @module
 */
import type postgres from "postgres";
import { STORAGE_LIMITS } from "../../limits.ts";
import { tableKey } from "../../table_key.ts";
import { EXEC_ROLE, EXEC_SCHEMA, HELPER, literal, OWNER_ROLE } from "../definer.ts";
import { ALIVE } from "../read.sql.ts";

/** Bytes of JSON that one query may give. */
const RESULT_BYTES = 16 * 1024 * 1024;

/** The setting that says for whom a query runs. */
export const EXEC_SESSION = "kontract.exec";

/** Live and closed versions each have an index by key, none has both. */
const VIEW = `
       select u.id, u.data, u._txid, u._deleted_txid from (
         select v.id, v.data, v._txid, v._deleted_txid, v._owner from kontract_private.%1$I v
          where v._deleted_txid is null
         union all
         select v.id, v.data, v._txid, v._deleted_txid, v._owner from kontract_private.%1$I v
          where v._deleted_txid is not null) u where %2$s`;

/** The comment of each view, by which one that a build before made is known. */
const VIEW_VERSION = `kontract ${tableKey(VIEW)}`;

/** Functions of the owner, in order of dependence. */
export const EXEC_ROLE_FUNCTIONS: readonly string[] = [
  // Asked by every view once per query: the owner of the session, where the table is its tenant's.
  `create or replace function kontract_private.exec_owner(p_ptr text) returns text
   language plpgsql stable security definer ${HELPER} as $f$
   declare v_sid bytea := decode(current_setting('${EXEC_SESSION}', true), 'hex'); v_owner text;
   begin
     select x.owner into v_owner from trxs x join storage st on st.owner = x.tenant and st.ptr = p_ptr
      where ${ALIVE} and st.permissions & 4 = 4;
     if not found then
       select x.owner into v_owner
         from trxs x join storage st on st.owner = x.tenant and st.retired->>'ptr' = p_ptr
        where ${ALIVE} and (st.retired->>'permissions')::int & 4 = 4;
       if not found then raise exception 'table' using errcode = '42501'; end if;
     end if;
     return v_owner;
   end $f$`,
  "revoke all on function kontract_private.exec_owner(text) from public",
  `grant execute on function kontract_private.exec_owner(text) to ${EXEC_ROLE}`,

  // The view of one data table, in place of one of another version.
  `create or replace function kontract_private.exec_show(p_ptr text, p_owned boolean) returns void
   language plpgsql volatile ${HELPER} as $f$
   begin
     execute format('drop view if exists ${EXEC_SCHEMA}.%I', p_ptr);
     execute format('create view ${EXEC_SCHEMA}.%1$I as ${VIEW}', p_ptr,
       format(case when p_owned then 'u._owner = (select kontract_private.exec_owner(%L))'
                   else '(select kontract_private.exec_owner(%L)) is not null' end, p_ptr));
     execute format('comment on view ${EXEC_SCHEMA}.%I is %L', p_ptr, ${literal(VIEW_VERSION)});
     execute format('grant select on ${EXEC_SCHEMA}.%I to ${EXEC_ROLE}', p_ptr);
   end $f$`,
];

/** A function of the role's, where only PostgreSQL's own names are known. STABLE: PostgreSQL refuses a text that writes. */
export function execFunction(
  name: string,
  parameters: string,
  work: string,
  clauses: string = "",
): string {
  return `create or replace function ${name}(${parameters})
   returns json language plpgsql stable security definer set search_path = pg_catalog, pg_temp
   set timezone = 'UTC' set standard_conforming_strings = on ${clauses} as ${
    literal(`
   #variable_conflict use_column
   declare rows json;
   begin
     ${work}
     if json_array_length(rows) > ${STORAGE_LIMITS.queryRows} or octet_length(rows::text) > ${RESULT_BYTES} then
       raise exception 'rows' using errcode = '54000';
     end if;
     return rows;
   end `)
  }`;
}

/** Runs a text. */
export const RUN_FUNCTION: string = execFunction(
  `${EXEC_SCHEMA}.run`,
  "p_text text, p_snap pg_snapshot, p_params jsonb, p_writes jsonb",
  "execute p_text into rows using p_snap, p_params, p_writes;",
);

/** Makes what runs a text the role's own, where it is missing. As the owner before and after. */
export async function installRun(tx: postgres.TransactionSql): Promise<void> {
  const run = `${EXEC_SCHEMA}.run(text, pg_snapshot, jsonb, jsonb)`;
  await tx.unsafe(`grant usage on schema ${EXEC_SCHEMA} to ${EXEC_ROLE}`);
  const [found] = await tx`select to_regprocedure(${run}) is not null as yes`;
  if (found!.yes === true) return;
  for (
    const statement of [
      `grant create on schema ${EXEC_SCHEMA} to ${EXEC_ROLE}`,
      `set local role ${EXEC_ROLE}`,
      RUN_FUNCTION,
      `revoke all on function ${run} from public`,
      `grant execute on function ${run} to ${OWNER_ROLE}`,
      `set local role ${OWNER_ROLE}`,
      `revoke create on schema ${EXEC_SCHEMA} from ${EXEC_ROLE}`,
    ]
  ) await tx.unsafe(statement);
}

/**
 * Makes the views that a tenant's tables lack where a query names them, whose rights are lost or which are another
 * version's. As the owner.
 */
export async function showTables(tx: postgres.TransactionSql, tenant: string): Promise<void> {
  await tx`
    select kontract_private.exec_show(p.ptr, p.owned)
      from kontract.storage st cross join lateral (values
             (st.ptr, st.owned), (st.retired->>'ptr', (st.retired->>'owned')::boolean)) p(ptr, owned)
     where st.owner = ${tenant} and p.ptr is not null
       and exists (select 1 from kontract_private.execs x where x.tables ? st.id)
       and (has_table_privilege(${EXEC_ROLE}, to_regclass(${`${EXEC_SCHEMA}.`} || p.ptr), 'select') is not true
         or obj_description(to_regclass(${`${EXEC_SCHEMA}.`} || p.ptr), 'pg_class') is distinct from ${VIEW_VERSION})`;
}
