/**
 * The commit: one statement, one VOLATILE dispatcher for all tables of a call, READ COMMITTED, locks
 * then validation. The order inside is the promise:
 *
 * 1. the effect record, so that a repeated request stops here and gets the stored answer;
 * 2. advisory locks: tables, then keys, each in hash order, shared for read, exclusive for written;
 * 3. session, rights, ptr and incarnation, in a fresh statement that sees what committed while this
 *    call waited; then validation of every read;
 * 4. the writes. This is the point where truth changes.
 *
 * Tenant and owner come along, since 1 and 2 need them; step 3 compares them with the session's, and
 * what was done for a wrong one is rolled back.
 *
 * `p_ops`: `[{ t, g, r: [[id, txid | null]], q: [where], w: [[id, data | null]] }]`, one per table.
 * The answer of each commit function is text: the transaction id, or `R|base64` with the stored answer.
 * The commit of a single row has a function of its own (`put.sql.ts`) with the same promise.
 *
 * @module
 */
import { DEFINER_MANY, HELPER, identifier, literal, SETTINGS } from "./definer.ts";
import { DEFAULT_TENANT } from "../tenant_name.ts";
import { keyLock, tableLock } from "./lock_keys.ts";
import { beforeSwap } from "./retired.sql.ts";
import { outsideSnapshot } from "./table.sql.ts";
import {
  ALIVE,
  ALIVE_SID,
  HASHED_SID,
  INCARNATION,
  incarnationText,
  type TableSql,
} from "./read.sql.ts";

/** Refuses to run where the promise would not hold: not a primary, another isolation, not durable. */
export const INSIST = `
     if pg_is_in_recovery() or current_setting('transaction_isolation') <> 'read committed'
        or current_setting('synchronous_commit') = 'off' then
       perform insist();
     end if;`;

/** Nothing is recorded or locked for who has no session, or to wait would confirm a guess of a tenant. */
export const KNOWN_SESSION = `
     perform 1 from trxs x where ${ALIVE_SID} and x.tenant is not distinct from p_tenant;
     if not found then perform refuse(p_sid, ''); end if;`;

/** Step 1, for tenant and owner as SQL expressions. */
function recordEffect(tenant: string, owner: string): string {
  return `
     if p_lane is not null then
       insert into effects (tenant, owner, lane, reqno, answer)
         values (${tenant}, ${owner}, p_lane, p_reqno, p_answer) on conflict do nothing;
       if not found then
         return stored_answer(p_sid, ${tenant}, ${owner}, p_group, p_lane, p_reqno);
       end if;
     end if;`;
}

/** Condition under which the call's snapshot cannot be validated any more. */
export function staleSnapshot(known: string, epoch: string, created: string): string {
  return `p_inc is distinct from ${known} || '.' || ${epoch}
          or pg_snapshot_xmax(p_snap) > pg_snapshot_xmax(pg_current_snapshot())
          or not pg_visible_in_snapshot(${created}, p_snap)`;
}

/** In \`format\`: a table, and what is outside a snapshot of it. */
const ANY_TABLE = "kontract_private.%1$I";
const OUTSIDE = { xmax: "$2", xips: "$4", more: "%2$s" };

