/**
 * The change feed: what differs between two snapshots of one table, in the order of transactions.
 *
 * A position is `incarnation|S0` or, inside a batch that did not fit, `incarnation|S0|S1|xid`: the batch
 * stays the same until it has been read to its end. Whole transactions only. Inside a batch the order by
 * transaction id respects overwrites, because a commit refuses to overwrite with an older id.
 *
 * Most questions find nothing new: the same snapshot as before, or one that differs by what happened elsewhere.
 * They end before versions are compared, which takes long to plan: a table of the default tenant has a function
 * of its own for that; for others the statement is made in each call.
 *
 * A change is told from the follower's side: a row that begins to match a filter is an insert, one that
 * stops matching a delete; a change in fields the session may not read is none. Who asks for no changes at all
 * (`p_limit` 0) only hears in `more` whether there is any, whatever the filter and the fields.
 *
 * @module
 */
import { DEFAULT_TENANT } from "../tenant_name.ts";
import { DEFINER, HELPER, identifier, literal } from "./definer.ts";
import { enter, HASHED_SID, HIDDEN, type TableSql } from "./read.sql.ts";
import { outsideSnapshot } from "./table.sql.ts";

/** What is asked about, as SQL: a table, a condition on `u` where rows are their owner's, and values. */
interface Question {
  readonly table: string;
  readonly own: string;
  readonly s0: string;
  readonly s1: string;
  readonly since: string;
}

/** True where versions were closed, or rows inserted, outside `s0`. */
function anythingNew({ table, s0 }: Pick<Question, "table" | "s0">): string {
  const tests = [`>= pg_snapshot_xmax(${s0})`, `= any (array(select pg_snapshot_xip(${s0})))`];
  const places = ["u._deleted_txid", "u._deleted_txid is null and u._born"];
  return places.flatMap((place) =>
    tests.map((test) => `exists (select from ${table} u where ${place} ${test})`)
  ).join(" or ");
}

/**
 * What each transaction after `since` between `s0` and `s1` made of a row, as five lists: key, transaction, order,
 * data now and before (or null). Null where there is nothing.
 */
function versions({ table, own, s0, s1, since }: Question): string {
  const outside = (column: "_deleted_txid" | "_born"): string =>
    outsideSnapshot(table, column, {
      xmax: `pg_snapshot_xmax(${s0})`,
      xips: `array(select pg_snapshot_xip(${s0}))`,
      more: own,
    });
  // Versions of `from` that were made (`_txid`) or closed (`_deleted_txid`) in between.
  const side = (column: string, from: string): string =>
    `select u.id, u.data, u.${column} as xid, u._order from ${from}
        where not pg_visible_in_snapshot(u.${column}, ${s0}) and pg_visible_in_snapshot(u.${column}, ${s1})
          and u.${column} > ${since}`;
  return `
       with closed as (${outside("_deleted_txid")}),
            born as (${outside("_born")}),
            -- A live row is newer than the snapshot if it follows a closed version or was inserted.
            live as (select u.* from ${table} u where u._deleted_txid is null ${own}
              and u.id = any (array(select c.id from closed c union select b.id from born b))),
            n as (${side("_txid", "(select * from closed union all select * from live) u")}),
            o as (${side("_deleted_txid", "closed u")})
       select array_agg(coalesce(n.id, o.id)), array_agg(coalesce(n.xid, o.xid)),
              array_agg(coalesce(n._order, o._order)), array_agg(n.data), array_agg(o.data)
         from n full join o on n.id = o.id and n.xid = o.xid`;
}

/** `versions` of one table of the default tenant. */
export function changesFunction(table: TableSql): string {
  const name = `kontract_private.${identifier(table.ptr)}`;
  const own = table.owned ? " and u._owner = p_owner" : "";
  const question = { table: name, own, s0: "p_s0", s1: "p_s1", since: "p_since" };
  return `create or replace function kontract_private.changes_${table.key}(
     p_s0 pg_snapshot, p_s1 pg_snapshot, p_since xid8, p_owner text,
     out ids text[], out xids xid8[], out ords bigint[], out nows jsonb[], out befores jsonb[])
   language plpgsql stable ${HELPER} as $f$
   #variable_conflict use_column
   begin
     if ${anythingNew(question)} then
       ${intoLists(versions(question))};
     end if;
   end $f$`;
}

