/**
 * Functions about sessions: token check, opening, ending, refusing.
 *
 * Token checking leaks nothing: one error 28000 for every fault; the expected signature is made by a
 * VOLATILE function and assigned, so that it is never folded into a plan; comparison is by re-encoded
 * text with `is distinct from`; a missing key never equals an empty one.
 *
 * @module
 */
import { DEFAULT_TENANT } from "../tenant_name.ts";
import { DEFINER, literal, SETTINGS } from "./definer.ts";
import { ownerLock } from "./lock_keys.ts";
import { ALIVE_SID } from "./read.sql.ts";

/**
 * How long a database session lives: twice as long as a call may take, so that it outlasts one that begins in its
 * first half. The gateway opens another one where a call would not end in time.
 */
const SESSION_SECONDS = 1800;

/** Functions in the private schema. */
export const SESSION_HELPERS: readonly string[] = [
  // RFC 2104 with the key already folded into both pads.
  `create or replace function kontract_private.hmac(p_ipad bytea, p_opad bytea, p_message bytea)
   returns bytea language plpgsql volatile strict ${SETTINGS} as $f$
   begin return sha256(p_opad || sha256(p_ipad || p_message)); end $f$`,

  `create or replace function kontract_private.token_claims(p_token text) returns jsonb
   language plpgsql volatile ${SETTINGS} as $f$
   declare
     p text[]; k record; want bytea; c jsonb; issued numeric; ends numeric;
     t numeric := extract(epoch from clock_timestamp());
   begin
     if p_token is null or length(p_token) > 4096 then
       raise exception 'token' using errcode = '28000';
     end if;
     p := string_to_array(p_token, '.');
     if array_length(p, 1) is distinct from 3 or p[3] !~ '^[A-Za-z0-9_-]{43}$'
        or p[2] !~ '^[A-Za-z0-9_-]+$' then
       raise exception 'token' using errcode = '28000';
     end if;
     select x.ipad, x.opad into k from keys x where x.header = p[1];
     if not found or k.ipad is null or k.opad is null then
       raise exception 'token' using errcode = '28000';
     end if;
     want := hmac(k.ipad, k.opad, convert_to(p[1] || '.' || p[2], 'UTF8'));
     if translate(encode(want, 'base64'), E'+/=\\n', '-_') is distinct from p[3] then
       raise exception 'token' using errcode = '28000';
     end if;
     begin
       c := convert_from(decode(
         translate(p[2], '-_', '+/') || repeat('=', (4 - length(p[2]) % 4) % 4), 'base64'), 'UTF8')::jsonb;
       if jsonb_typeof(c->'exp') is distinct from 'number' or jsonb_typeof(c->'iat') is distinct from 'number'
          or c->>'iss' is distinct from 'kontract' or c->>'aud' is distinct from 'kontract-db'
          or jsonb_typeof(c->'sub') is distinct from 'string' or jsonb_typeof(c->'ten') is distinct from 'string'
          or jsonb_typeof(c->'fam') is distinct from 'string' or c->>'fam' = ''
          or coalesce(c->>'jti', '') !~ '^[0-9a-f]{32}$'
          or (c ? 'nbf' and jsonb_typeof(c->'nbf') is distinct from 'number')
          or (c ? 'sys' and jsonb_typeof(c->'sys') is distinct from 'boolean') then
         raise exception 'claims';
       end if;
       issued := (c->>'iat')::numeric;
       ends := (c->>'exp')::numeric;
       if ends <= t or ends - issued > 60 or issued > t + 30 or issued < t - 120
          or coalesce((c->>'nbf')::numeric, 0) > t + 30 then
         raise exception 'time';
       end if;
     exception when others then
       raise exception 'token' using errcode = '28000';
     end;
     return c;
   end $f$`,

  // Says why no live session was found; always raises.
  `create or replace function kontract_private.refuse(p_sid text, p_table text) returns void
   language plpgsql stable ${SETTINGS} as $f$
   declare x record;
   begin
     select s.expires_at into x from trxs s where s.sid = sha256(convert_to(p_sid, 'UTF8'));
     if not found then raise exception 'revoked' using errcode = '28000'; end if;
     if x.expires_at <= clock_timestamp() then raise exception 'expired' using errcode = '28000'; end if;
     raise exception 'table' using errcode = '42P01',
       detail = json_build_object('table', p_table)::text;
   end $f$`,

  // Says why a live session may not do this with a table; always raises.
  `create or replace function kontract_private.deny(
     p_group text, p_groups text[], p_may int, p_need int, p_system boolean, p_table text) returns void
   language plpgsql stable ${SETTINGS} as $f$
   begin
     if pg_is_in_recovery() then raise exception 'standby' using errcode = '25006'; end if;
     if p_group is not null and (p_group = any (p_groups)) is not true then
       raise exception 'group' using errcode = '42501';
     end if;
     if (p_may & p_need) is distinct from p_need or (not p_system and starts_with(p_table, '_')) then
       raise exception 'table' using errcode = '42501',
         detail = json_build_object('table', p_table)::text;
     end if;
     raise exception 'moved' using errcode = '72000';
   end $f$`,

  // Stands for the incarnation after a crash, before the first writer makes one: the checkpoint that each
  // recovery ends with, so that what was read after one crash is not taken for read after the next. Nothing
  // stands for it where the cluster hides that from the owner.
  `create or replace function kontract_private.unfilled() returns text
   language plpgsql stable ${SETTINGS} as $f$
   begin
     if not has_function_privilege('pg_control_checkpoint()', 'execute') then return ''; end if;
     return (select format('@%s@%s@%s', c.timeline_id, c.redo_lsn, extract(epoch from c.checkpoint_time)::bigint)
               from pg_control_checkpoint() c);
   end $f$`,

  `create or replace function kontract_private.fill_incarnation() returns void
   language plpgsql volatile ${SETTINGS} as $f$
   begin
     perform check_identity();
     delete from incarnation i where i.xmin <> i.filled_by;
     insert into incarnation (one, value, filled_by)
       values (true, encode(uuid_send(gen_random_uuid()), 'hex'), pg_current_xact_id()::xid)
       on conflict do nothing;
   end $f$`,

  // The groups an owner is in now; no row means none.
  `create or replace function kontract_private.groups_of(p_tenant text, p_owner text) returns text[]
   language plpgsql volatile ${SETTINGS} as $f$
   declare v_ptr text; g text[];
   begin
     select st.ptr into v_ptr from storage st where st.owner = p_tenant and st.id = '_users';
     if not found then return '{}'; end if;
     execute format($q$ select array_remove(array(select jsonb_array_elements_text(
         case when jsonb_typeof(u.data->'ugroups') = 'array' then u.data->'ugroups' else '[]' end)), null)
       from kontract_private.%I u where u.id = $1 and u._deleted_txid is null $q$, v_ptr)
       into g using p_owner;
     return coalesce(g, '{}');
   end $f$`,

  // Opening a session and changing groups meet on one lock, or a session could keep old groups.
  `create or replace function kontract_private.sync_groups() returns trigger
   language plpgsql volatile ${SETTINGS} as $f$
   declare g text[]; v_tenant text;
   begin
     -- Looked up, since everybody may read a trigger's arguments in the catalog.
     select st.owner into v_tenant from storage st where st.ptr = tg_table_name;
     perform pg_advisory_xact_lock(${ownerLock("v_tenant", "new.id")});
     g := groups_of(v_tenant, new.id);
     update trxs x set ugroups = g
       where x.tenant = v_tenant and x.owner = new.id and x.ugroups is distinct from g;
     return null;
   end $f$`,
];

