/**
 * The commit of one row of a tenant beside `main`: as `put_<key>` (see `put.sql.ts`), for any table, with text
 * made from its physical name. What the two statements of it do not find as it should be, a refusal, a
 * conflict, a value that another row has, is left to the steps of `commit`, which say why.
 *
 * @module
 */
import { INSIST, KNOWN_SESSION, staleSnapshot } from "./commit.sql.ts";
import { DEFINER } from "./definer.ts";
import { keyLock, tableLock } from "./lock_keys.ts";
import { ALIVE_SID, INCARNATION } from "./read.sql.ts";
import { keepVersions } from "./table.sql.ts";

const LOCKS = `pg_advisory_xact_lock_shared(${tableLock("p_tenant", "p_table")}) is null,
              pg_advisory_xact_lock(${keyLock("p_tenant", "p_table", "p_id")}) is null`;
const NEED = "(case when p_read then 6 else 2 end)";

/** In `format`: the table, and the condition for rows of the owner. */
const TABLE = "kontract_private.%1$I";
/** The live version that the call has read, or any; an id taken before waiting may be older than it. */
const AS_READ = `u.id = $1 and u._deleted_txid is null%2$s and (not $4 or u._txid = $5)
           and (not $6 or u._txid <= pg_current_xact_id())`;

/** Whether values of table `st` must be unique, by the names of its indexes. */
export const UNIQUE = `st.indexes::text ~ '_u[0-9a-f]{12}"'`;

/** Overwrites the row, or makes it where there is none. */
const WRITE = `
         execute format($q$ with kept as (${keepVersions(TABLE, AS_READ)})
             update ${TABLE} u set data = $2, _txid = pg_current_xact_id() where ${AS_READ} $q$, s.ptr, own)
           using p_id, p_data, p_owner, p_read, p_seen, p_lane is not null;
         get diagnostics made = row_count;
         if made = 0 and (not p_read or p_seen is null) then
           execute format($q$ insert into ${TABLE} (id, data, _owner, _order)
               select $1, $2, $3, nextval('kontract_private.%1$s_seq')
                where not exists (select 1 from ${TABLE} u where u.id = $1 and u._deleted_txid is null%2$s)
                  and not ($4 and exists (select 1 from ${TABLE} u
                        where u.id = $1 and u._deleted_txid > pg_current_xact_id()%2$s)) $q$, s.ptr, own)
             using p_id, p_data, p_owner, p_lane is not null;
           get diagnostics made = row_count;
         end if;`;

/** Functions the gateway may call. */
export const TENANT_PUT_FUNCTIONS: readonly string[] = [
  `create or replace function kontract.tenant_put(
     p_sid text, p_tenant text, p_owner text, p_bits int, p_group text, p_snap pg_snapshot, p_inc text,
     p_lane text, p_reqno numeric, p_answer bytea, p_table text, p_id text, p_read boolean, p_seen xid8,
     p_data jsonb) returns text
   language plpgsql volatile ${DEFINER} set enable_seqscan = off as $f$
   #variable_conflict use_column
   declare v_one boolean; v_two boolean; s record; own text; made bigint := 0;
   begin ${INSIST} ${KNOWN_SESSION}
     if p_lane is null then
       select ${LOCKS} into v_one, v_two;
     else
       insert into effects (tenant, owner, lane, reqno, answer)
         values (p_tenant, p_owner, p_lane, p_reqno, p_answer) on conflict do nothing
         returning ${LOCKS} into v_one, v_two;
       if not found then
         return stored_answer(p_sid, p_tenant, p_owner, p_group, p_lane, p_reqno);
       end if;
     end if;
     select st.ptr, st.owned, ${UNIQUE} as uniq into s
       from trxs x join storage st on st.owner = x.tenant and st.id = p_table ${INCARNATION}
      where ${ALIVE_SID} and x.tenant is not distinct from p_tenant and x.owner is not distinct from p_owner
        and st.permissions & p_bits & ${NEED} = ${NEED} and st.bits = '{}' and i.value is not null
        and (p_group is null or p_group = any (x.ugroups)) and (x.system or not starts_with(p_table, '_'))
        and (p_snap is null or not (${staleSnapshot("i.value", "st.epoch", "x.create_txid")})
             and coalesce(pg_visible_in_snapshot(st.swap_txid, p_snap), true))
        and (not p_read or pg_snapshot_xmin(p_snap) >= st.horizon);
     if found and p_data is not null then
       own := case when s.owned then ' and u._owner = $3' else '' end;
       -- A violation is looked at again by the steps of commit; a subtransaction has an id of its own.
       if s.uniq then
         begin ${WRITE}
         exception when unique_violation then
           made := 0;
         end;
       else ${WRITE}
       end if;
     end if;
     if made = 0 then
       perform apply_ops(p_sid, p_tenant, p_owner, p_bits, p_group, p_snap, p_inc, p_lane is not null,
         jsonb_build_array(jsonb_build_object('t', p_table, 'g', null, 'q', '[]'::jsonb,
           'r', case when p_read then jsonb_build_array(jsonb_build_array(p_id, p_seen::text)) else '[]' end,
           'w', jsonb_build_array(jsonb_build_array(p_id, p_data)))));
     end if;
     return '';
   end $f$`,
];
