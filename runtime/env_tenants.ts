/**
 * Tenants from an app's own code: `env.tenants` in a function, `tenants` of the server for the host's code.
 *
 * `main` administers the others: `env.tenants` works in functions that declare a `ugroup`, called by a user of
 * `main`, who is looked up again in the very statement that makes or drops the tenant. Not part of the
 * call's transaction: a tenant that was made stays where the call fails afterwards, and making it again is
 * no mistake.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Database } from "../storage/database.ts";
import { DEFAULT_TENANT } from "../storage/tenant_name.ts";
import {
  createTenant,
  dropTenant,
  listTenants,
  type TenantActor,
  type TenantAuthority,
  type TenantInfo,
} from "../storage/tenants.ts";
import type { CallContext } from "./context.ts";
import type { SessionCache } from "./session_cache.ts";
import { inSystemSession } from "./system_session.ts";

export type { TenantInfo } from "../storage/tenants.ts";

/**
 * The tenants of an app beside `main`.
 *
 * @example
 * ```ts
 * import { backend, env } from "@kontract/kontract";
 *
 * export class Companies {
 *   /// Moves a company in. Once more does no harm.
 *   @backend({ ugroup: "operators" })
 *   static async moveIn(name: string): Promise<boolean> {
 *     return await env.tenants.create(name);
 *   }
 * }
 * ```
 */
export interface EnvTenants {
  /**
   * Makes a tenant, with an empty table for each that the app declares. Gives false where it is there already.
   *
   * @param name 1 to 63 characters of `a-z 0-9 -`, the first a letter or digit
   * @throws {KontractError} `VALIDATION`, `FORBIDDEN`; `CONFLICT` while a migration works on it
   */
  create(name: string): Promise<boolean>;
  /**
   * Drops a tenant with all its rows, users and sessions, at once and for good. Gives false where there is none.
   *
   * @throws {KontractError} `VALIDATION` for `main`, `FORBIDDEN`; `CONFLICT` while it is too busy to stop
   */
  drop(name: string): Promise<boolean>;
  /** All tenants beside `main`, by name. @throws {KontractError} `FORBIDDEN` */
  list(): Promise<readonly TenantInfo[]>;
}

/** Administration of tenants, on a user's authority or, without an actor, on that of the host's code. */
export interface TenantAdmin {
  /** As {@link EnvTenants.create}. */
  create(name: string, actor?: TenantActor): Promise<boolean>;
  /** As {@link EnvTenants.drop}. */
  drop(name: string, actor?: TenantActor): Promise<boolean>;
  /** As {@link EnvTenants.list}. */
  list(actor?: TenantActor): Promise<readonly TenantInfo[]>;
}

/** The administration over a gateway's database. `forget` is told of each tenant that changed. */
export function tenantAdmin({ database, sessions, forget }: {
  readonly database: Database;
  readonly sessions: SessionCache;
  forget(tenant: string): void;
}): TenantAdmin {
  const asSystem = async <T>(
    actor: TenantActor | undefined,
    work: (authority: TenantAuthority) => Promise<T>,
  ): Promise<T> =>
    await inSystemSession(
      sessions,
      DEFAULT_TENANT,
      (session) => work({ session, actor: actor ?? null }),
    );
  return {
    create: (name, actor) => asSystem(actor, (by) => createTenant(database, by, name)),
    async drop(name, actor): Promise<boolean> {
      const dropped = await asSystem(actor, (by) => dropTenant(database, by, name));
      forget(name);
      return dropped;
    },
    list: (actor) => asSystem(actor, (by) => listTenants(database, by)),
  };
}

/** The administration that a route may use: that of its group's members. */
export function routeTenants(
  admin: TenantAdmin,
  { tenant, owner, ugroup }: {
    readonly tenant: string;
    readonly owner: string;
    readonly ugroup: string;
  },
): EnvTenants {
  const actor = { owner, group: ugroup };
  const allowed = (): TenantAdmin => {
    if (tenant === DEFAULT_TENANT) return admin;
    throw new KontractError("FORBIDDEN", `Tenants are administered from '${DEFAULT_TENANT}'.`);
  };
  return {
    create: async (name) => await allowed().create(name, actor),
    drop: async (name) => await allowed().drop(name, actor),
    list: async () => await allowed().list(actor),
  };
}

/** The face over whatever call is running when an operation runs. */
export function envTenants(find: () => CallContext): EnvTenants {
  const allowed = (changes: boolean): EnvTenants => {
    const { tenants, route, readOnly } = find().options;
    if (tenants === null) {
      throw new KontractError(
        "CONFIG",
        `env.tenants exists only in functions with a 'ugroup': '${route}' declares none.`,
      );
    }
    if (changes && readOnly) {
      throw new KontractError("CONFIG", `'${route}' is read-only: it may not change tenants.`);
    }
    return tenants;
  };
  return {
    create: async (name) => await allowed(true).create(name),
    drop: async (name) => await allowed(true).drop(name),
    list: async () => await allowed(false).list(),
  };
}
