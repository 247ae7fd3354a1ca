/**
 * The commit: one statement, one VOLATILE dispatcher for all tables of a call, READ COMMITTED, locks
 * then validation. The order inside is the promise:
 *
 * 1. the effect record, so that a repeated request stops here and gets the stored answer;
 * 2. advisory locks: tables, then keys, each in hash order, shared for read, exclusive for written;
 * 3. session, rights, ptr and incarnation again, in a fresh statement that sees what committed while
 *    this call waited; then validation of every read;
 * 4. the writes. This is the point where truth changes.
 *
 * `p_ops`: `[{ t, g, r: [[id, txid | null]], q: [where], w: [[id, data | null]] }]`, one per table.
 *
 * @module
 */
import { DEFINER, identifier, literal, SETTINGS } from "./definer.ts";
import type { TableSql } from "./read.sql.ts";

/** Functions that serve every table. */
export const COMMIT_FUNCTIONS: readonly string[] = [
  `create or replace function kontract_private.take_locks(p_tenant text, p_ops jsonb) returns void
   language plpgsql volatile ${SETTINGS} as $f$
   declare l record; wide text[];
   begin
     -- A call with a predicate, or with many keys, takes the whole table.
     wide := array(select o->>'t' from jsonb_array_elements(p_ops) o
       where jsonb_array_length(o->'q') > 0
          or jsonb_array_length(o->'r') + jsonb_array_length(o->'w') > 64);
     for l in select hashtextextended(p_tenant || chr(10) || (o->>'t'), 11) as h,
                     bool_or(o->>'t' = any (wide)) as x
                from jsonb_array_elements(p_ops) o group by 1 order by 1 loop
       if l.x then perform pg_advisory_xact_lock(l.h); else perform pg_advisory_xact_lock_shared(l.h); end if;
     end loop;
     for l in select k.h, bool_or(k.w) as x from (
                select hashtextextended(p_tenant || chr(10) || (o->>'t') || chr(10) || (e->>0), 12) as h,
                       false as w
                  from jsonb_array_elements(p_ops) o, jsonb_array_elements(o->'r') e
                 where not o->>'t' = any (wide)
                union all
                select hashtextextended(p_tenant || chr(10) || (o->>'t') || chr(10) || (e->>0), 12), true
                  from jsonb_array_elements(p_ops) o, jsonb_array_elements(o->'w') e
                 where not o->>'t' = any (wide)) k
               group by k.h order by k.h loop
       if l.x then perform pg_advisory_xact_lock(l.h); else perform pg_advisory_xact_lock_shared(l.h); end if;
     end loop;
   end $f$`,

  // Predicate validation: no matching version was made or closed outside the snapshot. The range on
  // _txid and _deleted_txid reads only what is newer than the snapshot.
  `create or replace function kontract_private.validate_predicate(
     p_st kontract.storage, p_owner text, p_grants jsonb, p_snap pg_snapshot, p_where jsonb) returns void
   language plpgsql volatile ${SETTINGS} set enable_seqscan = off as $f$
   declare hit text;
   begin
     execute format($q$ select u.id from kontract_private.%I u
         where (u._txid >= pg_snapshot_xmax($2) or u._txid = any (array(select pg_snapshot_xip($2)))
             or u._deleted_txid >= pg_snapshot_xmax($2)
             or u._deleted_txid = any (array(select pg_snapshot_xip($2)))) %s %s limit 1 $q$,
       p_st.ptr,
       case when p_st.owned then ' and u._owner = $3' else '' end,
       where_sql(p_st.fields, p_st.bits, p_st.lazy, p_grants, p_where))
     into hit using p_where, p_snap, p_owner;
     if hit is not null then
       raise exception 'conflict' using errcode = '40001',
         detail = json_build_object('table', p_st.id, 'key', hit)::text;
     end if;
   end $f$`,

  `create or replace function kontract.commit(
     p_sid text, p_bits int, p_group text, p_snap pg_snapshot, p_inc text,
     p_lane text, p_reqno numeric, p_answer bytea, p_ops jsonb,
     out replayed boolean, out answer bytea, out txid text)
   language plpgsql volatile ${DEFINER} as $f$
   #variable_conflict use_column
   declare s record; o jsonb; st kontract.storage; may int; known text; reads boolean; checked boolean := false;
   begin
     if pg_is_in_recovery() then raise exception 'standby' using errcode = '25006'; end if;
     if current_setting('transaction_isolation') <> 'read committed'
        or current_setting('synchronous_commit') = 'off' then
       raise exception 'isolation' using errcode = '25001';
     end if;
     select x.owner, x.tenant, x.ugroups into s from trxs x
      where x.sid = sha256(convert_to(p_sid, 'UTF8')) and x.expires_at > now()
        and not exists (select 1 from tombstones t where t.tenant = x.tenant and t.family = x.family);
     if not found then perform refuse(p_sid, ''); end if;
     if p_group is not null and not p_group = any (s.ugroups) then
       raise exception 'group' using errcode = '42501';
     end if;
     replayed := false;
     if p_lane is not null then
       insert into effects (tenant, owner, lane, reqno, answer)
         values (s.tenant, s.owner, p_lane, p_reqno, p_answer) on conflict do nothing;
       if not found then
         select e.answer into answer from effects e
          where e.tenant = s.tenant and e.owner = s.owner and e.lane = p_lane and e.reqno = p_reqno;
         replayed := true;
         return;
       end if;
     end if;
     perform take_locks(s.tenant, p_ops);
     for o in select jsonb_array_elements(p_ops) loop
       -- Everything again, as it is committed now.
       select x.owner, x.tenant, x.system, x.ugroups, x.create_txid into s from trxs x
        where x.sid = sha256(convert_to(p_sid, 'UTF8')) and x.expires_at > now()
          and not exists (select 1 from tombstones t where t.tenant = x.tenant and t.family = x.family);
       if not found then perform refuse(p_sid, ''); end if;
       if p_group is not null and not p_group = any (s.ugroups) then
         raise exception 'group' using errcode = '42501';
       end if;
       select y.* into st from storage y where y.owner = s.tenant and y.id = o->>'t';
       if not found then perform refuse(p_sid, o->>'t'); end if;
       may := st.permissions & p_bits;
       reads := jsonb_array_length(o->'r') > 0 or jsonb_array_length(o->'q') > 0;
       if (reads and may & 4 = 0) or (not s.system and starts_with(st.id, '_')) then
         raise exception 'table' using errcode = '42501',
           detail = json_build_object('table', st.id)::text;
       end if;
       if not checked then
         known := (select i.value from incarnation i where i.xmin = i.filled_by);
         checked := true;
         if p_snap is not null and (p_inc is distinct from coalesce(known, '') || '.' || st.epoch
              or pg_snapshot_xmax(p_snap) > pg_snapshot_xmax(pg_current_snapshot())
              or not pg_visible_in_snapshot(s.create_txid, p_snap)) then
           raise exception 'snapshot' using errcode = '72000';
         end if;
         if known is null then perform fill_incarnation(); end if;
       end if;
       -- Each table has its own horizon; one of the reads may have lost the versions that spoil it.
       if reads and (p_snap is null or pg_snapshot_xmin(p_snap) < st.horizon) then
         raise exception 'snapshot' using errcode = '72000';
       end if;
       execute format('select kontract_private.apply_%s($1, $2, $3, $4, $5, $6)', st.key)
         using st, s.owner, may, p_snap, p_lane is not null, o;
     end loop;
     txid := pg_current_xact_id()::text;
   end $f$`,
];

