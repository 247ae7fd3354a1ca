/**
 * The commit of some rows of one table of a tenant beside `main`: as `put_many_<key>` (see `put_many.sql.ts`), for
 * any table, with text made from its physical name. What has deletes, keys that were only read or values that must
 * be unique, and whatever is refused, is left to the steps of `commit`.
 *
 * @module
 */
import { INSIST, KNOWN_SESSION, staleSnapshot } from "./commit.sql.ts";
import { DEFINER_MANY } from "./definer.ts";
import { keyLock, tableLock } from "./lock_keys.ts";
import { readsOf, writesOf } from "./put_many.sql.ts";
import { ALIVE_SID, INCARNATION } from "./read.sql.ts";
import { keepVersions } from "./table.sql.ts";
import { UNIQUE } from "./tenant_put.sql.ts";

const TABLE_LOCK = `pg_advisory_xact_lock_shared(${tableLock("p_tenant", "p_table")}) is null`;
const KEY = keyLock("p_tenant", "p_table", "k.id");
const NEED = "(case when p_seen is null then 2 else 6 end)";

/** In `format`: the table, and the condition for rows of the owner. */
const TABLE = "kontract_private.%1$I";

/** What is there. Each text is planned per call, so there is no more in it than a search. */
const FIND = `
  select array_agg(u.ctid), array_agg(u.id), array_agg(u._txid) from ${TABLE} u
   where u.id = any ($1) and u._deleted_txid is null%2$s`;

/** Whether that is what the call has seen, and no younger than a transaction whose effect is recorded. */
const FINE = `
  (select bool_and((k.seen is null or coalesce(f.txid, '0') = k.seen)
                   and (p_lane is null or (f.txid <= pg_current_xact_id()) is not false))
     from unnest(p_keys, p_seen) k(id, seen) left join unnest(v_ids, v_txids) f(id, txid) on f.id = k.id)`;

const CHANGE = `
  with kept as (${keepVersions(TABLE, "u.ctid = any ($3)")})
  update ${TABLE} u set data = $2[array_position($1, u.id)], _txid = pg_current_xact_id()
   where u.ctid = any ($3)`;

/** Puts in those that are not there. */
const INSERT = `
  insert into ${TABLE} (id, data, _owner, _order)
    select k.id, k.data, $3, nextval('kontract_private.%1$s_seq')
      from (select * from unnest($1, $2) with ordinality k(id, data, n)
             where not exists (select 1 from ${TABLE} u
                     where u.id = k.id and u._deleted_txid is null%2$s)
               and not ($4 and exists (select 1 from ${TABLE} u
                     where u.id = k.id and u._deleted_txid > pg_current_xact_id()%2$s))
             order by k.n) k`;

/** One that was not put in; with the parameters of the one before. */
const MISSING = `
  select k.id from unnest($1) k(id)
   where not exists (select 1 from ${TABLE} u where u.id = k.id and u._deleted_txid is null%2$s) limit 1`;

/** Functions the gateway may call. */
export const TENANT_PUT_MANY_FUNCTIONS: readonly string[] = [
  `create or replace function kontract.tenant_put_many(
     p_sid text, p_tenant text, p_owner text, p_bits int, p_group text, p_snap pg_snapshot, p_inc text,
     p_lane text, p_reqno numeric, p_answer bytea, p_table text,
     p_keys text[], p_seen xid8[], p_rows jsonb[], p_gone text[], p_others text[], p_versions xid8[]) returns text
   language plpgsql volatile ${DEFINER_MANY} as $f$
   #variable_conflict use_column
   declare
     v_one boolean; v_two bigint; s record; own text; v_rows tid[]; v_ids text[]; v_txids xid8[];
     fine boolean := false; made int; v_hit text;
   begin ${INSIST} ${KNOWN_SESSION}
     if p_lane is null then
       v_one := ${TABLE_LOCK};
     else
       insert into effects (tenant, owner, lane, reqno, answer)
         values (p_tenant, p_owner, p_lane, p_reqno, p_answer) on conflict do nothing
         returning ${TABLE_LOCK} into v_one;
       if not found then
         return stored_answer(p_sid, p_tenant, p_owner, p_group, p_lane, p_reqno);
       end if;
     end if;
     select count(case when l.x then pg_advisory_xact_lock(l.h) is null
                       else pg_advisory_xact_lock_shared(l.h) is null end) into v_two
       from (select ${KEY} as h, bool_or(k.x) as x
               from (select unnest(p_keys || p_gone), true union all select unnest(p_others), false) k(id, x)
              group by 1 order by 1) l;
     if p_gone is null and p_others is null then
       select st.ptr, st.owned into s
         from trxs x join storage st on st.owner = x.tenant and st.id = p_table ${INCARNATION}
        where ${ALIVE_SID} and x.tenant is not distinct from p_tenant and x.owner is not distinct from p_owner
          and st.permissions & p_bits & ${NEED} = ${NEED} and st.bits = '{}' and i.value is not null
          and (p_group is null or p_group = any (x.ugroups)) and (x.system or not starts_with(p_table, '_'))
          and (p_snap is null or not (${staleSnapshot("i.value", "st.epoch", "x.create_txid")})
               and coalesce(pg_visible_in_snapshot(st.swap_txid, p_snap), true))
          and (p_seen is null or pg_snapshot_xmin(p_snap) >= st.horizon)
          and not (${UNIQUE});
       if found then
         own := case when s.owned then ' and u._owner = $2' else '' end;
         execute format($q$ ${FIND} $q$, s.ptr, own) into v_rows, v_ids, v_txids using p_keys, p_owner;
         fine := ${FINE};
       end if;
     end if;
     if fine is not true then
       perform apply_ops(p_sid, p_tenant, p_owner, p_bits, p_group, p_snap, p_inc, p_lane is not null,
         jsonb_build_array(jsonb_build_object('t', p_table, 'g', null, 'q', '[]'::jsonb,
           'r', ${readsOf()}, 'w', ${writesOf()})));
       return '';
     end if;
     if v_rows is not null then
       execute format($q$ ${CHANGE} $q$, s.ptr) using p_keys, p_rows, v_rows;
     end if;
     made := coalesce(cardinality(v_rows), 0);
     if made < cardinality(p_keys) then
       own := case when s.owned then ' and u._owner = $3' else '' end;
       execute format($q$ ${INSERT} $q$, s.ptr, own) using p_keys, p_rows, p_owner, p_lane is not null;
       get diagnostics v_two = row_count;
       -- As in commit: an id taken before waiting may be older than what it follows.
       if made + v_two < cardinality(p_keys) then
         execute format($q$ ${MISSING} $q$, s.ptr, own) into v_hit using p_keys, p_rows, p_owner;
         raise exception 'conflict' using errcode = '40001',
           detail = json_build_object('table', p_table, 'key', v_hit)::text;
       end if;
     end if;
     return '';
   end $f$`,
];
