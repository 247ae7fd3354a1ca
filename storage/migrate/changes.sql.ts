/**
 * The change feed: what differs between two snapshots of one table, in the order of transactions.
 *
 * A position is `incarnation|S0` or, inside a batch that did not fit, `incarnation|S0|S1|xid`: the batch
 * stays the same until it has been read to its end. Whole transactions only. Inside a batch the order by
 * transaction id respects overwrites, because a commit refuses to overwrite with an older id.
 *
 * A change is told from the follower's side: a row that begins to match a filter is an insert, one that
 * stops matching a delete; a change in fields the session may not read is none.
 *
 * @module
 */
import { DEFINER } from "./definer.ts";
import { enter, HASHED_SID, HIDDEN } from "./read.sql.ts";
import { outsideSnapshot } from "./table.sql.ts";

/** One side of the difference: versions of `from` that were made (`_txid`) or closed (`_deleted_txid`) in between. */
function side(column: string, from: string): string {
  return `select u.id, ($6 || u.data) - $7 as data, u.${column} as xid, u._order,
              coalesce(true %1$s, false) as hit
         from ${from}
        where not pg_visible_in_snapshot(u.${column}, $2) and pg_visible_in_snapshot(u.${column}, $3)
          and u.${column} > $4`;
}

const ANY_TABLE = "kontract_private.%2$I";
const OUTSIDE = {
  xmax: "pg_snapshot_xmax($2)",
  xips: "array(select pg_snapshot_xip($2))",
  more: "%3$s",
};

/** Functions the gateway may call. */
export const CHANGE_FUNCTIONS: readonly string[] = [
  `create or replace function kontract.changes(
     p_sid text, p_table text, p_where jsonb, p_after text, p_limit int,
     out changes json, out place text, out reset boolean, out more boolean)
   language plpgsql stable ${DEFINER} set enable_seqscan = off as $f$
   #variable_conflict use_column
   declare
     ${HASHED_SID}
     p_bits int := 7; p_group text; p_grants jsonb; p_snap pg_snapshot; p_inc text;
     p_lane text; p_reqno numeric; snap pg_snapshot; inc text; replay bytea;
     s record; hidden text[]; part text[]; s0 pg_snapshot; s1 pg_snapshot; since xid8; last xid8; total bigint;
   begin ${enter("p_table", "p_table")}
     changes := '[]'; reset := false; more := false;
     place := inc || '|' || p_snap::text;
     if p_after is null then return; end if;
     part := string_to_array(p_after, '|');
     begin
       s0 := part[2]::pg_snapshot;
       s1 := coalesce(part[3]::pg_snapshot, p_snap);
       since := coalesce(part[4]::xid8, '0'::xid8);
     exception when others then s0 := null;
     end;
     if s0 is null or part[1] is distinct from inc or pg_snapshot_xmin(s0) < s.horizon
        or not coalesce(pg_visible_in_snapshot(s.swap_txid, s0), true)
        or pg_snapshot_xmax(s0) > pg_snapshot_xmax(s1) or pg_snapshot_xmax(s1) > pg_snapshot_xmax(p_snap) then
       reset := true;
       return;
     end if;
     hidden := ${HIDDEN};
     execute format($q$
       with closed as (${outsideSnapshot(ANY_TABLE, "_deleted_txid", OUTSIDE)}),
            born as (${outsideSnapshot(ANY_TABLE, "_born", OUTSIDE)}),
            -- A live row is newer than the snapshot if it follows a closed version or was inserted.
            live as (select u.* from ${ANY_TABLE} u where u._deleted_txid is null %3$s
              and u.id = any (array(select c.id from closed c union select b.id from born b))),
            n as (${side("_txid", "(select * from closed union all select * from live) u")}),
            o as (${side("_deleted_txid", "closed u")}),
            d as (select coalesce(n.id, o.id) as id, coalesce(n.xid, o.xid) as xid,
                         coalesce(n._order, o._order) as ord, n.data,
                         coalesce(n.hit, false) as now_hit, coalesce(o.hit, false) as then_hit,
                         n.data is not distinct from o.data as same
                    from n full join o on n.id = o.id and n.xid = o.xid),
            c as (select d.* from d where (d.now_hit or d.then_hit)
                     and not (d.now_hit and d.then_hit and d.same and cardinality($7) > 0)),
            l as (select * from c order by c.xid fetch first $5 rows with ties)
       select coalesce(json_agg(json_build_array(
                case when l.now_hit and l.then_hit then 'update' when l.now_hit then 'insert' else 'delete' end,
                l.id, case when l.now_hit then l.data end) order by l.xid, l.ord), '[]'),
              (array_agg(l.xid order by l.xid desc))[1],
              (select count(*) from c) - count(*)
         from l $q$,
       where_sql(s.fields, s.bits, s.lazy, p_grants, p_where), s.ptr,
       case when s.owned then ' and u._owner = $8' else '' end)
     into changes, last, total
     using p_where, s0, s1, since, p_limit, s.lazy, hidden, s.owner;
     if total > 0 then
       place := inc || '|' || s0::text || '|' || s1::text || '|' || last::text;
       more := true;
     else
       place := inc || '|' || s1::text;
       more := s1::text <> p_snap::text;
     end if;
   end $f$`,
];
