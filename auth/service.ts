/**
 * The auth service: every auth function behind one door, with what is the same for all of them.
 *
 * What a client can learn is decided here once: a {@link KontractError} passes, anything else leaves as
 * `INTERNAL` with its cause for the log.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { changePassword, logout, me, revokeSession, sessions } from "./account.ts";
import { groupsOf, importAccount, ownerOf, requireActor, setGroups, sweep } from "./admin.ts";
import type { AuthActor, AuthAdmin, ImportedAccount } from "./admin.ts";
import type {
  AuthFunction,
  AuthRequestContext,
  AuthService,
  Principal,
  SessionTokens,
} from "./contract.ts";
import { dropFamilies, requireFamily, revokeFamilies } from "./families.ts";
import { resolveAuthOptions } from "./options.ts";
import type { AuthOptions, AuthParts } from "./options.ts";
import { requestReset, requestVerification, resetPassword, verifyEmail } from "./recovery.ts";
import { link, register } from "./registration.ts";
import { anonymous, login, refresh } from "./sign_in.ts";

type Flow = (
  parts: AuthParts,
  argument: unknown,
  context: AuthRequestContext,
) => Promise<unknown>;

const FLOWS: Readonly<Record<AuthFunction, Flow>> = {
  anonymous,
  register,
  login,
  link,
  refresh,
  logout,
  me,
  changePassword,
  requestReset,
  resetPassword,
  requestVerification,
  verifyEmail,
  sessions,
  revokeSession,
};

/** Names of all auth functions. */
export const AUTH_FUNCTIONS: readonly AuthFunction[] = Object.keys(FLOWS) as AuthFunction[];

/** The service as its host sees it: what the gateway asks, and administration. */
export type KontractAuth = AuthService & AuthAdmin;

/**
 * Makes the service. No I/O and no key derivation happen before the first call.
 *
 * @throws {KontractError} `CONFIG` for options out of range
 */
export function createAuthService(options: AuthOptions): KontractAuth {
  return new Service(resolveAuthOptions(options));
}

/** Name of the function behind `POST /auth/<path>`, or null. */
export function authFunctionOf(path: string): AuthFunction | null {
  if (!/^[a-z]+(-[a-z]+)*$/.test(path)) return null;
  const name = path.replaceAll(/-([a-z])/g, (_all, letter: string) => letter.toUpperCase());
  return Object.hasOwn(FLOWS, name) ? name as AuthFunction : null;
}

/** The tokens in an auth function's answer, or null: what a gateway puts into cookies. */
export function sessionTokensOf(answer: unknown): SessionTokens | null {
  if (typeof answer !== "object" || answer === null) return null;
  const { access, refresh: next, expiresAt, owner, anonymous: anon } = answer as Partial<
    SessionTokens
  >;
  if (typeof access !== "string" || typeof next !== "string") return null;
  if (typeof expiresAt !== "number" || typeof owner !== "string" || typeof anon !== "boolean") {
    return null;
  }
  return { access, refresh: next, expiresAt, owner, anonymous: anon };
}

class Service implements KontractAuth {
  readonly #parts: AuthParts;

  constructor(parts: AuthParts) {
    this.#parts = parts;
  }

  verify(token: string): Promise<Principal> {
    return this.#parts.sessionTokens.verify(token);
  }

  async checkAlive(principal: Principal): Promise<void> {
    const { store, now } = this.#parts;
    await store.transaction(
      principal.tenant,
      (tx) => requireFamily(tx, principal, now()).then(() => {}),
    );
  }

  databaseToken(
    principal: Principal | { readonly system: true; readonly tenant: string },
  ): Promise<string> {
    return this.#parts.databaseTokens.mint(principal);
  }

  async call(
    name: AuthFunction,
    argument: unknown,
    context: AuthRequestContext,
  ): Promise<unknown> {
    const flow = Object.hasOwn(FLOWS, name) ? FLOWS[name] : undefined;
    if (flow === undefined) throw new KontractError("ROUTE_NOT_FOUND");
    const { tenant, address, principal } = context;
    if (principal !== null && principal.tenant !== tenant) throw new KontractError("UNAUTHORIZED");
    try {
      return await flow(this.#parts, argument, context);
    } catch (error) {
      if (!(error instanceof KontractError)) {
        throw new KontractError("INTERNAL", undefined, { cause: error });
      }
      if (error.code === "RATE_LIMITED") {
        this.#parts.audit({ type: "rate_limited", tenant, address, detail: name });
      }
      throw error;
    }
  }

  setGroups(
    tenant: string,
    owner: string,
    groups: readonly string[],
    actor?: AuthActor,
  ): Promise<readonly string[]> {
    return setGroups(this.#parts, tenant, owner, groups, actor);
  }

  groupsOf(tenant: string, owner: string, actor?: AuthActor): Promise<readonly string[]> {
    return groupsOf(this.#parts, tenant, owner, actor);
  }

  ownerOf(tenant: string, email: string, actor?: AuthActor): Promise<string | null> {
    return ownerOf(this.#parts, tenant, email, actor);
  }

  importAccount(tenant: string, account: ImportedAccount): Promise<string> {
    return importAccount(this.#parts, tenant, account);
  }

  async endSessions(tenant: string, owner: string, actor?: AuthActor): Promise<number> {
    const ended = await this.#parts.store.transaction(tenant, async (tx) => {
      await requireActor(tx, actor);
      return await dropFamilies(tx, owner, null);
    });
    await revokeFamilies(this.#parts, tenant, ended);
    for (const family of ended) {
      this.#parts.audit({ type: "session_revoked", tenant, address: "system", owner, family });
    }
    return ended.length;
  }

  sweep(tenant: string, from: number, to: number): Promise<number> {
    return sweep(this.#parts, tenant, from, to);
  }
}