/** A query for five lists, their values into the variables of these names. */
function intoLists(query: string): string {
  return `select v.* into ids, xids, ords, nows, befores from (${query}) v`;
}

/** In `format`: the versions of any table. */
const ANY_VERSIONS = versions({
  table: "kontract_private.%1$I",
  own: "%2$s",
  s0: "$1",
  s1: "$2",
  since: "$3",
});

/** Bytes of rows in one batch, where that is more than one transaction. */
const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Of the five lists `lists`, the changes that a session sees through a filter (a condition on `u.id` and `u.data`),
 * the last transaction, and how many are left.
 */
function seen(
  filter: string,
  { lists, lazy, hidden, limit }: Readonly<Record<"lists" | "lazy" | "hidden" | "limit", string>>,
): string {
  const hit = (data: string): string =>
    filter === ""
      ? `v.${data} is not null`
      : `v.${data} is not null and (select coalesce(true ${filter}, false) from (select v.id, v.${data} as data) u)`;
  return `
       with v as (select * from unnest(${lists}) v(id, xid, ord, now, before)),
            d as (select v.id, v.xid, v.ord, (${lazy} || v.now) - ${hidden} as data,
                         ${hit("now")} as now_hit, ${hit("before")} as then_hit,
                         (${lazy} || v.now) - ${hidden} is not distinct from (${lazy} || v.before) - ${hidden} as same
                    from v),
            c as (select d.*, sum(pg_column_size(d.data)) over w as size, first_value(d.xid) over w as first
                    from d where (d.now_hit or d.then_hit)
                     and not (d.now_hit and d.then_hit and d.same and cardinality(${hidden}) > 0)
                  window w as (order by d.xid)),
            l as (select * from c where c.xid = c.first or (c.size > ${BATCH_BYTES}) is not true
                   order by c.xid fetch first (${limit}) rows with ties)
       select coalesce(json_agg(json_build_array(
                case when l.now_hit and l.then_hit then 'update' when l.now_hit then 'insert' else 'delete' end,
                l.id, case when l.now_hit then l.data end) order by l.xid, l.ord), '[]'),
              (array_agg(l.xid order by l.xid desc))[1],
              (select count(*) from c) - count(*)
         from l`;
}

/** In `format`: what a filter lets a session see. */
const SEEN = seen("%1$s", { lists: "$4, $5, $6, $7, $8", lazy: "$2", hidden: "$3", limit: "$9" });
const ALL_SEEN = seen("", {
  lists: "ids, xids, ords, nows, befores",
  lazy: "s.lazy",
  hidden: "hidden",
  limit: "p_limit",
});

/** Characters of changes after which a group reads for no further position: who stands there asks alone. */
const GROUP_SIZE = 1 << 20;

/** Whether a table is locked: for the reader of several tables, whom one of them must not hold up. */
const IS_LOCKED = `create or replace function kontract_private.is_locked(p_ptr text) returns boolean
   language plpgsql stable ${HELPER} set lock_timeout = '1ms' as $f$
   begin
     execute format('select from kontract_private.%I limit 0', p_ptr);
     return false;
   exception when lock_not_available then return true;
   end $f$`;

/**
 * Functions the gateway may call. `changes_group` is `changes` for several sessions and positions, in one snapshot: a
 * list of `[[members, changes, place, reset, more], …]`, members counted from 1. Those of one tenant, and of one owner
 * where rows are their owner's, see the same, so it is read once for all of them that stand at one position. Who has no
 * session is left out, and 28000 where nobody has one. So are those of a tenant whose table is locked, where others are
 * answered; else the lock is waited for.
 */
