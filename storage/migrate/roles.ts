/**
 * Roles, schemas and what is taken away from everyone else: `kontract_owner` owns all and cannot log
 * in; the gateway role can log in and owns nothing. Needs an admin connection that may create roles.
 *
 * Roles belong to the whole cluster, so several databases may create them at the same moment: each
 * statement can be repeated and a lost race is no error.
 *
 * @module
 */
import type postgres from "postgres";
import { identifier, literal, OWNER_ROLE } from "./definer.ts";
import { scramVerifier } from "./scram.ts";

/** The login role to create or update. */
export interface GatewayRole {
  readonly name: string;
  /** Left as it is where missing. */
  readonly password?: string;
}

/** Creates both roles where they are missing. Outside the migration's transaction. */
export async function ensureRoles(sql: postgres.Sql, gateway: GatewayRole): Promise<void> {
  await createRole(sql, OWNER_ROLE, "nologin");
  await createRole(sql, gateway.name, "login");
  const [flags] = await sql`
    select rolinherit or rolcreatedb or rolcreaterole or rolbypassrls or rolsuper or rolreplication
           or rolconnlimit = -1 as wide
      from pg_roles where rolname = ${gateway.name}`;
  if (flags?.wide === true) {
    await sql.unsafe(
      `alter role ${
        identifier(gateway.name)
      } noinherit nocreatedb nocreaterole connection limit 100`,
    );
  }
  if (gateway.password !== undefined) {
    const verifier = await scramVerifier(gateway.password);
    await sql.unsafe(`alter role ${identifier(gateway.name)} password ${literal(verifier)}`);
  }
  const [member] = await sql`
    select pg_has_role(current_user, ${OWNER_ROLE}, 'member') as yes`;
  if (member?.yes !== true) await sql.unsafe(`grant ${OWNER_ROLE} to current_user`);
}

async function createRole(sql: postgres.Sql, name: string, login: string): Promise<void> {
  const [found] = await sql`select 1 from pg_roles where rolname = ${name}`;
  if (found !== undefined) return;
  await sql.unsafe(
    `do $do$ begin create role ${identifier(name)} ${login};
       exception when duplicate_object or unique_violation then null; end $do$`,
  );
}

/** Schemas and the rights of PUBLIC; in the migration's transaction, as admin. */
export async function hardenDatabase(sql: postgres.TransactionSql, gateway: string): Promise<void> {
  const [db] =
    await sql`select current_database() as name, current_setting('is_superuser') = 'on' as super`;
  const database = identifier(String(db!.name));
  const role = identifier(gateway);
  for (
    const statement of [
      `create schema if not exists kontract authorization ${OWNER_ROLE}`,
      `create schema if not exists kontract_private authorization ${OWNER_ROLE}`,
      `revoke all on database ${database} from public`,
      `grant connect on database ${database} to ${role}`,
      `revoke all on schema public from public`,
      `alter default privileges for role ${OWNER_ROLE} revoke execute on functions from public`,
      `revoke all on schema kontract, kontract_private from public`,
      `grant usage on schema kontract to ${role}`,
      ...(db!.super === true ? [REVOKE_SUPERUSER_GRANTS] : []),
    ]
  ) await sql.unsafe(statement);
}

/** Large objects and raw WAL messages are writable by PUBLIC unless taken away. */
const REVOKE_SUPERUSER_GRANTS = `do $do$ declare f regprocedure; begin
  for f in select p.oid from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace
      and (p.proname like 'lo\\_%' or p.proname in ('lowrite', 'loread', 'pg_logical_emit_message'))
      and has_function_privilege('public', p.oid, 'execute') loop
    execute format('revoke execute on function %s from public', f);
  end loop; end $do$`;

/** Row policies and column grants: the gateway sees exactly two tables, its own session's rows only. */
export function gatewayGrants(gateway: string): readonly string[] {
  const role = identifier(gateway);
  return [
    `alter table kontract.storage enable row level security`,
    `alter table kontract.trxs enable row level security`,
    `drop policy if exists own on kontract.storage`,
    `drop policy if exists own on kontract.trxs`,
    `create policy own on kontract.storage for select
       using (owner = (select (kontract.cur()).tenant))`,
    `create policy own on kontract.trxs for select using (sid = (select (kontract.cur()).sid))`,
    `grant select (id, owner, permissions) on kontract.storage to ${role}`,
    `grant select (owner, tenant, expires_at) on kontract.trxs to ${role}`,
  ];
}