/** Functions that serve every table. */
export const COMMIT_FUNCTIONS: readonly string[] = [
  // Says which setting it is to whoever reads the server's log.
  `create or replace function kontract_private.insist() returns void
   language plpgsql stable ${HELPER} as $f$
   begin
     if pg_is_in_recovery() then raise exception 'standby' using errcode = '25006'; end if;
     raise exception 'setting: %', case
         when current_setting('transaction_isolation') <> 'read committed' then 'transaction_isolation'
         when current_setting('synchronous_commit') = 'off' then 'synchronous_commit'
         when current_setting('array_nulls') = 'off' then 'array_nulls'
         else 'standard_conforming_strings' end using errcode = '25001';
   end $f$`,

  // Raises what `put` found wrong (null: no session), or fills an empty incarnation and goes on.
  `create or replace function kontract_private.put_wrong(
     p_wrong text, p_sid text, p_bits int, p_group text, p_need int, p_table text, p_id text) returns void
   language plpgsql volatile ${HELPER} as $f$
   declare s record;
   begin
     if p_wrong is null or p_wrong = 'nobody' then perform refuse(p_sid, p_table); end if;
     case p_wrong
       when 'incarnation' then perform fill_incarnation();
       when 'insist' then perform insist();
       when 'snapshot' then raise exception 'snapshot' using errcode = '72000';
       when 'conflict' then raise exception 'conflict' using errcode = '40001',
         detail = json_build_object('table', p_table, 'key', p_id)::text;
       else
         select x.ugroups, x.system, st.permissions & p_bits as may into s
           from trxs x join storage st on st.owner = x.tenant and st.id = p_table
          where x.sid = sha256(convert_to(p_sid, 'UTF8'));
         perform deny(p_group, s.ugroups, s.may, p_need, s.system, p_table);
     end case;
   end $f$`,

  // The answer of a request that was applied before, for a session that is alive and may have it.
  `create or replace function kontract_private.stored_answer(
     p_sid text, p_tenant text, p_owner text, p_group text, p_lane text, p_reqno numeric) returns text
   language plpgsql volatile ${HELPER} as $f$
   declare ${HASHED_SID} s record; v_answer bytea;
   begin
     select x.owner, x.tenant, x.ugroups into s from trxs x where ${ALIVE};
     if not found or s.tenant is distinct from p_tenant or s.owner is distinct from p_owner then
       perform refuse(p_sid, '');
     end if;
     if p_group is not null and (p_group = any (s.ugroups)) is not true then
       raise exception 'group' using errcode = '42501';
     end if;
     select e.answer into v_answer from effects e
      where e.tenant = p_tenant and e.owner = p_owner and e.lane = p_lane and e.reqno = p_reqno;
     return 'R|' || encode(v_answer, 'base64');
   end $f$`,

  // Step 2. The sorted list is made first, then locked row by row in that order. A call with a
  // predicate, or with many keys, takes the whole table and no key of it.
  `create or replace function kontract_private.take_locks(p_tenant text, p_ops jsonb) returns void
   language plpgsql volatile ${HELPER} as $f$
   begin
     perform case when k.x then pg_advisory_xact_lock(k.h) else pg_advisory_xact_lock_shared(k.h) end
       from (
         select l.kind, l.h, bool_or(l.x) as x from (
           select 11 as kind, ${tableLock("p_tenant", "(o->>'t')")} as h,
                  ${wide("o")} as x
             from jsonb_array_elements(p_ops) o
           union all
           select 12, ${keyLock("p_tenant", "(o->>'t')", "k.id")}, k.x
             from jsonb_array_elements(p_ops) o cross join lateral (
               select e->>0 as id, false as x from jsonb_array_elements(o->'r') e
               union all
               select e->>0, true from jsonb_array_elements(o->'w') e) k
            where not ${wide("o")}) l
         group by l.kind, l.h order by l.kind, l.h) k;
   end $f$`,

  // Predicate validation: no matching version was made or closed outside the snapshot. What was closed
  // and what was inserted is found by index, what was made of a closed row by its key.
  `create or replace function kontract_private.validate_predicate(
     p_st kontract.storage, p_owner text, p_grants jsonb, p_snap pg_snapshot, p_where jsonb) returns void
   language plpgsql volatile ${HELPER} set enable_seqscan = off as $f$
   declare hit text;
   begin
     execute format($q$
       with closed as (${outsideSnapshot(ANY_TABLE, "_deleted_txid", OUTSIDE)}),
            born as (${outsideSnapshot(ANY_TABLE, "_born", OUTSIDE)})
       select u.id from (select * from closed union all select * from born) u where true %3$s
       union all
       (select u.id from ${ANY_TABLE} u
         where u._deleted_txid is null and u.id = any (array(select c.id from closed c)) %2$s %3$s limit 1)
       limit 1 $q$,
         p_st.ptr, case when p_st.owned then ' and u._owner = $3' else '' end,
         where_sql(p_st.fields, p_st.bits, p_st.lazy, p_grants, p_where))
       into hit
       using p_where, pg_snapshot_xmax(p_snap), p_owner, array(select pg_snapshot_xip(p_snap));
     if hit is not null then
       raise exception 'conflict' using errcode = '40001',
         detail = json_build_object('table', p_st.id, 'key', hit)::text;
     end if;
   end $f$`,

  // Writes the function that calls the table's own by its stored key: text made per call would be
  // planned per call. Run by each migration after the tables are known.
  `create or replace function kontract_private.make_dispatcher(p_tenant text) returns void
   language plpgsql volatile ${SETTINGS} as $f$
   declare cases text;
   begin
     select string_agg(format(
         'when %L then perform apply_%s(p_st, p_may, p_owner, p_snap, p_late, p_op);', st.key, st.key), ' ')
       into cases from storage st where st.owner = p_tenant;
     execute format($q$ create or replace function kontract_private.apply(
         p_st kontract.storage, p_may int, p_owner text, p_snap pg_snapshot, p_late boolean, p_op jsonb)
       returns void language plpgsql volatile ${HELPER} as $b$
       begin
         case p_st.key %s else raise exception 'moved' using errcode = '72000'; end case;
       end $b$ $q$, cases);
   end $f$`,

  // Steps 3 and 4.
  `create or replace function kontract_private.apply_ops(
     p_sid text, p_tenant text, p_owner text, p_bits int, p_group text, p_snap pg_snapshot, p_inc text,
     p_late boolean, p_ops jsonb) returns void
   language plpgsql volatile ${HELPER} as $f$
   #variable_conflict use_column
   declare ${HASHED_SID} s record; o jsonb; st kontract.storage; reads boolean; n int := 0;
   begin
     for o in select jsonb_array_elements(p_ops) loop
       n := n + 1;
       select x.owner, x.tenant, x.system, x.ugroups, x.create_txid, st.permissions & p_bits as may, i.value as known,
              st as st
         into s
         from trxs x join storage st on st.owner = x.tenant and st.id = o->>'t' ${INCARNATION}
        where ${ALIVE};
       -- Compared here, not in the condition: only the session's id may choose the index.
       if not found or s.tenant is distinct from p_tenant or s.owner is distinct from p_owner then
         perform refuse(p_sid, o->>'t');
       end if;
       st := s.st;
       reads := (o->'r' <> '[]') is not false or (o->'q' <> '[]') is not false;
       if (p_group is not null and (p_group = any (s.ugroups)) is not true) or (reads and (s.may & 4) is distinct from 4)
          or (not s.system and starts_with(st.id, '_')) then
         perform deny(p_group, s.ugroups, s.may, case when reads then 4 else 0 end, s.system, st.id);
       end if;
       if n = 1 then
         if p_snap is not null and (${
    staleSnapshot(incarnationText("s.known"), "st.epoch", "s.create_txid")
  }) then
           raise exception 'snapshot' using errcode = '72000';
         end if;
         if s.known is null then perform fill_incarnation(); end if;
       end if;
       -- Each table has its own horizon; one of the reads may have lost the versions that spoil it.
       if reads and (p_snap is null or pg_snapshot_xmin(p_snap) < st.horizon) then
         raise exception 'snapshot' using errcode = '72000';
       end if;
       if p_tenant = ${literal(DEFAULT_TENANT)} then
         perform apply(st, s.may, p_owner, p_snap, p_late, o);
       else
         perform apply_tenant(st, s.may, p_owner, p_snap, p_late, o);
       end if;
     end loop;
     if n = 0 then perform stored_answer(p_sid, p_tenant, p_owner, p_group, '', 0); end if;
   end $f$`,

  `create or replace function kontract.commit(
     p_sid text, p_tenant text, p_owner text, p_bits int, p_group text, p_snap pg_snapshot, p_inc text,
     p_lane text, p_reqno numeric, p_answer bytea, p_ops jsonb) returns text
   language plpgsql volatile ${DEFINER_MANY} as $f$
   #variable_conflict use_column
   begin ${INSIST} ${KNOWN_SESSION} ${recordEffect("p_tenant", "p_owner")}
     perform take_locks(p_tenant, p_ops);
     perform apply_ops(p_sid, p_tenant, p_owner, p_bits, p_group, p_snap, p_inc, p_lane is not null, p_ops);
     return pg_current_xact_id()::text;
   end $f$`,
];

