/**
 * The commit of some rows of one table: as `put.sql.ts`, for up to 64 keys that were read or are written.
 * Where fields have rights of their own, rows may have to swap unique values, or a predicate was evaluated,
 * `commit` does it. A gateway of a build that knew of no such rights or values still calls this; on such a table
 * it takes the steps of `commit`.
 *
 * Rows are found per key and written by their place, or by a list of keys: a join with the table could be planned
 * as a walk over it. What few calls have (rows that are new, deletes, keys that were only read) has statements
 * of its own.
 *
 * @module
 */
import { failure, staleSnapshot } from "./commit.sql.ts";
import { DEFINER, DEFINER_HOT_MANY, identifier, literal } from "./definer.ts";
import { hasBits, knownSnapshot, mayCommit } from "./put.sql.ts";
import {
  ALIVE_SID,
  INCARNATION,
  incarnationText,
  placeOf,
  tableOf,
  type TableSql,
} from "./read.sql.ts";
import { beforeSwap } from "./retired.sql.ts";
import { keepVersions } from "./table.sql.ts";

const PARAMETERS =
  `p_sid text, p_owner text, p_bits int, p_group text, p_snap pg_snapshot, p_inc text,
     p_lane text, p_reqno numeric, p_answer bytea,
     p_keys text[], p_seen xid8[], p_rows jsonb[], p_gone text[], p_others text[], p_versions xid8[]`;

/** True where the call has read none of the rows; nothing at all needs everything. */
const READS_NOTHING =
  "(p_seen is null and p_others is null and (p_keys is not null or p_gone is not null))";

/** Bits that the commit needs, as a SQL expression of constants; see `put.sql.ts`. */
const NEED = `(case when p_seen is null and p_others is null then
                case when p_keys is null then case when p_gone is null then 7 else 1 end
                     when p_gone is null then 2 else 3 end
              else case when p_keys is null then case when p_gone is null then 4 else 5 end
                     when p_gone is null then 6 else 7 end end)`;

/** How many parameters `put_many_<key>` has. */
export const PUT_MANY_PARAMETERS = 15;

/** What was read, as `commit` takes it. */
export function readsOf(): string {
  const seen = (keys: string, versions: string): string =>
    `select k.id, k.seen from unnest(${keys}, ${versions}) k(id, seen) where k.seen is not null`;
  return `(select coalesce(json_agg(json_build_array(r.id, nullif(r.seen::text, '0'))), '[]')
             from (${seen("p_keys", "p_seen")} union all ${seen("p_others", "p_versions")}) r)`;
}

/** What is written, as `commit` takes it. */
export function writesOf(): string {
  return `(select coalesce(json_agg(json_build_array(w.id, w.data)), '[]')
             from (select * from unnest(p_keys, p_rows) union all select g, null from unnest(p_gone) g) w(id, data))`;
}

/** The same for a table that only `commit` can write. */
export function putManyByCommit(table: TableSql, tenant: string): string {
  return `create or replace function kontract.put_many_${table.key}(${PARAMETERS})
   returns text language plpgsql volatile ${DEFINER} as $f$
   begin
     return commit(p_sid, ${
    literal(tenant)
  }, p_owner, p_bits, p_group, p_snap, p_inc, p_lane, p_reqno, p_answer,
       jsonb_build_array(jsonb_build_object('t', ${
    literal(table.name)
  }, 'g', null, 'q', '[]'::jsonb,
         'r', ${readsOf()}, 'w', ${writesOf()})));
   end $f$`;
}

/**
 * `put_many_<key>`, each array null where it would be empty: `p_rows` is written under `p_keys`; `p_seen` holds
 * the versions of these that were read, null where a row was not and 0 where there was none, and is null where
 * none was read. `p_gone` is deleted. `p_others` were read, as `p_versions`, and are not among `p_keys`.
 */