export const CHANGE_FUNCTIONS: readonly string[] = [
  IS_LOCKED,
  `create or replace function kontract.changes(
     p_sid text, p_table text, p_where jsonb, p_after text, p_limit int,
     out changes json, out place text, out reset boolean, out more boolean)
   language plpgsql stable ${DEFINER} set enable_seqscan = off as $f$
   #variable_conflict use_column
   declare
     ${HASHED_SID}
     p_bits int := 7; p_group text; p_grants jsonb; p_snap pg_snapshot; p_inc text;
     p_lane text; p_reqno numeric; snap pg_snapshot; inc text; replay bytea;
     s record; hidden text[]; part text[]; s0 pg_snapshot; s1 pg_snapshot; since xid8; last xid8;
     total bigint := 0; news boolean; main text;
     ids text[]; xids xid8[]; ords bigint[]; nows jsonb[]; befores jsonb[];
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
     if s0::text = p_snap::text then return; end if;
     if s.tenant = ${literal(DEFAULT_TENANT)} then
       select st.key into main from storage st
        where st.owner = s.tenant and st.id = p_table and st.ptr = s.ptr
          -- A table that is kept though nobody declares it any more has none of this build's.
          and to_regproc('changes_' || st.key) is not null;
     end if;
     begin
       if main is not null then
         execute format('select * from changes_%s($1, $2, $3, $4)', main)
           into ids, xids, ords, nows, befores using s0, s1, since, s.owner;
       else
         execute format($q$ select ${
    anythingNew({ table: "kontract_private.%1$I", s0: "$1" })
  } $q$, s.ptr)
           into news using s0;
         if news then
           execute format($q$ ${ANY_VERSIONS} $q$, s.ptr, case when s.owned then ' and u._owner = $4' else '' end)
             into ids, xids, ords, nows, befores using s0, s1, since, s.owner;
         end if;
       end if;
       if p_limit = 0 then
         more := ids is not null;
         place := inc || '|' || s1::text;
         return;
       end if;
       if ids is not null then
         hidden := ${HIDDEN};
         if p_where = '[]' then
           select r.* into changes, last, total from (${ALL_SEEN}) r;
         else
           execute format($q$ ${SEEN} $q$, where_sql(s.fields, s.bits, s.lazy, p_grants, p_where))
             into changes, last, total
             using p_where, s.lazy, hidden, ids, xids, ords, nows, befores, p_limit;
         end if;
       end if;
     exception when program_limit_exceeded then
       -- More than one value can be: who follows reads anew.
       reset := true;
       return;
     end;
     if total > 0 then
       place := inc || '|' || s0::text || '|' || s1::text || '|' || last::text;
       more := true;
     else
       place := inc || '|' || s1::text;
       more := s1::text <> p_snap::text;
     end if;
   end $f$`,
  `create or replace function kontract.changes_group(
     p_sids text[], p_table text, p_where jsonb, p_afters text[], p_limit int)
   returns json language plpgsql stable ${DEFINER} set enable_seqscan = off as $f$
   declare
     g record; c record; answers json[] := '{}'; size bigint := 0;
   begin
     if pg_is_in_recovery() then raise exception 'standby' using errcode = '25006'; end if;
     for g in
       with e as (
         select st.ptr, m.after, min(m.sid) as sid, array_agg(m.n) as members
           from unnest(p_sids, p_afters) with ordinality m(sid, after, n)
                cross join lateral (
                  select * from trxs x where x.sid = sha256(convert_to(m.sid, 'UTF8')) limit 1) x
                join storage st on st.owner = x.tenant and st.id = p_table
          where x.expires_at > clock_timestamp()
            and pg_visible_in_snapshot(x.create_txid, pg_current_snapshot())
          group by st.ptr, m.after, x.system, case when st.owned then x.owner end),
       t as materialized (
         select d.ptr, count(*) over () > 1 and is_locked(d.ptr) as locked from (select distinct e.ptr from e) d)
       select e.*, t.locked from e join t on t.ptr = e.ptr order by t.locked
     loop
       exit when g.locked and cardinality(answers) > 0;
       select * into c from changes(g.sid, p_table, p_where, g.after, p_limit);
       answers := answers || json_build_array(g.members, c.changes, c.place, c.reset, c.more);
       size := size + length(c.changes::text);
       exit when size > ${GROUP_SIZE};
     end loop;
     if cardinality(answers) = 0 then raise exception 'token' using errcode = '28000'; end if;
     return array_to_json(answers);
   end $f$`,
];
