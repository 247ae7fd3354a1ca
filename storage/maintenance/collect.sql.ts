/**
 * Garbage collection, in the database: markers, horizons, and the removal of what nobody can ask for.
 *
 * A marker notes the oldest running transaction once a minute. The newest marker older than retention
 * gives the horizon H: every snapshot taken since has `xmin >= H`, so a version closed before H is
 * invisible to all of them. H is written to the table's row of `storage` under the table lock, which
 * every commit shares: whoever validates reads afterwards sees H and refuses older snapshots. Only the
 * next call removes versions, and needs no lock, since nobody reads them any more.
 *
 * One call does one bounded piece, so that a lock is never held longer than one statement:
 * `p_after` null writes a marker and sweeps Kontract's own tables; then one table at a time, first its
 * horizon, then up to `p_batch` versions; `done` is the last table. Two runs at once: the second is `busy`.
 *
 * Where a run stopped is noted, and the next begins there: a budget that does not reach round all tables
 * reaches all of them in turn.
 *
 * @module
 */
import { DEFINER, HELPER, literal } from "../migrate/definer.ts";
import { tableLock } from "../migrate/lock_keys.ts";
import { ALIVE_SID } from "../migrate/read.sql.ts";
import { FIRST_TABLE, TABLES_PROBED } from "../sql/collect.sql.ts";

/** Functions in the private schema. */
export const COLLECT_HELPERS: readonly string[] = [
  `create or replace function kontract_private.note_collected(p_place text) returns void
   language sql volatile ${HELPER} as $f$
   insert into meta as m (name, value) values ('collected', p_place)
     on conflict (name) do update set value = excluded.value where m.value <> excluded.value
   $f$`,
];

/** Functions the gateway may call under a system session. */
export const COLLECT_FUNCTIONS: readonly string[] = [
  `create or replace function kontract.collect(
     p_sid text, p_retention_ms double precision, p_batch int, p_after text,
     out removed bigint, out swept bigint, out horizon text, out after text, out done boolean, out busy boolean)
   language plpgsql volatile ${DEFINER} set enable_seqscan = off as $f$
   #variable_conflict use_column
   declare
     s record; t record; h xid8; life text; n bigint; again boolean; probed int := 0;
     keep interval; place text;
   begin
     removed := 0; swept := 0; after := p_after; done := false; busy := false;
     if pg_is_in_recovery() then raise exception 'standby' using errcode = '25006'; end if;
     if current_setting('transaction_isolation') <> 'read committed' then
       raise exception 'isolation' using errcode = '25001';
     end if;
     select x.system into s from trxs x where ${ALIVE_SID};
     if not found then perform refuse(p_sid, ''); end if;
     if not s.system then raise exception 'system' using errcode = '42501'; end if;
     -- A call lives for minutes at most: less would end snapshots that are in use.
     if p_retention_ms is null or not p_retention_ms between 300000 and 31536000000
        or p_batch is null or p_batch not between 1 and 100000 then
       raise exception 'bounds' using errcode = '22023';
     end if;
     keep := make_interval(secs => p_retention_ms / 1000);
     if not pg_try_advisory_xact_lock(hashtextextended('kontract garbage', 0)) then
       busy := true;
       return;
     end if;
     life := (select st.epoch from storage st limit 1);
     if life is null then done := true; return; end if;

     if p_after is null then
       if not exists (select 1 from markers m where m.incarnation = life
                        and m.at between clock_timestamp() - interval '50 seconds' and clock_timestamp()) then
         -- The clock is read after the snapshot, so a younger snapshot never has a smaller xmin.
         insert into markers (incarnation, horizon, at)
           select life, pg_snapshot_xmin(pg_current_snapshot()), clock_timestamp() on conflict do nothing;
       end if;
       delete from markers m where m.incarnation <> life or m.at < (
         select max(o.at) from markers o where o.incarnation = life and o.at < clock_timestamp() - keep);
       -- An effect outlives every ticket and token with which its request could come again.
       delete from effects e where e.ctid = any (array(select x.ctid from effects x
         where x.created_at < now() - greatest(keep, interval '24 hours') limit p_batch for update skip locked));
       get diagnostics n = row_count;
       swept := n; again := n >= p_batch;
       delete from trxs e where e.ctid = any (array(select x.ctid from trxs x
         where x.expires_at < now() - interval '1 hour' limit p_batch for update skip locked));
       get diagnostics n = row_count;
       swept := swept + n; again := again or n >= p_batch;
       delete from token_ids e where e.ctid = any (array(select x.ctid from token_ids x
         where x.expires_at < now() limit p_batch for update skip locked));
       get diagnostics n = row_count;
       swept := swept + n; again := again or n >= p_batch;
       delete from tombstones e where e.ctid = any (array(select x.ctid from tombstones x
         where x.until < now() limit p_batch for update skip locked));
       get diagnostics n = row_count;
       swept := swept + n; again := again or n >= p_batch;
       if not again then
         after := coalesce((select m.value from meta m where m.name = 'collected'), ${
    literal(FIRST_TABLE)
  });
       end if;
       return;
     end if;

     h := (select m.horizon from markers m
            where m.incarnation = life and m.at < clock_timestamp() - keep order by m.at desc limit 1);
     -- A marker from the future of this cluster belongs to another one.
     if h is null or h > pg_snapshot_xmin(pg_current_snapshot()) then done := true; return; end if;
     horizon := h::text;
     for t in select st.owner, st.id, st.ptr, st.horizon from storage st
               where (st.owner, st.id) > (p_after::jsonb->>0, p_after::jsonb->>1)
               order by st.owner, st.id limit ${TABLES_PROBED} loop
       probed := probed + 1;
       -- Taken back at once with its lock: who drops a tenant has the lock waited for below, and wants this table.
       begin
         execute format('select exists (select 1 from kontract_private.%I u where u._deleted_txid < $1)', t.ptr)
           into again using h;
         raise exception using errcode = 'KT000';
       exception
         when sqlstate 'KT000' then null;
         when undefined_table then again := false; -- its tenant was dropped meanwhile
         when lock_not_available then again := false; -- a migration has it; the next run comes by
       end;
       place := json_build_array(t.owner, t.id)::text;
       if again and t.horizon < h then
         begin
           perform pg_advisory_xact_lock(${tableLock("t.owner", "t.id")});
           update storage st set horizon = h
             where st.owner = t.owner and st.id = t.id and st.horizon < h;
           return; -- the same table again, its horizon committed
         exception when lock_not_available then
           again := false; -- too busy now; the next run comes by
         end;
       end if;
       if again then
         begin
           execute format($q$ delete from kontract_private.%1$I u where u.ctid = any (array(
               select o.ctid from kontract_private.%1$I o where o._deleted_txid < $1
                order by o._deleted_txid limit $2 for update skip locked)) $q$, t.ptr)
             using h, p_batch;
           get diagnostics removed = row_count;
         exception when undefined_table or lock_not_available then null; -- as above
         end;
         if removed < p_batch then after := place; end if;
         perform note_collected(place);
         return;
       end if;
       after := place;
     end loop;
     done := probed < ${TABLES_PROBED};
     perform note_collected(case when done then ${literal(FIRST_TABLE)} else place end);
   end $f$`,
];