export function putManyFunction(table: TableSql, tenant: string): string {
  const ptr = `kontract_private.${identifier(table.ptr)}`;
  const name = literal(table.name);
  const at = `${literal(tenant)} || chr(10) || ${name}`;
  const ofKey = (id: string) => `hashtextextended(${at} || chr(10) || ${id}, 12)`;
  const tableLock = `pg_advisory_xact_lock_shared(hashtextextended(${at}, 11)) is null`;
  const own = table.owned ? " and u._owner = p_owner" : "";
  const conflict = failure(table, "40001", "conflict", ", 'key', v_hit");
  return `create or replace function kontract.put_many_${table.key}(${PARAMETERS})
   returns text language plpgsql volatile ${DEFINER_HOT_MANY} as $f$
   #variable_conflict use_column
   declare
     v_one boolean; v_two bigint; v_wrong text; v_hit text; v_rows tid[]; v_gone tid[];
   begin
     if p_lane is null then
       v_one := ${tableLock};
     else
       insert into effects (tenant, owner, lane, reqno, answer)
         values (${literal(tenant)}, p_owner, p_lane, p_reqno, p_answer) on conflict do nothing
         returning ${tableLock} into v_one;
       if not found then
         return stored_answer(p_sid, ${literal(tenant)}, p_owner, p_group, p_lane, p_reqno);
       end if;
     end if;
     if p_others is null then
       select count(pg_advisory_xact_lock(k.h) is null) into v_two
         from (select ${ofKey("id")} as h from unnest(p_keys || p_gone) id order by 1) k;
     else
       select count(case when k.x then pg_advisory_xact_lock(k.h) is null
                         else pg_advisory_xact_lock_shared(k.h) is null end) into v_two
         from (select ${ofKey("id")} as h, bool_or(x) as x
                 from (select unnest(p_keys || p_gone) as id, true as x
                       union all select unnest(p_others), false) k group by 1 order by 1) k;
     end if;
     if p_seen is not null and p_gone is null and p_others is null then
       if array_position(p_seen, null) is null and array_position(p_seen, '0') is null then
         ${overwrite()}
       end if;
     end if;
     select r.rows into v_rows ${
    session(placeOf(table), rows("bool_and(coalesce(k.valid, true)) as valid"))
  }
        and ${hasBits(NEED)} and ${mayCommit(table, tenant)} and r.valid is not false
        and (${READS_NOTHING} and p_snap is null
          or ${
    knownSnapshot(table)
  } and (${READS_NOTHING} or pg_snapshot_xmin(p_snap) >= st.horizon));
     if not found then
       select case
         when pg_is_in_recovery() or current_setting('transaction_isolation') <> 'read committed'
              or current_setting('synchronous_commit') = 'off' then 'insist'
         when x.tenant <> ${literal(tenant)} or x.owner is distinct from p_owner then 'nobody'
         when (st.permissions & p_bits & ${NEED}) is distinct from ${NEED} or st.ptr <> ${
    literal(table.ptr)
  }
              or (p_group is not null and (p_group = any (x.ugroups)) is not true)${
    table.name.startsWith("_") ? " or not x.system" : ""
  } then 'deny'
         when p_snap is not null and (${
    staleSnapshot(incarnationText("i.value"), "st.epoch", "x.create_txid")
  })
              or not ${READS_NOTHING} and (p_snap is null or pg_snapshot_xmin(p_snap) < st.horizon) then 'snapshot'
         when r.hit is not null${
    table.swap === undefined ? "" : ` or p_snap is not null and ${beforeSwap(table.swap)}`
  } then 'conflict'
         when i.value is null then 'incarnation'
         else 'nothing' end, r.hit, r.rows
       into v_wrong, v_hit, v_rows ${
    session(tableOf(table, tenant), rows("min(k.id) filter (where not k.valid) as hit"))
  };
       if v_wrong is distinct from 'nothing' then
         perform put_wrong(v_wrong, p_sid, p_bits, p_group, ${NEED}, ${name}, v_hit);
       end if;
     end if;
     if p_others is not null then
       select k.id into v_hit from unnest(p_others, p_versions) k(id, seen)
        where coalesce(${live("t._txid")}, '0') is distinct from k.seen limit 1;
       if found then ${conflict} end if;
     end if;
     if p_gone is not null then
       select array_agg(k.row), min(k.id) filter (where k.txid > pg_current_xact_id()) into v_gone, v_hit
         from (select id, ${live("t.ctid")} as row, ${
    live("t._txid")
  } as txid from unnest(p_gone) k(id)) k;
       if v_hit is not null then ${conflict} end if;
       update ${ptr} u set _deleted_txid = pg_current_xact_id() where u.ctid = any (v_gone);
     end if;
     if v_rows is not null then
       ${keepVersions(ptr, "u.ctid = any (v_rows)")};
       update ${ptr} u set data = p_rows[array_position(p_keys, u.id)], _txid = pg_current_xact_id()
        where u.ctid = any (v_rows);
     end if;
     if cardinality(p_keys) > coalesce(cardinality(v_rows), 0) then
       if p_lane is not null then
         -- As in commit: an id taken before waiting may be older than what it follows.
         select k.id into v_hit from unnest(p_keys) k(id)
          where (select u.id from ${ptr} u
                  where u.id = k.id and u._deleted_txid is not null
                    and u._deleted_txid > pg_current_xact_id()${
    table.owned ? " and u._owner = p_owner" : ""
  } limit 1) is not null and ${live("t.id")} is null limit 1;
         if found then ${conflict} end if;
       end if;
       insert into ${ptr} (id, data, _owner, _order)
         select k.id, k.data, p_owner, nextval('kontract_private.${table.ptr}_seq')
           from (select k.id, k.data from unnest(p_keys, p_rows) with ordinality k(id, data, n)
                  where ${live("t.id")} is null order by k.n) k;
     end if;
     return '';
   end $f$`;

  /**
   * All that is written was read and was there. Then the copies of what is there are the search for it as well:
   * they are as many as the keys where nothing came between. Goes on where something is out of the ordinary.
   */
  function overwrite(): string {
    const live = `u.id = any (p_keys) and u._deleted_txid is null${own}`;
    return `perform 1 ${session(placeOf(table), "")} and ${hasBits("6")} and ${
      mayCommit(table, tenant)
    }
            and ${knownSnapshot(table)} and pg_snapshot_xmin(p_snap) >= st.horizon;
         if found then
           ${
      keepVersions(
        ptr,
        `${live} and u._txid <= pg_current_xact_id()
              and u._txid = p_seen[array_position(p_keys, u.id)]`,
      )
    };
           get diagnostics v_two = row_count;
           if v_two is distinct from cardinality(p_keys) then
             select k.id into v_hit from unnest(p_keys) k(id)
              where not exists (
                select from ${ptr} u where u.id = k.id and u._deleted_txid = pg_current_xact_id()${own}) limit 1;
             ${conflict}
           end if;
           update ${ptr} u set data = p_rows[array_position(p_keys, u.id)], _txid = pg_current_xact_id()
            where ${live};
           return '';
         end if;`;
  }

  /** The session with its table as `joined`, and what is joined with them. */
  function session(joined: string, more: string): string {
    return `from trxs x ${joined} ${INCARNATION} ${more}
      where ${ALIVE_SID}`;
  }

  /** As `r` what is there of the rows to be written. */
  function rows(more: string): string {
    return `cross join lateral (
              select array_agg(k.row) filter (where k.row is not null) as rows, ${more}
                from (select k.id, u.ctid as row,
                             (k.seen is null or coalesce(u._txid, '0') = k.seen)
                             and (u._txid <= pg_current_xact_id()) is not false as valid
                        from unnest(p_keys, p_seen) k(id, seen) left join lateral (
                          select t.ctid, t._txid from ${ptr} t
                           where t.id = k.id and t._deleted_txid is null${
      table.owned ? " and t._owner = x.owner" : ""
    } limit 1) u on true) k) r`;
  }

  /** Of the live version of key `k.id`. */
  function live(column: string): string {
    return `(select ${column} from ${ptr} t where t.id = k.id and t._deleted_txid is null${
      table.owned ? " and t._owner = p_owner" : ""
    } limit 1)`;
  }
}
