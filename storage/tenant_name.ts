/**
 * Names of tenants.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** Tenant of an app that has no others. Its tables have functions of their own. */
export const DEFAULT_TENANT = "main";

/** Begins the names of the statements of all other tenants: `tenant:query`. */
export const TENANT_PREFIX = "tenant:";

/** Name of a statement that serves every table, as the tenant's own: a pool counts the tables its connections meet. */
export function statementOf(tenant: string, name: string): string {
  return tenant === DEFAULT_TENANT ? name : TENANT_PREFIX + name;
}

/** What a tenant may be called; none of the characters that separate the parts of kept names. */
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** The same for the database. */
export const TENANT_NAME_SQL = "^[a-z0-9][a-z0-9-]{0,62}$";

/** Refuses what cannot be a tenant's name. @throws {KontractError} `VALIDATION` */
export function checkTenantName(name: unknown): string {
  if (typeof name === "string" && NAME.test(name)) return name;
  throw new KontractError(
    "VALIDATION",
    "A tenant's name has 1 to 63 characters of a-z 0-9 - and starts with a letter or digit.",
  );
}
