/**
 * Names of tenants.
 *
 * @module
 */

/** Tenant of an app that has no others. Its tables have functions of their own. */
export const DEFAULT_TENANT = "main";
