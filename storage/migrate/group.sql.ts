/**
 * First reads, and commits of a few rows, of several calls in one statement: `get_group_<key>` and
 * `put_group_<key>`. Most of what a statement costs a server is its setting up, which calls that are ready together
 * share so. A call of which anything is out of the ordinary (no session, a right, another version, a request that
 * was applied before, a lock that is not free) is left out of the answer and leaves no trace; whoever sent it sends
 * it alone, and `get_many` or `put_many` does it or says why not. So these functions raise nothing of a single
 * call, and wait for no lock: only, some milliseconds, for another statement that is recording the same request.
 *
 * Not for tables with rights of single fields or unique indexes.
 *
 * @module
 */
import { DEFINER_HOT_MANY, identifier, literal } from "./definer.ts";
import { KNOWN_INCARNATION, placeOf, type TableSql, visibleData } from "./read.sql.ts";
import { keepVersions } from "./table.sql.ts";

const GROUP = `${DEFINER_HOT_MANY}
  set lock_timeout = '10ms'`;

const GET_PARAMETERS =
  "p_sids text[], p_masks int[], p_roles text[], p_lanes text[], p_reqnos numeric[], p_lists text[]";

const PUT_PARAMETERS =
  `p_sids text[], p_owners text[], p_masks int[], p_roles text[], p_snaps pg_snapshot[], p_incs text[],
     p_lanes text[], p_reqnos numeric[], p_answers bytea[],
     p_members int[], p_keys text[], p_found xid8[], p_rows jsonb[]`;

/** So that each has the number of its call, whatever the bounds of the array that came. */
const NUMBERED = "p_owners := array(select * from unnest(p_owners));";

/** Both functions of a table that may have them; of another one they are dropped. */
export function groupFunctions(table: TableSql, tenant: string): readonly string[] {
  if (Object.keys(table.bits).length === 0 && !table.unique) {
    return [getGroup(table), putGroup(table, tenant)];
  }
  return [
    `drop function if exists kontract.get_group_${table.key}(${GET_PARAMETERS})`,
    `drop function if exists kontract.put_group_${table.key}(${PUT_PARAMETERS})`,
  ];
}

/** Condition for call `m` to have the bits. */
function hasBits(bits: number): string {
  return `st.permissions & m.bits & ${bits} = ${bits}`;
}

/** Joins call `m` with its session and the table, where it has the bits; each call by itself, by index. */
function sessions(table: TableSql, bits: string, more = ""): string {
  return `cross join lateral (
              select * from trxs x where x.sid = sha256(convert_to(m.sid, 'UTF8')) limit 1) x
            ${placeOf(table)} and st.owner = x.tenant ${KNOWN_INCARNATION} ${more}
      where x.expires_at > clock_timestamp() and ${bits}
        and (m.ugroup is null or m.ugroup = any (x.ugroups))${
    table.name.startsWith("_") ? " and x.system" : ""
  }`;
}

/**
 * The answer is `snap|incarnation|epoch|[[call, [[id, data, txid, owner, ord], …]], …]`, or null. Calls are counted
 * from 1; each one's keys are a JSON array in `p_lists`.
 */
function getGroup(table: TableSql): string {
  const rows = `cross join lateral (
              select coalesce(json_agg(json_build_array(u.id, ${
    visibleData(table)
  }, u._txid::text, u._owner, u._order)), '[]') as rows
                from kontract_private.${identifier(table.ptr)} u
               where u.id = any (array(select jsonb_array_elements_text(m.ids::jsonb)))
                 and u._deleted_txid is null${table.owned ? " and u._owner = x.owner" : ""}) r`;
  return `create or replace function kontract.get_group_${table.key}(${GET_PARAMETERS})
   returns text language plpgsql stable ${GROUP} as $f$
   #variable_conflict use_column
   declare answer text;
   begin
     select concat_ws('|', pg_current_snapshot(), min(i.value), min(st.epoch),
                      json_agg(json_build_array(m.n, r.rows))) into answer
       from unnest(p_sids, p_masks, p_roles, p_lanes, p_reqnos, p_lists) with ordinality
              m(sid, bits, ugroup, lane, reqno, ids, n)
            ${sessions(table, hasBits(4), rows)}
        and (m.lane is null or (select true from effects e where e.tenant = x.tenant and e.owner = x.owner
                                 and e.lane = m.lane and e.reqno = m.reqno limit 1) is null)
     having count(*) > 0;
     return answer;
   end $f$`;
}

/**
 * The answer names the calls that were applied, as `1,2,5`. Rows stand in the order of their calls, each with its
 * call in `p_members`. Either all of them were there when they were read, as version `p_found`, or that is null: no
 * call has read anything, and rows that are not there are new. Where `p_lanes` is null no call has a request id. No
 * key and no request is in it twice.
 */
