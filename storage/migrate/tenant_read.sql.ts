/**
 * `get` and `get_many` of tenants beside `main`: one function each for all their tables, with text made
 * per call, since a function per table costs each connection that calls it memory (131 kB), and there may
 * be twenty thousand tables. They promise what those of `read.sql.ts` promise.
 *
 * @module
 */
import { DEFINER } from "./definer.ts";
import { enter, HASHED_SID, HIDDEN, READ_PARAMETERS } from "./read.sql.ts";

/** Functions the gateway may call. */
export const TENANT_READ_FUNCTIONS: readonly string[] = [
  // Answers with text, as `get_<key>` does.
  `create or replace function kontract.tenant_get(${READ_PARAMETERS}, p_table text, p_id text)
   returns text language plpgsql stable ${DEFINER} set enable_seqscan = off as $f$
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

  // Per key as above: the live version by its index, else the newest visible closed one by its own.
  `create or replace function kontract.tenant_get_many(${READ_PARAMETERS}, p_table text, p_ids text,
     out rows json, out snap pg_snapshot, out inc text, out replay bytea)
   language plpgsql stable ${DEFINER} set enable_seqscan = off as $f$
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