/** Validates and applies one table's part of a commit. */
export function applyFunction(table: TableSql): string {
  const ptr = `kontract_private.${identifier(table.ptr)}`;
  const own = table.owned ? " and u._owner = p_owner" : "";
  const guarded = Object.keys(table.bits).length > 0;
  const failure = (errcode: string, message: string, detail: string) =>
    `raise exception '${message}' using errcode = '${errcode}',
         detail = json_build_object('table', ${literal(table.name)}${detail})::text;`;
  return `create or replace function kontract_private.apply_${table.key}(
     p_st kontract.storage, p_owner text, p_may int, p_snap pg_snapshot, p_late boolean, p_op jsonb)
   returns void language plpgsql volatile ${SETTINGS} set enable_seqscan = off as $f$
   declare
     me xid8 := pg_current_xact_id(); bad record; removes boolean; q jsonb; broken text;
     ids text[]; rows jsonb[]; o_ids text[]; o_owners text[]; o_orders bigint[]; o_datas jsonb[];
     locked text[]; kept text[];
   begin
     if p_st.ptr <> ${
    literal(table.ptr)
  } then raise exception 'moved' using errcode = '72000'; end if;
     if p_op->'r' <> '[]' then
       select r.id into bad from (select e->>0 as id, e->>1 as txid from jsonb_array_elements(p_op->'r') e) r
         left join ${ptr} u on u.id = r.id and u._deleted_txid is null${own}
        where u._txid::text is distinct from r.txid limit 1;
       if found then ${failure("40001", "conflict", ", 'key', bad.id")} end if;
     end if;
     if p_op->'q' <> '[]' then for q in select jsonb_array_elements(p_op->'q') loop
       perform validate_predicate(p_st, p_owner, p_op->'g', p_snap, q);
     end loop; end if;
     if p_op->'w' = '[]' then return; end if;
     select array_agg(e->>0 order by n), array_agg(nullif(e->1, 'null'::jsonb) order by n) into ids, rows
       from jsonb_array_elements(p_op->'w') with ordinality w(e, n);
     removes := array_position(rows, null) is not null;
     if (p_may & 1 = 0 and removes)
        or (p_may & 2 = 0 and array_length(array_remove(rows, null), 1) > 0) then
       ${failure("42501", "table", "")}
     end if;
     -- A transaction id taken before waiting may be older than what it overwrites; the change feed
     -- orders by id, so such a call takes a new one.
     if p_late and pg_snapshot_xmax(pg_current_snapshot()) > me then
       select u.id into bad from ${ptr} u
        where (u._txid > me or u._deleted_txid > me) and u.id = any (ids)${own} limit 1;
       if found then ${failure("40001", "conflict", ", 'key', bad.id")} end if;
     end if;
     with c as (update ${ptr} u set _deleted_txid = me
                 where u.id = any (ids) and u._deleted_txid is null${own}
                returning u.id, u._owner, u._order, u.data)
     select array_agg(c.id), array_agg(c._owner), array_agg(c._order), array_agg(c.data)
       into o_ids, o_owners, o_orders, o_datas from c;
     ${guarded ? guard(table, failure) : ""}
     select w.id into bad from unnest(ids, rows) w(id, data)
      where w.data is not null and (${table.check}) is not true limit 1;
     if found then ${failure("23514", "value", ", 'key', bad.id")} end if;
     begin
       insert into ${ptr} (id, data, _txid, _owner, _order)
       select w.id, w.data, me, coalesce(o.owner, p_owner),
              coalesce(o.ord, nextval('kontract_private.${table.ptr}_seq'))
         from unnest(ids, rows) with ordinality w(id, data, n)
         left join unnest(o_ids, o_owners, o_orders) o(id, owner, ord) on o.id = w.id
        where w.data is not null order by w.n;
     exception when unique_violation then
       get stacked diagnostics broken = constraint_name;
     end;
     if broken is not null then
       ${failure("23505", "unique", ", 'fields', p_st.indexes->broken")}
     end if;
   end $f$`;
}

