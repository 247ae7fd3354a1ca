/**
 * What a database notes of its tenants beside `main`. As the owner.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { Statements } from "./statements.ts";

/** How far a tenant is. */
export interface TenantRow {
  readonly name: string;
  /** What its tables were last brought to; empty where that was undone. */
  readonly state: string;
  /** Last run of migration files that it had. */
  readonly run: number;
}

/** False for a database from before tenants could be made, too. */
export async function hasTenants(sql: Statements): Promise<boolean> {
  const [row] = await sql`select to_regclass('kontract_private.tenants') is not null as yes`;
  return row?.yes === true;
}

/** All tenants, by name. */
export async function readTenants(sql: Statements): Promise<readonly TenantRow[]> {
  if (!(await hasTenants(sql))) return [];
  const rows = await sql`
    select name, state, run::float8 as run from kontract_private.tenants order by name`;
  return rows.map(tenantRow);
}

/** One tenant, or null where there is none of this name. */
export async function readTenant(sql: Statements, name: string): Promise<TenantRow | null> {
  const [row] = await sql`
    select name, state, run::float8 as run from kontract_private.tenants where name = ${name}`;
  return row === undefined ? null : tenantRow(row);
}

function tenantRow(row: Readonly<Record<string, unknown>>): TenantRow {
  return { name: String(row.name), state: String(row.state), run: Number(row.run) };
}

/** Tenants that are behind what the last migration brought `main` to. */
export async function laggingTenants(sql: Statements): Promise<readonly TenantRow[]> {
  if (!(await hasTenants(sql))) return [];
  const [now] = await sql`
    select coalesce((select m.value from kontract_private.meta m where m.name = 'tenants'), '') as state,
           coalesce((select max(f.run) from kontract_private.migration_files f), 0)::float8 as run`;
  return (await readTenants(sql)).filter(({ state, run }) =>
    state !== now!.state || run < Number(now!.run)
  );
}

/** The same refusal, with the tenant it is about. */
export function ofTenant(error: unknown, tenant: string): unknown {
  if (!(error instanceof KontractError)) return error;
  return new KontractError(error.code, `Tenant '${tenant}': ${error.message}`, {
    cause: error,
    data: { ...(error.data as Record<string, unknown> | undefined), tenant },
  });
}
