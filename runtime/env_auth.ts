/**
 * `env.auth`: accounts from an app's own code. What concerns the caller's own is `env_account.ts`; the rest is
 * administration.
 *
 * That is only in a function that declares a `ugroup`: whoever calls it must be in that group, and is looked up
 * again in the very transaction that applies the change, so a member removed a moment ago changes
 * nothing any more. Always in the caller's tenant.
 *
 * Not part of the call's transaction: what is done stays done if the call fails afterwards, and a call
 * that is run again after a conflict does it again (all of it may be done twice).
 *
 * @module
 */
import type { AuthAdmin } from "../auth/admin.ts";
import { KontractError } from "../_internal/errors.ts";
import type { CallContext } from "./context.ts";
import { type EnvAccount, envAccount } from "./env_account.ts";

/** Administration of the accounts of the caller's tenant. */
export interface EnvAuthAdmin {
  /**
   * Replaces a user's groups; they count in the user's next operation. Gives them sorted.
   *
   * @throws {KontractError} `NOT_FOUND`, `VALIDATION`, `FORBIDDEN`
   */
  setGroups(owner: string, groups: readonly string[]): Promise<readonly string[]>;
  /** A user's groups as stored now. @throws {KontractError} `NOT_FOUND`, `FORBIDDEN` */
  groupsOf(owner: string): Promise<readonly string[]>;
  /** Owner of an e-mail's account, or null. @throws {KontractError} `FORBIDDEN` */
  ownerOf(email: string): Promise<string | null>;
  /** Ends all sessions of a user at once; gives how many. @throws {KontractError} `FORBIDDEN` */
  endSessions(owner: string): Promise<number>;
}

/** Accounts of the caller's tenant, the caller's own first. */
export type EnvAuth = EnvAccount & EnvAuthAdmin;

/** The administration that a route may use: that of its group's members. */
export function routeAuth(
  admin: Pick<AuthAdmin, keyof EnvAuthAdmin>,
  caller: { readonly tenant: string; readonly owner: string; readonly ugroup: string },
): EnvAuthAdmin {
  const { tenant, owner, ugroup } = caller;
  const actor = { owner, group: ugroup };
  return {
    setGroups: (user, groups) => admin.setGroups(tenant, user, groups, actor),
    groupsOf: (user) => admin.groupsOf(tenant, user, actor),
    ownerOf: (email) => admin.ownerOf(tenant, email, actor),
    endSessions: (user) => admin.endSessions(tenant, user, actor),
  };
}

/** The face over whatever call is running when an operation runs. */
export function envAuth(find: () => CallContext): EnvAuth {
  const allowed = (changes: boolean): EnvAuthAdmin => {
    const { auth, route, readOnly } = find().options;
    if (auth === null) {
      throw new KontractError(
        "CONFIG",
        `env.auth administers accounts only in functions with a 'ugroup': '${route}' declares none.`,
      );
    }
    if (changes && readOnly) {
      throw new KontractError("CONFIG", `'${route}' is read-only: it may not change accounts.`);
    }
    return auth;
  };
  return {
    ...envAccount(find),
    setGroups: async (owner, groups) => await allowed(true).setGroups(owner, groups),
    groupsOf: async (owner) => await allowed(false).groupsOf(owner),
    ownerOf: async (email) => await allowed(false).ownerOf(email),
    endSessions: async (owner) => await allowed(true).endSessions(owner),
  };
}
