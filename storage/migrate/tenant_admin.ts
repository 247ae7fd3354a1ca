/**
 * Tenants on the admin's connection, for the command line: what a gateway does under a system session
 * (`storage/tenants.ts`), and how far each one is.
 *
 * @module
 */
import type postgres from "postgres";
import { KontractError } from "../../_internal/errors.ts";
import { checkDroppable, type TenantInfo } from "../tenants.ts";
import { checkTenantName } from "../tenant_name.ts";
import { repeatRace, withAdmin } from "./admin.ts";
import { isInstalled } from "./applied.ts";
import { OWNER_ROLE } from "./definer.ts";
import { hasTenants, laggingTenants } from "./tenant_rows.ts";

/** A tenant, and whether the last migration has reached it. */
export interface TenantStatus extends TenantInfo {
  /** True where `kontract migrate up` has to bring it along. */
  readonly lags: boolean;
}

/**
 * Makes a tenant; false where it was there.
 *
 * @throws {KontractError} `VALIDATION`, `CONFIG`, `DATABASE_UNAVAILABLE`
 */
export async function makeTenant(adminUrl: string, name: string): Promise<boolean> {
  return await change(adminUrl, "make_tenant", checkTenantName(name));
}

/**
 * Drops a tenant with all its rows; false where there was none.
 *
 * @throws {KontractError} `VALIDATION`, `CONFIG`, `DATABASE_UNAVAILABLE`
 */
export async function removeTenant(adminUrl: string, name: string): Promise<boolean> {
  return await change(adminUrl, "remove_tenant", checkDroppable(name));
}

/** All tenants beside `main`, by name. @throws {KontractError} `CONFIG`, `DATABASE_UNAVAILABLE` */
export async function tenantStatus(adminUrl: string): Promise<readonly TenantStatus[]> {
  return await asOwner(adminUrl, async (tx) => {
    const late = new Set((await laggingTenants(tx)).map(({ name }) => name));
    const rows = await tx`select name, created_at from kontract_private.tenants order by name`;
    return rows.map((row) => ({
      name: String(row.name),
      createdAt: row.created_at as Date,
      lags: late.has(String(row.name)),
    }));
  });
}

async function change(
  adminUrl: string,
  work: "make_tenant" | "remove_tenant",
  name: string,
): Promise<boolean> {
  return await asOwner(adminUrl, async (tx) => {
    await tx`set local lock_timeout = '2s'`;
    const [row] = await tx`select ${tx.unsafe(`kontract_private.${work}`)}(${name}) as done`;
    return row?.done === true;
  });
}

async function asOwner<T>(
  adminUrl: string,
  work: (tx: postgres.TransactionSql) => Promise<T>,
): Promise<T> {
  return await withAdmin({ adminUrl, name: "kontract tenants" }, async (sql) => {
    if (!(await isInstalled(sql))) throw notMigrated();
    return await repeatRace(() =>
      sql.begin(async (tx) => {
        await tx.unsafe(`set local role ${OWNER_ROLE}`);
        if (!(await hasTenants(tx))) throw notMigrated();
        return await work(tx);
      }) as Promise<T>
    );
  });
}

function notMigrated(): KontractError {
  return new KontractError(
    "CONFIG",
    "This database does not know tenants yet: run 'kontract migrate up' first.",
  );
}