/** True where a table's part of a commit takes the whole table. */
function wide(op: string): string {
  return `coalesce(${op}->'q' <> '[]'
                  or jsonb_array_length(${op}->'r') + jsonb_array_length(${op}->'w') > 64, true)`;
}

/** `raise` with a JSON detail that begins with the table's name. */
export function failure(
  table: TableSql,
  errcode: string,
  message: string,
  detail: string,
): string {
  return `raise exception '${message}' using errcode = '${errcode}',
         detail = json_build_object('table', ${literal(table.name)}${detail})::text;`;
}

/** Validates and applies one table's part of a commit. */
export function applyFunction(table: TableSql): string {
  const ptr = `kontract_private.${identifier(table.ptr)}`;
  const own = table.owned ? " and u._owner = p_owner" : "";
  const guarded = Object.keys(table.bits).length > 0;
  const fail = (errcode: string, message: string, detail: string) =>
    failure(table, errcode, message, detail);
  return `create or replace function kontract_private.apply_${table.key}(
     p_st kontract.storage, p_may int, p_owner text, p_snap pg_snapshot, p_late boolean, p_op jsonb)
   returns void language plpgsql volatile ${HELPER} as $f$
   declare
     me xid8 := pg_current_xact_id(); bad record; broken text; q jsonb;
     ids text[]; rows jsonb[]; o_ids text[]; o_owners text[]; o_orders bigint[]; o_datas jsonb[];
     locked text[]; kept text[];
   begin
     if p_st.ptr <> ${
    literal(table.ptr)
  } then raise exception 'moved' using errcode = '72000'; end if;
     ${
    table.swap === undefined
      ? ""
      : `if p_snap is not null and ${beforeSwap(table.swap)} then ${
        fail("40001", "conflict", "")
      } end if;`
  }
     if p_op->'r' <> '[]' then
       -- A subquery per key keeps to the live index; a join was planned as a walk over all live rows.
       select r.id into bad from (select e->>0 as id, e->>1 as txid from jsonb_array_elements(p_op->'r') e) r
        where (select u._txid::text from ${ptr} u where u.id = r.id and u._deleted_txid is null${own})
              is distinct from r.txid limit 1;
       if found then ${fail("40001", "conflict", ", 'key', bad.id")} end if;
     end if;
     if p_op->'q' <> '[]' then for q in select jsonb_array_elements(p_op->'q') loop
       perform validate_predicate(p_st, p_owner, p_op->'g', p_snap, q);
     end loop; end if;
     if p_op->'w' = '[]' then return; end if;
     select array_agg(e->>0 order by n), array_agg(nullif(e->1, 'null'::jsonb) order by n) into ids, rows
       from jsonb_array_elements(p_op->'w') with ordinality w(e, n);
     if ((p_may & 1) is distinct from 1 and array_position(rows, null) is not null)
        or ((p_may & 2) is distinct from 2 and array_remove(rows, null) <> '{}') then
       ${fail("42501", "table", "")}
     end if;
     -- A transaction id taken before waiting may be older than what it overwrites; the change feed
     -- orders by id, so such a call takes a new one.
     if p_late and pg_snapshot_xmax(pg_current_snapshot()) > me then
       ${newerVersion(ptr, { ids: "ids", me: "me", own })} into bad;
       if found then ${fail("40001", "conflict", ", 'key', bad.id")} end if;
     end if;
     with c as (update ${ptr} u set _deleted_txid = me
                 where u.id = any (ids) and u._deleted_txid is null${own}
                returning u.id, u._owner, u._order, u.data)
     select array_agg(c.id), array_agg(c._owner), array_agg(c._order), array_agg(c.data)
       into o_ids, o_owners, o_orders, o_datas from c;
     ${
    guarded
      ? fieldRules(
        `${literal(JSON.stringify(table.lazy))}::jsonb`,
        `${literal(JSON.stringify(table.defaults))}::jsonb`,
        fail,
      )
      : ""
  }
     ${
    write(
      table,
      "p_st.owner",
      `insert into ${ptr} (id, data, _owner, _order) ${
        newVersions("unnest(ids, rows)", "unnest(o_ids, o_owners, o_orders)", {
          owner: "p_owner",
          sequence: `kontract_private.${table.ptr}_seq`,
        })
      };`,
    )
  }
   end $f$`;
}

