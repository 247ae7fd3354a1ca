/**
 * Tenants: their making, their end, their list. The gateway has no right to create anything; under a system
 * session of `main` it may call these, whose DDL is text that a migration stored in `templates` with the
 * name of a physical table put in. No text of a caller gets into a statement.
 *
 * One call is one transaction: a tenant is there with all its tables or not at all. Locks, in this order:
 *
 * 1. `TENANTS_LOCK`, shared: the migration's own transaction, which replaces the templates, takes it
 *    exclusively, as does a rebase for the epoch, so that no tenant is made from what is about to change and then
 *    missed. So whatever a tenant is made from is read after it.
 * 2. the tenant's, exclusively: two calls about one tenant take turns, and a migration holds it while it
 *    works on the tenant.
 * 3. for a removal the lock of each table, which every commit shares, in hash order as a commit takes them.
 *
 * A new tenant's tables carry the transaction that made them as `swap_txid`: a snapshot or resume token that
 * does not see it, of an earlier tenant of this name for one, is refused.
 *
 * @module
 */
import { DEFAULT_TENANT, TENANT_NAME_SQL } from "../tenant_name.ts";
import { DEFINER, EXEC_SCHEMA, literal, SETTINGS } from "./definer.ts";
import { tableLock, tenantLock } from "./lock_keys.ts";
import { ALIVE_SID } from "./read.sql.ts";

/** Stands for the physical name in a template. */
export const TEMPLATE_PTR = `tbl_${"0".repeat(24)}`;

/** Key of the lock between the making of tenants and the change of templates. */
export const TENANTS_LOCK = "hashtextextended('kontract tenants', 0)";

/**
 * Tables. `tenants.state` is what the tenant's tables were last brought to and `run` the last run of
 * migration files they had; `templates` is how a declared table is made; `tenant_runs` is how to go back.
 */
export const TENANT_TABLES: readonly string[] = [
  `create index if not exists storage_ptr on kontract.storage (ptr)`,
  `create table if not exists kontract_private.tenants (
     name text collate "C" primary key check (name ~ ${literal(TENANT_NAME_SQL)}),
     state text not null,
     run bigint not null,
     created_at timestamptz not null default now())`,
  `create table if not exists kontract_private.templates (
     id text collate "C" primary key,
     ddl jsonb not null,
     entry jsonb not null)`,
  `create table if not exists kontract_private.tenant_runs (
     tenant text collate "C" not null references kontract_private.tenants (name) on delete cascade,
     run bigint not null,
     undo jsonb not null,
     primary key (tenant, run))`,
];

/** In a function: a live system session of `main`, and an actor who is in their group still. */
const MAY = `
     if pg_is_in_recovery() then raise exception 'standby' using errcode = '25006'; end if;
     if current_setting('transaction_isolation') <> 'read committed' then
       raise exception 'isolation' using errcode = '25001';
     end if;
     select x.tenant, x.system into s from trxs x where ${ALIVE_SID};
     if not found then perform refuse(p_sid, ''); end if;
     if not s.system or s.tenant <> ${literal(DEFAULT_TENANT)} then
       raise exception 'system' using errcode = '42501';
     end if;
     if p_group is not null and (p_group = any (groups_of(${
  literal(DEFAULT_TENANT)
}, p_actor))) is not true then
       raise exception 'group' using errcode = '42501';
     end if;`;

/** Longest life of a token that a client may hold of the tenant: a day, and some for clocks. */
const TOKENS_END = "now() + interval '25 hours'";

