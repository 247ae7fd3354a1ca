/**
 * The commit of one row: what `commit` does (see there for the order and what it promises), written
 * out for one table and one key. Most calls that write change one row they have read, or write one blindly.
 *
 * @module
 */
import { failure, freshly, INSIST, recordEffect, staleSnapshot } from "./commit.sql.ts";
import { DEFINER_HOT, identifier, literal } from "./definer.ts";
import { HASHED_SID, type TableSql } from "./read.sql.ts";
import { beforeSwap } from "./retired.sql.ts";

/**
 * `put_<key>`: `p_read` says whether the row was read by this call, and `p_seen` the version it was
 * (null: there was none). `p_data` null deletes.
 */
export function putFunction(table: TableSql, tenant: string): string {
  const ptr = `kontract_private.${identifier(table.ptr)}`;
  const own = table.owned ? " and u._owner = p_owner" : "";
  const name = literal(table.name);
  const at = `${literal(tenant)} || chr(10) || ${name}`;
  const fail = (errcode: string, message: string, detail: string) =>
    failure(table, errcode, message, detail);
  const guarded = Object.keys(table.bits).length > 0;
  const conflict = fail("40001", "conflict", ", 'key', p_id");
  const version = `select w.id, w.data, me, coalesce(v_owner, p_owner),
              coalesce(v_ord, nextval('kontract_private.${table.ptr}_seq'))
         from (select p_id as id, p_data as data) w`;
  return `create or replace function kontract.put_${table.key}(
     p_sid text, p_owner text, p_bits int, p_group text, p_grants jsonb, p_snap pg_snapshot, p_inc text,
     p_lane text, p_reqno numeric, p_answer bytea, p_id text, p_read boolean, p_seen xid8, p_data jsonb)
   returns text language plpgsql volatile ${DEFINER_HOT} as $f$
   #variable_conflict use_column
   declare ${HASHED_SID}
     me xid8; v_system boolean; v_groups text[]; v_created xid8; v_ptr text; v_horizon xid8; v_epoch text;
     v_may int; v_known text; v_indexes jsonb; v_need int; v_locked boolean; v_old xid8; v_owner text;
     v_ord bigint; v_before jsonb; broken text;
   begin ${INSIST} ${recordEffect(literal(tenant), "p_owner")}
     v_locked := pg_advisory_xact_lock_shared(hashtextextended(${at}, 11)) is null;
     v_locked := pg_advisory_xact_lock(hashtextextended(${at} || chr(10) || p_id, 12)) is null;
     select x.system, x.ugroups, x.create_txid, st.ptr, st.horizon, st.epoch, st.permissions & p_bits, i.value,
            st.indexes
       into v_system, v_groups, v_created, v_ptr, v_horizon, v_epoch, v_may, v_known, v_indexes
       ${freshly(name)} and x.tenant = ${literal(tenant)} and x.owner = p_owner;
     if not found then perform refuse(p_sid, ${name}); end if;
     v_need := case when p_data is null then 1 else 2 end + case when p_read then 4 else 0 end;
     if (v_may & v_need) is distinct from v_need or v_ptr <> ${literal(table.ptr)}
        or (p_group is not null and not p_group = any (v_groups))${
    table.name.startsWith("_") ? " or not v_system" : ""
  } then
       perform deny(p_group, v_groups, v_may, v_need, v_system, ${name});
     end if;
     if p_snap is not null and (${staleSnapshot("v_known", "v_epoch", "v_created")})
        or p_read and (p_snap is null or pg_snapshot_xmin(p_snap) < v_horizon) then
       raise exception 'snapshot' using errcode = '72000';
     end if;
     ${
    table.swap === undefined
      ? ""
      : `if p_snap is not null and ${beforeSwap(table.swap)} then ${conflict} end if;`
  }
     if v_known is null then perform fill_incarnation(); end if;
     me := pg_current_xact_id();
     update ${ptr} u set _deleted_txid = me where u.id = p_id and u._deleted_txid is null${own}
       returning u._txid, u._owner, u._order${guarded ? ", u.data" : ""}
            into v_old, v_owner, v_ord${guarded ? ", v_before" : ""};
     if p_read and v_old is distinct from p_seen then ${conflict} end if;
     -- As in commit: an id taken before waiting may be older than what it overwrites.
     if p_lane is not null then
       if v_old > me then ${conflict} end if;
       if v_old is null and pg_snapshot_xmax(pg_current_snapshot()) > me then
         perform 1 from ${ptr} u where u.id = p_id and u._deleted_txid > me${own} limit 1;
         if found then ${conflict} end if;
       end if;
     end if;
     if p_data is null then return me::text; end if;
     ${guarded ? guard(table, fail) : ""}
     insert into ${ptr} (id, data, _txid, _owner, _order)
       ${version} where ${table.check}
       on conflict do nothing;
     if not found then
       perform 1 from (select p_id as id, p_data as data) w where (${table.check}) is not true;
       if found then ${fail("23514", "value", ", 'key', p_id")} end if;
       begin
         insert into ${ptr} (id, data, _txid, _owner, _order) ${version};
       exception when unique_violation then
         get stacked diagnostics broken = constraint_name;
       end;
       if broken is not null then
         ${fail("23505", "unique", ", 'fields', v_indexes->broken")}
       end if;
     end if;
     return me::text;
   end $f$`;
}

/** Field rules for `p_data` over `v_before`, field by field; as in commit. */
function guard(
  table: TableSql,
  fail: (errcode: string, message: string, detail: string) => string,
): string {
  const lazy = `${literal(JSON.stringify(table.lazy))}::jsonb`;
  const defaults = `${literal(JSON.stringify(table.defaults))}::jsonb`;
  const fields = Object.entries(table.bits).map(([field, bits]) => {
    const name = literal(field);
    return `
     v_need := ${bits} | coalesce((p_grants->>${name})::int, 0);
     if v_need & 2 = 0 and p_data ? ${name} and p_data->${name} is distinct from v_before->${name} then
       ${fail("42501", "field", `, 'field', ${name}`)}
     end if;
     if v_need & 6 <> 6 and not p_data ? ${name} and v_before ? ${name} then
       p_data := p_data || jsonb_build_object(${name}, v_before->${name});
     end if;`;
  });
  return `v_before := case when v_old is null then ${defaults} else ${lazy} || v_before end;${
    fields.join("")
  }`;
}
