/**
 * Roles and their grants: `kontract_owner` owns all and cannot log in; `kontract_exec` runs queries and cannot
 * log in; the gateway role can log in and owns nothing. Needs an admin connection that may create roles.
 *
 * Roles belong to the whole cluster, so several databases may create them at the same moment: each
 * statement can be repeated and a lost race is no error.
 *
 * @module
 */
import type postgres from "postgres";
import { KontractError } from "../../_internal/errors.ts";
import {
  DISK_SETTING,
  EXEC_ROLE,
  identifier,
  literal,
  NO_TRANSACTION_TIMEOUT,
  OWNER_ROLE,
  ROLE_SETTINGS,
} from "./definer.ts";
import { scramVerifier } from "./scram.ts";

/** The login role to create or update. */
export interface GatewayRole {
  readonly name: string;
  /** Left as it is where missing. */
  readonly password?: string;
}

/**
 * Creates the roles where they are missing. Outside the migration's transaction.
 *
 * @throws {KontractError} `CONFIG` where the gateway role is one that must not be narrowed.
 */
export async function ensureRoles(sql: postgres.Sql, gateway: GatewayRole): Promise<void> {
  await createRole(sql, OWNER_ROLE, "nologin");
  await createRole(sql, EXEC_ROLE, "nologin");
  await createRole(sql, gateway.name, "login");
  await narrow(sql, gateway.name);
  const [server] = await sql`
    select current_setting('is_superuser') = 'on' as super,
           current_setting('server_version_num')::int as version`;
  const settings = [
    ...ROLE_SETTINGS,
    ...(Number(server!.version) >= 170000 ? [NO_TRANSACTION_TIMEOUT] : []),
    ...(server!.super === true ? [DISK_SETTING] : []),
  ];
  for (const setting of settings) {
    await sql.unsafe(`alter role ${identifier(gateway.name)} set ${setting}`);
  }
  if (gateway.password !== undefined) {
    const verifier = await scramVerifier(gateway.password);
    await sql.unsafe(`alter role ${identifier(gateway.name)} password ${literal(verifier)}`);
  }
  for (const role of [OWNER_ROLE, EXEC_ROLE]) await actAs(sql, role);
}

/** From version 16 on, a role made by CREATEROLE is administered by its maker but not inherited. */
async function actAs(sql: postgres.Sql, role: string): Promise<void> {
  const [member] = await sql`
    select current_setting('is_superuser') = 'on'
        or pg_has_role(current_user, ${role},
             case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end) as yes`;
  if (member?.yes !== true) await sql.unsafe(`grant ${role} to current_user`);
}

/** Takes from the gateway role what it has and does not need; names only that, or rights would lack. */
async function narrow(sql: postgres.Sql, gateway: string): Promise<void> {
  const [flags] = await sql`
    select rolsuper as superuser, rolname = current_user or rolname = ${OWNER_ROLE} as other,
           rolinherit as inherit, rolcreatedb as createdb, rolcreaterole as createrole,
           rolbypassrls as bypassrls, rolreplication as replication, rolconnlimit = -1 as endless
      from pg_roles where rolname = ${gateway}`;
  if (flags?.superuser === true || flags?.other === true) {
    throw new KontractError(
      "CONFIG",
      `Role '${gateway}' cannot be the gateway's: it owns or may do too much. Choose another name.`,
    );
  }
  const wide = (["inherit", "createdb", "createrole", "bypassrls", "replication"] as const)
    .filter((name) => flags?.[name] === true).map((name) => `no${name}`);
  if (flags?.endless === true) wide.push("connection limit 100");
  if (wide.length > 0) await sql.unsafe(`alter role ${identifier(gateway)} ${wide.join(" ")}`);
}

async function createRole(sql: postgres.Sql, name: string, login: string): Promise<void> {
  const [found] = await sql`select 1 from pg_roles where rolname = ${name}`;
  if (found !== undefined) return;
  await sql.unsafe(
    `do $do$ begin create role ${identifier(name)} ${login};
       exception when duplicate_object or unique_violation then null; end $do$`,
  );
}

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