/** Functions in the private schema, for the owner: what they make is whose role runs them. */
export const TENANT_HELPERS: readonly string[] = [
  // False where the tenant was there.
  `create or replace function kontract_private.make_tenant(p_name text) returns boolean
   language plpgsql volatile ${SETTINGS} as $f$
   declare t record; d text; v_ptr text; life text;
   begin
     if p_name = ${literal(DEFAULT_TENANT)} then return false; end if;
     perform pg_advisory_xact_lock_shared(${TENANTS_LOCK});
     if exists (select 1 from tenants x where x.name = p_name) then return false; end if;
     perform pg_advisory_xact_lock(${tenantLock("p_name")});
     -- Later than any token for a tenant of this name that was dropped before; gateways count milliseconds.
     insert into tenants (name, created_at, state, run)
       values (p_name, date_trunc('milliseconds', clock_timestamp()) + interval '1 millisecond',
               coalesce((select m.value from meta m where m.name = 'tenants'), ''),
               coalesce((select max(r.id) from migrations r), 0))
       on conflict do nothing;
     if not found then return false; end if;
     life := (select min(st.epoch) from storage st);
     for t in select x.id, x.ddl, x.entry from templates x order by x.id loop
       v_ptr := 'tbl_' || encode(substr(sha256(
         uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 1, 12), 'hex');
       for d in select jsonb_array_elements_text(t.ddl) loop
         execute replace(d, ${literal(TEMPLATE_PTR)}, v_ptr);
       end loop;
       if exists (select 1 from execs x where x.tables ? t.id) then
         perform exec_show(v_ptr, (t.entry->>'owned')::boolean);
       end if;
       insert into storage select (jsonb_populate_record(null::kontract.storage, t.entry || jsonb_build_object(
         'owner', p_name, 'id', t.id, 'ptr', v_ptr, 'epoch', life, 'horizon', '0',
         'swap_txid', pg_current_xact_id(),
         'indexes', replace((t.entry->'indexes')::text, ${
    literal(TEMPLATE_PTR)
  }, v_ptr)::jsonb))).*;
     end loop;
     return true;
   end $f$`,

  // False where there was no such tenant. Its sessions end in the same transaction, and none comes back
  // by a token that is still good, not even into a new tenant of this name.
  `create or replace function kontract_private.remove_tenant(p_name text) returns boolean
   language plpgsql volatile ${SETTINGS} as $f$
   declare place record; v_ptr text;
   begin
     if p_name = ${
    literal(DEFAULT_TENANT)
  } then raise exception 'tenant' using errcode = '22023'; end if;
     perform pg_advisory_xact_lock_shared(${TENANTS_LOCK});
     perform pg_advisory_xact_lock(${tenantLock("p_name")});
     -- Waits for whoever is opening a session; the next statements see that session.
     perform 1 from tenants x where x.name = p_name for update;
     if not found then return false; end if;
     perform pg_advisory_xact_lock(l.h) from (
       select ${tableLock("st.owner", "st.id")} as h
         from storage st where st.owner = p_name order by 1) l;
     select st.ptr into v_ptr from storage st where st.owner = p_name and st.id = '_sessions';
     if found then
       execute format($q$ insert into tombstones as t (tenant, family, until)
           select $1, u.id, ${TOKENS_END} from kontract_private.%I u where u._deleted_txid is null
           on conflict (tenant, family) do update set until = greatest(t.until, excluded.until) $q$, v_ptr)
         using p_name;
     end if;
     insert into tombstones as t (tenant, family, until)
       select distinct x.tenant, x.family, ${TOKENS_END} from trxs x
        where x.tenant = p_name and not x.system
       on conflict (tenant, family) do update set until = greatest(t.until, excluded.until);
     insert into tombstones as t (tenant, family, until) values (p_name, '', ${TOKENS_END})
       on conflict (tenant, family) do update set until = greatest(t.until, excluded.until);
     delete from trxs x where x.tenant = p_name;
     delete from effects e where e.tenant = p_name;
     for place in select st.ptr, st.retired->>'ptr' as retired from storage st where st.owner = p_name loop
       foreach v_ptr in array array_remove(array[place.ptr, place.retired], null) loop
         execute format('drop view if exists ${EXEC_SCHEMA}.%I', v_ptr);
         execute format('drop table if exists kontract_private.%I', v_ptr);
         execute format('drop sequence if exists kontract_private.%I', v_ptr || '_seq');
       end loop;
     end loop;
     delete from storage st where st.owner = p_name;
     delete from tenants x where x.name = p_name;
     return true;
   end $f$`,
];

/** Functions the gateway may call. */
export const TENANT_FUNCTIONS: readonly string[] = [
  `create or replace function kontract.create_tenant(p_sid text, p_name text, p_actor text, p_group text)
   returns boolean language plpgsql volatile ${DEFINER} as $f$
   declare s record;
   begin ${MAY}
     return make_tenant(p_name);
   end $f$`,

  `create or replace function kontract.drop_tenant(p_sid text, p_name text, p_actor text, p_group text)
   returns boolean language plpgsql volatile ${DEFINER} as $f$
   declare s record;
   begin ${MAY}
     return remove_tenant(p_name);
   end $f$`,

  // Names after p_after, at most p_limit of them.
  `create or replace function kontract.list_tenants(
     p_sid text, p_actor text, p_group text, p_after text, p_limit int) returns json
   language plpgsql volatile ${DEFINER} as $f$
   declare s record;
   begin ${MAY}
     return coalesce((select json_agg(json_build_array(t.name,
         floor(extract(epoch from t.created_at) * 1000)) order by t.name)
       from (select x.name, x.created_at from tenants x where x.name > p_after
              order by x.name limit p_limit) t), '[]');
   end $f$`,
];