/** A key of `ids` with a version that was made or closed by a transaction after `me`. */
export function newerVersion(
  name: string,
  { ids, me, own }: { readonly ids: string; readonly me: string; readonly own: string },
): string {
  const search = (test: string): string =>
    `select u.id from ${name} u where u.id = any (${ids}) and ${test} > ${me}${own}`;
  return `${search("u._deleted_txid is null and u._txid")} union all ${
    search("u._deleted_txid")
  } limit 1`;
}

/**
 * Statements that write. A subtransaction, which has a transaction id of its own, only where another row can
 * have the same value: under its lock a key cannot. `tenant` is a SQL expression.
 */
export function write(table: TableSql, tenant: string, statements: string): string {
  if (!table.unique) return statements;
  const fields = `(select st.indexes->broken from storage st
             where st.owner = ${tenant} and st.id = ${literal(table.name)})`;
  return `begin
         ${statements}
       exception when unique_violation then
         get stacked diagnostics broken = constraint_name;
       end;
       if broken is not null then
         ${failure(table, "23505", "unique", `, 'fields', ${fields}`)}
       end if;`;
}

/** Rows of new versions, after those they follow were closed, which come as `closed`. */
export function newVersions(
  written: string,
  closed: string,
  { owner, sequence }: { readonly owner: string; readonly sequence: string },
): string {
  return `select w.id, w.data, coalesce(o.owner, ${owner}), coalesce(o.ord, nextval('${sequence}'))
         from ${written} with ordinality w(id, data, n)
         left join ${closed} o(id, owner, ord) on o.id = w.id
        where w.data is not null order by w.n`;
}

/**
 * Field rules: what may not be written keeps its value; what may not be read is not lost by a rewrite.
 * `lazy` and `defaults` are SQL expressions.
 */
export function fieldRules(
  lazy: string,
  defaults: string,
  failure: (errcode: string, message: string, detail: string) => string,
): string {
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
