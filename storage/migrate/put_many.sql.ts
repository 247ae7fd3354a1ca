/**
 * The commit of some rows of one table: as `put.sql.ts`, for up to 64 keys that were read or are written.
 * Where fields have rights of their own, rows may have to swap unique values, or a predicate was evaluated,
 * `commit` does it.
 *
 * @module
 */
import { failure, refuseDuplicate, staleSnapshot } from "./commit.sql.ts";
import { DEFINER_HOT, identifier, literal } from "./definer.ts";
import { ALIVE_SID, INCARNATION, type TableSql } from "./read.sql.ts";
import { beforeSwap } from "./retired.sql.ts";
import { keepVersions } from "./table.sql.ts";

/**
 * `put_many_<key>`: `p_rows` is `[[id, seen, operation, data], …]`, each key once. `seen` is null where
 * the row was not read, `""` where there was none, else the version; `operation` is 0 where it was only
 * read, 1 for a write, 2 for a delete.
 */
export function putManyFunction(table: TableSql, tenant: string): string {
  const ptr = `kontract_private.${identifier(table.ptr)}`;
  const name = literal(table.name);
  const at = `${literal(tenant)} || chr(10) || ${name}`;
  const fail = (errcode: string, message: string, detail: string) =>
    failure(table, errcode, message, detail);
  const locks = `pg_advisory_xact_lock_shared(hashtextextended(${at}, 11)) is null,
            (select count(case when k.x then pg_advisory_xact_lock(k.h) is null
                               else pg_advisory_xact_lock_shared(k.h) is null end)
               from (select hashtextextended(${at} || chr(10) || (e->>0), 12) as h, bool_or(e->2 <> '0') as x
                       from jsonb_array_elements(p_rows) e group by 1 order by 1) k)`;
  const from =
    `from trxs x join storage st on st.owner = x.tenant and st.id = ${name} ${INCARNATION}
            cross join lateral (
              select max(case when k.seen is not null then 4 else 0 end)
                     + max(case when k.op = 1 then 2 else 0 end)
                     + max(case when k.op > 0 and k.op <> 1 then 1 else 0 end) as need,
                     -- An id taken before waiting may be older than what it overwrites; see commit.
                     min(k.id) filter (where coalesce(u._txid::text, '') <> k.seen
                       or p_lane is not null and k.op > 0 and u._txid > pg_current_xact_id()) as hit,
                     array_agg(u.ctid) filter (where k.op = 1 and u.id is not null) as rows,
                     array_agg(k.data) filter (where k.op = 1 and u.id is not null) as changed,
                     array_agg(u.ctid) filter (where k.op = 2) as gone,
                     array_agg(k.id) filter (where k.op = 1 and u.id is null) as ids,
                     array_agg(k.data) filter (where k.op = 1 and u.id is null) as datas
                from (select e->>0 as id, e->>1 as seen, (e->2)::int as op, e->3 as data
                        from jsonb_array_elements(p_rows) e) k
                     -- Per key, which keeps to the live index; a join was planned as a walk over all rows.
                     left join lateral (
                       select t.ctid, t.id, t._txid from ${ptr} t
                        where t.id = k.id and t._deleted_txid is null${
      table.owned ? " and t._owner = x.owner" : ""
    } limit 1) u on true) r
      where ${ALIVE_SID}`;
  return `create or replace function kontract.put_many_${table.key}(
     p_sid text, p_owner text, p_bits int, p_group text, p_snap pg_snapshot, p_inc text,
     p_lane text, p_reqno numeric, p_answer bytea, p_rows jsonb)
   returns text language plpgsql volatile ${DEFINER_HOT} as $f$
   #variable_conflict use_column
   declare
     v_one boolean; v_two bigint; v_wrong text; v_need int; v_hit text; v_rows tid[]; v_changed jsonb[];
     v_gone tid[]; v_ids text[]; v_datas jsonb[]; broken text;
   begin
     if p_lane is null then
       select ${locks} into v_one, v_two;
     else
       insert into effects (tenant, owner, lane, reqno, answer)
         values (${literal(tenant)}, p_owner, p_lane, p_reqno, p_answer) on conflict do nothing
         returning ${locks} into v_one, v_two;
       if not found then
         return stored_answer(p_sid, ${literal(tenant)}, p_owner, p_group, p_lane, p_reqno);
       end if;
     end if;
     select r.rows, r.changed, r.gone, r.ids, r.datas into v_rows, v_changed, v_gone, v_ids, v_datas
       ${from} and x.tenant is not distinct from ${
    literal(tenant)
  } and x.owner is not distinct from p_owner
        and current_setting('transaction_isolation') = 'read committed'
        and current_setting('synchronous_commit') <> 'off'
        and st.permissions & p_bits & r.need = r.need and st.ptr = ${literal(table.ptr)}
        and (p_group is null or p_group = any (x.ugroups))${
    table.name.startsWith("_") ? " and x.system" : ""
  } and i.value is not null and r.hit is null
        and (p_snap is null and r.need & 4 = 0 or not (${
    staleSnapshot("i.value", "st.epoch", "x.create_txid")
  }) and (r.need & 4 = 0 or pg_snapshot_xmin(p_snap) >= st.horizon)${
    table.swap === undefined ? "" : ` and not (${beforeSwap(table.swap)})`
  });
     if not found then
       select case
         when pg_is_in_recovery() or current_setting('transaction_isolation') <> 'read committed'
              or current_setting('synchronous_commit') = 'off' then 'insist'
         when x.tenant <> ${literal(tenant)} or x.owner is distinct from p_owner then 'nobody'
         when (st.permissions & p_bits & r.need) is distinct from r.need or st.ptr <> ${
    literal(table.ptr)
  }
              or (p_group is not null and (p_group = any (x.ugroups)) is not true)${
    table.name.startsWith("_") ? " or not x.system" : ""
  } then 'deny'
         when p_snap is not null and (${staleSnapshot("i.value", "st.epoch", "x.create_txid")})
              or r.need & 4 = 4 and (p_snap is null or pg_snapshot_xmin(p_snap) < st.horizon) then 'snapshot'
         when r.hit is not null${
    table.swap === undefined ? "" : ` or p_snap is not null and ${beforeSwap(table.swap)}`
  } then 'conflict'
         when i.value is null then 'incarnation'
         else 'nothing' end,
         r.need, r.hit, r.rows, r.changed, r.gone, r.ids, r.datas
       into v_wrong, v_need, v_hit, v_rows, v_changed, v_gone, v_ids, v_datas
       ${from};
       if v_wrong is distinct from 'nothing' then
         perform put_wrong(v_wrong, p_sid, p_bits, p_group, v_need, ${name}, v_hit);
       end if;
     end if;
     if p_lane is not null and v_ids is not null then
       select k.id into v_hit from unnest(v_ids) k(id)
        where (select u.id from ${ptr} u
                where u.id = k.id and u._deleted_txid is not null
                  and u._deleted_txid > pg_current_xact_id()${
    table.owned ? " and u._owner = p_owner" : ""
  } limit 1) is not null limit 1;
       if found then ${fail("40001", "conflict", ", 'key', v_hit")} end if;
     end if;
     begin
       if v_gone is not null then
         update ${ptr} u set _deleted_txid = pg_current_xact_id() where u.ctid = any (v_gone);
       end if;
       if v_rows is not null then
         with kept as (${keepVersions(ptr, "u.ctid = any (v_rows)")})
         update ${ptr} u set data = w.data, _txid = pg_current_xact_id()
           from unnest(v_rows, v_changed) w(row, data) where u.ctid = w.row;
       end if;
       if v_ids is not null then
         insert into ${ptr} (id, data, _owner, _order)
           select w.id, w.data, p_owner, nextval('kontract_private.${table.ptr}_seq')
             from unnest(v_ids, v_datas) with ordinality w(id, data, n) order by w.n;
       end if;
     exception when unique_violation then
       get stacked diagnostics broken = constraint_name;
     end;
     ${refuseDuplicate(table, literal(tenant))}
     return '';
   end $f$`;
}
