/**
 * `get` and `get_many` of tenants beside `main`: one function each for all their tables, with text made
 * per call, since a function per table costs each connection that calls it memory (131 kB), and there may
 * be twenty thousand tables. They promise what those of `read.sql.ts` promise.
 *
 * @module
 */
import { DEFINER, DEFINER_MANY, HELPER } from "./definer.ts";
import {
  ALIVE_SID,
  enter,
  HASHED_SID,
  HIDDEN,
  KNOWN_INCARNATION,
  READ_PARAMETERS,
} from "./read.sql.ts";

/** Functions in the private schema. */
export const TENANT_READ_HELPERS: readonly string[] = [
  `create or replace function kontract_private.tenant_get_slowly(${READ_PARAMETERS}, p_table text, p_id text)
   returns text language plpgsql stable ${HELPER} as $f$
   #variable_conflict use_column
   declare ${HASHED_SID} s record; snap pg_snapshot; inc text; replay bytea; v record; own text; head text;
   begin ${enter("p_table", "p_table", "return 'R|' || encode(replay, 'base64');")}
     head := p_snap::text || '|' || replace(s.inc, '.', '|');
     own := case when s.owned then ' and u._owner = $2' else '' end;
     execute format('select u._txid, u._order, u.data from kontract_private.%I u
          where u.id = $1 and u._deleted_txid is null%s', s.ptr, own)
       into v using p_id, s.owner;
     if v._txid is null or not pg_visible_in_snapshot(v._txid, p_snap) then
       execute format('select u._txid, u._order, u.data, u._deleted_txid from kontract_private.%I u
            where u.id = $1 and u._deleted_txid is not null%s and pg_visible_in_snapshot(u._txid, $3)
            order by u._deleted_txid desc limit 1', s.ptr, own)
         into v using p_id, s.owner, p_snap;
       if v._txid is null or pg_visible_in_snapshot(v._deleted_txid, p_snap) then return head; end if;
     end if;
     return concat_ws('|', head, v._txid, v._order,
       case when s.bits = '{}' then s.lazy || v.data else (s.lazy || v.data) - ${HIDDEN} end);
   end $f$`,
];

/** Functions the gateway may call. */
export const TENANT_READ_FUNCTIONS: readonly string[] = [
  // Answers with text, as `get_<key>` does, and like it asks everything as conditions of one search; what is
  // out of the ordinary is left to `tenant_get_slowly`. A call's first read sees what it finds.
  `create or replace function kontract.tenant_get(${READ_PARAMETERS}, p_table text, p_id text)
   returns text language plpgsql stable ${DEFINER} set enable_seqscan = off as $f$
   #variable_conflict use_column
   declare s record; v record; v_done boolean := false;
   begin
     if p_lane is not null then
       perform 1 from trxs x join effects e on e.tenant = x.tenant and e.owner = x.owner
        where ${ALIVE_SID} and e.lane = p_lane and e.reqno = p_reqno;
       v_done := found;
     end if;
     if not v_done then
       select st.ptr, st.owned, st.lazy, x.owner,
              concat_ws('|', coalesce(p_snap, pg_current_snapshot()), i.value, st.epoch) as head
         into s
         from trxs x join storage st on st.owner = x.tenant and st.id = p_table ${KNOWN_INCARNATION}
        where ${ALIVE_SID} and st.permissions & p_bits & 4 = 4 and st.bits = '{}' and not pg_is_in_recovery()
          and (p_group is null or p_group = any (x.ugroups)) and (x.system or not starts_with(p_table, '_'))
          and (p_snap is null or p_inc = i.value || '.' || st.epoch and pg_snapshot_xmin(p_snap) >= st.horizon
               and pg_snapshot_xmax(p_snap) <= pg_snapshot_xmax(pg_current_snapshot())
               and pg_visible_in_snapshot(x.create_txid, p_snap)
               and coalesce(pg_visible_in_snapshot(st.swap_txid, p_snap), true));
       if found then
         execute format('select u._txid, concat_ws(''|'', u._txid, u._order, $3 || u.data) as answer
              from kontract_private.%I u where u.id = $1 and u._deleted_txid is null%s',
             s.ptr, case when s.owned then ' and u._owner = $2' else '' end)
           into v using p_id, s.owner, s.lazy;
         if p_snap is null or pg_visible_in_snapshot(v._txid, p_snap) then
           return concat_ws('|', s.head, v.answer);
         end if;
       end if;
     end if;
     return tenant_get_slowly(
       p_sid, p_bits, p_group, p_grants, p_snap, p_inc, p_lane, p_reqno, p_table, p_id);
   end $f$`,

  // Per key as above: the live version by its index, else the newest visible closed one by its own.
  `create or replace function kontract.tenant_get_many(${READ_PARAMETERS}, p_table text, p_ids text,
     out rows json, out snap pg_snapshot, out inc text, out replay bytea)
   language plpgsql stable ${DEFINER_MANY} as $f$
   #variable_conflict use_column
   declare ${HASHED_SID} s record;
   begin ${enter("p_table", "p_table")}
     execute format($q$
       select coalesce(json_agg(json_build_array(u.id, ($4 || u.data) - $5, u._txid::text, u._owner, u._order)), '[]')
         from (select distinct jsonb_array_elements_text($1) as id) k
         cross join lateral (
           (select * from kontract_private.%1$I u where u.id = k.id and u._deleted_txid is null%2$s
               and pg_visible_in_snapshot(u._txid, $3))
           union all
           (select * from kontract_private.%1$I u where u.id = k.id and u._deleted_txid is not null%2$s
               and pg_visible_in_snapshot(u._txid, $3) order by u._deleted_txid desc limit 1)) u
        where u._deleted_txid is null or not pg_visible_in_snapshot(u._deleted_txid, $3) $q$,
       s.ptr, case when s.owned then ' and u._owner = $2' else '' end)
     into rows using p_ids::jsonb, s.owner, p_snap, s.lazy, ${HIDDEN};
   end $f$`,
];