/** Functions the gateway may call. */
export const SESSION_FUNCTIONS: readonly string[] = [
  // Exchanges a database token for a session. READ COMMITTED: each statement sees what is committed now.
  `create or replace function kontract.open_session(p_token text,
     out sid text, out owner text, out tenant text, out ugroups text[], out system boolean,
     out expires_ms double precision)
   language plpgsql volatile ${DEFINER} as $f$
   #variable_conflict use_column
   declare
     c jsonb; raw bytea; stone timestamptz; born timestamptz; missing boolean := false;
     ends timestamptz := clock_timestamp() + interval '${SESSION_SECONDS} seconds';
   begin
     -- Text and lists would be read otherwise than they are meant, commits fail.
     if pg_is_in_recovery() or current_setting('transaction_isolation') <> 'read committed'
        or current_setting('array_nulls') = 'off' or current_setting('standard_conforming_strings') = 'off' then
       perform insist();
     end if;
     c := token_claims(p_token);
     insert into token_ids (jti, expires_at)
       values (c->>'jti', clock_timestamp() + interval '5 minutes') on conflict do nothing;
     if not found then raise exception 'token' using errcode = '28000'; end if;
     -- The tenant's row is locked until this session is committed, and its removal locks it first, so a
     -- session is ended by the removal or is not opened.
     if c->>'ten' <> ${literal(DEFAULT_TENANT)} then
       select t.created_at into born from tenants t where t.name = c->>'ten' for key share;
       missing := not found;
       -- Where there was a tenant of this name before, an earlier token speaks of that one. Asked only
       -- then, since a gateway's clock may be behind.
       if (c->>'iat')::numeric < extract(epoch from born)
          and exists (select 1 from tombstones t where t.tenant = c->>'ten' and t.family = '') then
         raise exception 'token' using errcode = '28000';
       end if;
     end if;
     -- The family's row is locked until this session is committed, so that ending the family waits for
     -- it and then finds it. A row lock, since a stolen string could squat an advisory one.
     loop
       insert into tombstones (tenant, family, until) values (c->>'ten', c->>'fam', '-infinity')
         on conflict do nothing;
       select t.until into stone from tombstones t
        where t.tenant = c->>'ten' and t.family = c->>'fam' for share;
       exit when found;
     end loop;
     if stone > '-infinity' then raise exception 'revoked' using errcode = '28000'; end if;
     if missing then raise exception 'tenant' using errcode = '28000'; end if;
     perform pg_advisory_xact_lock_shared(${ownerLock("(c->>'ten')", "(c->>'sub')")});
     ugroups := groups_of(c->>'ten', c->>'sub');
     raw := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
                   || uuid_send(gen_random_uuid()));
     sid := translate(encode(raw, 'base64'), '+/=', '-_');
     owner := c->>'sub';
     tenant := c->>'ten';
     system := coalesce((c->>'sys')::boolean, false);
     expires_ms := floor(extract(epoch from ends) * 1000);
     insert into trxs (sid, owner, tenant, family, ugroups, system, expires_at)
       values (sha256(convert_to(sid, 'UTF8')), owner, tenant, c->>'fam', ugroups, system, ends);
     if not exists (select 1 from incarnation i where i.xmin = i.filled_by) then
       perform fill_incarnation();
     end if;
     -- Bounded housekeeping: what has ended goes away with later openings.
     delete from trxs x where x.sid in (select y.sid from trxs y
       where y.expires_at < now() - interval '1 hour' limit 8 for update skip locked);
     delete from token_ids x where x.jti in (select y.jti from token_ids y
       where y.expires_at < now() limit 8 for update skip locked);
     delete from tombstones x where (x.tenant, x.family) in (select y.tenant, y.family from tombstones y
       where y.until < now() and (y.tenant, y.family) <> (tenant, c->>'fam') limit 8 for update skip locked);
   end $f$`,

  // The groups of a live session now.
  `create or replace function kontract.check_session(p_sid text) returns text[]
   language plpgsql stable ${DEFINER} as $f$
   declare g text[];
   begin
     if pg_is_in_recovery() then raise exception 'standby' using errcode = '25006'; end if;
     select x.ugroups into g from trxs x where ${ALIVE_SID};
     if not found then perform refuse(p_sid, ''); end if;
     return g;
   end $f$`,

  // Ends a family in its system session's tenant; effective in the next operation of any session.
  `create or replace function kontract.revoke_family(p_sid text, p_family text, p_until_ms double precision)
   returns int language plpgsql volatile ${DEFINER} as $f$
   declare s record; n int;
   begin
     if pg_is_in_recovery() then raise exception 'standby' using errcode = '25006'; end if;
     select x.tenant, x.system into s from trxs x where ${ALIVE_SID};
     if not found then perform refuse(p_sid, ''); end if;
     if not s.system then raise exception 'system' using errcode = '42501'; end if;
     -- Waits for whoever is opening a session of this family; the next statement sees that session.
     insert into tombstones as t (tenant, family, until)
       values (s.tenant, p_family, greatest(to_timestamp(p_until_ms / 1000), now() + interval '2 minutes'))
       on conflict (tenant, family) do update set until = greatest(t.until, excluded.until);
     delete from trxs x where x.tenant = s.tenant and x.family = p_family;
     get diagnostics n = row_count;
     return n;
   end $f$`,

  // The sid of this transaction, hashed, for the row policies. Anyone without a sid sees no row.
  `create or replace function kontract.cur(out sid bytea, out tenant text)
   language plpgsql stable ${DEFINER} as $f$
   begin
     select x.sid, x.tenant into cur.sid, cur.tenant from trxs x
       where x.sid = sha256(convert_to(coalesce(current_setting('kontract.sid', true), ''), 'UTF8'))
         and x.expires_at > clock_timestamp();
   end $f$`,
];