function putGroup(table: TableSql, tenant: string): string {
  const ptr = `kontract_private.${identifier(table.ptr)}`;
  const own = literal(tenant);
  const at = `${own} || chr(10) || ${literal(table.name)}`;
  const ofOwner = table.owned ? " and t._owner = p_owners[k.member]" : "";
  const swapped = table.swap === undefined
    ? ""
    : ` and pg_visible_in_snapshot(${literal(table.swap)}::xid8, m.snap)`;
  return `create or replace function kontract.put_group_${table.key}(${PUT_PARAMETERS})
   returns text language plpgsql volatile ${GROUP} as $f$
   #variable_conflict use_column
   declare
     v_all int := cardinality(p_sids); v_asked int := 0; v_count int := 0;
     v_ours tid[]; v_out int[] := '{}'; v_good int[]; v_rows tid[];
   begin
     ${table.owned ? NUMBERED : ""}
     if p_lanes is not null then
       v_asked := v_all;
       insert into effects (tenant, owner, lane, reqno, answer)
         select ${own}, m.owner, m.lane, m.reqno, m.answer
           from unnest(p_owners, p_lanes, p_reqnos, p_answers) m(owner, lane, reqno, answer) on conflict do nothing;
       get diagnostics v_count = row_count;
     end if;
     if not pg_try_advisory_xact_lock_shared(hashtextextended(${at}, 11)) then
       raise exception 'busy' using errcode = '55P03';
     end if;
     if v_count is distinct from v_asked then
       ${ours()}
       v_out := array(select o.n from unnest(v_ours) with ordinality o(row, n) where o.row is null);
     end if;
     v_out := v_out || array(select k.member from unnest(p_members, p_keys) k(member, id)
       where not pg_try_advisory_xact_lock(hashtextextended(${at} || chr(10) || k.id, 12)));
     -- Now, in a fresh statement: who may, and which rows are as they were read.
     select g.good, r.rows into v_good, v_rows
       from (select coalesce(array_agg(m.n::int), '{}') as good
       from unnest(p_sids, p_owners, p_masks, p_roles, p_snaps, p_incs) with ordinality
              m(sid, owner, bits, ugroup, snap, inc, n)
            ${sessions(table, `(${hasBits(6)} or p_found is null and ${hasBits(2)})`)}
        and x.tenant = ${own} and x.owner = m.owner and m.n <> all (v_out)
        and current_setting('transaction_isolation') = 'read committed'
        and current_setting('synchronous_commit') <> 'off'
        and (p_found is null
          or m.inc = i.value || '.' || st.epoch and pg_snapshot_xmin(m.snap) >= st.horizon
             and pg_snapshot_xmax(m.snap) <= pg_snapshot_xmax(pg_current_snapshot())
             and pg_visible_in_snapshot(x.create_txid, m.snap)${swapped})) g
            -- A row is looked for where its call may have it, and only there.
            cross join lateral (
              select array_agg(u.ctid order by k.n) as rows
                from unnest(p_members, p_keys, p_found) with ordinality k(member, id, seen, n)
                     left join lateral (
                       select t.ctid from ${ptr} t
                        where k.member = any (g.good)
                          and t.id = k.id and t._deleted_txid is null and (p_found is null or t._txid = k.seen)
                          and t._txid <= pg_current_xact_id()${ofOwner} limit 1) u on true) r;
     if (v_count = v_asked and cardinality(v_good) = v_all and cardinality(p_owners) = v_all
         and array_position(v_rows, null) is null) is not true then
       -- Where nothing was read a row may be new, unless there is or was one that is newer than this transaction.
       v_good := array(select g from unnest(v_good) g where not exists (
         select from unnest(p_members, p_keys, v_rows) k(member, id, row)
          where k.member = g and k.row is null
            and (p_found is not null or ${found("is null")} or ${
    found("> pg_current_xact_id()")
  })));
       ${ours()}
       delete from effects e where e.ctid = any (array(
         select o.row from unnest(v_ours) with ordinality o(row, n)
          where o.row is not null and o.n <> all (v_good)));
       if p_found is null then
         ${table.owned ? "" : NUMBERED}
         insert into ${ptr} (id, data, _owner, _order)
           select k.id, k.data, p_owners[k.member], nextval('kontract_private.${table.ptr}_seq')
             from (select * from unnest(p_members, p_keys, v_rows, p_rows) with ordinality k(member, id, row, data, n)
                    where k.row is null and k.member = any (v_good) order by k.n) k;
       end if;
       select array_agg(k.row), array_agg(k.data) into v_rows, p_rows
         from unnest(p_members, v_rows, p_rows) k(member, row, data)
        where k.row is not null and k.member = any (v_good);
     end if;
     if v_rows is not null then
       ${keepVersions(ptr, "u.ctid = any (v_rows)")};
       update ${ptr} u set data = p_rows[array_position(v_rows, u.ctid)], _txid = pg_current_xact_id()
        where u.ctid = any (v_rows);
       get diagnostics v_count = row_count;
       -- Each row was written for one call, or nothing is.
       if v_count <> cardinality(v_rows) then raise exception 'twice' using errcode = '40001'; end if;
     end if;
     return array_to_string(v_good, ',');
   end $f$`;

  /** Whether there is a version of key `k.id` whose end is as it says; looked for where the call may have it. */
  function found(end: string): string {
    return `(select true from ${ptr} t where k.member = any (v_good)
                   and t.id = k.id and t._deleted_txid ${end}${ofOwner} limit 1) is not null`;
  }

  /**
   * Where the effect of each call stands that this statement has recorded; null for others. Each must be found, once,
   * or nothing is done: in a savepoint they have another transaction id, and stayed if they were to be taken back.
   */
  function ours(): string {
    return `v_ours := array(select (
         select e.ctid from effects e
          where e.tenant = ${own} and e.owner = m.owner and e.lane = m.lane and e.reqno = m.reqno
            and e.xmin = pg_current_xact_id()::xid and e.created_at = now() limit 1)
         from unnest(p_owners, p_lanes, p_reqnos) with ordinality m(owner, lane, reqno, n) order by m.n);
       if cardinality(array_remove(v_ours, null)) <> v_count then
         raise exception 'effects' using errcode = '40001';
       end if;`;
  }
}