/** Field rules: what may not be written keeps its value; what may not be read is not lost by a rewrite. */
function guard(
  table: TableSql,
  failure: (errcode: string, message: string, detail: string) => string,
): string {
  const lazy = `${literal(JSON.stringify(table.lazy))}::jsonb`;
  const defaults = `${literal(JSON.stringify(table.defaults))}::jsonb`;
  return `
     select array_agg(f.key) filter (where f.may & 2 = 0),
            array_agg(f.key) filter (where f.may & 6 <> 6) into locked, kept
       from (select b.key, b.value::int | coalesce((p_op->'g'->>b.key)::int, 0) as may
               from jsonb_each_text(p_st.bits) b) f;
     if kept is not null then
       select w.id, f.f as field into bad
         from unnest(ids, rows) w(id, data)
         left join unnest(o_ids, o_datas) o(id, data) on o.id = w.id, unnest(locked) f(f)
        where w.data ? f.f and w.data->f.f is distinct from
              (case when o.id is null then ${defaults} else ${lazy} || o.data end)->f.f limit 1;
       if found then ${failure("42501", "field", ", 'field', bad.field")} end if;
       select array_agg(case when w.data is null then null else w.data || coalesce((
                select jsonb_object_agg(b.key, b.value)
                  from jsonb_each(case when o.id is null then ${defaults} else ${lazy} || o.data end) b
                 where b.key = any (kept) and not w.data ? b.key), '{}') end order by w.n) into rows
         from unnest(ids, rows) with ordinality w(id, data, n)
         left join unnest(o_ids, o_datas) o(id, data) on o.id = w.id;
     end if;`;
}
