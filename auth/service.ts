/**
 * The auth service: every auth function behind one door, with what is the same for all of them.
 *
 * What a client can learn is decided here once: a {@link KontractError} passes, anything else leaves as
 * `INTERNAL` with its cause for the log.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { CredentialChange } from "./change_credentials.ts";
import type { AuthActor, AuthAdmin, ImportedAccount } from "./admin.ts";
import type {
  AuthFunction,
  AuthRequestContext,
  AuthService,
  Principal,
  SessionTokens,
} from "./contract.ts";
import { resolveAuthOptions } from "./options.ts";
import type { AuthOptions, AuthParts } from "./options.ts";
/** Names of all auth functions. */
export const AUTH_FUNCTIONS: readonly AuthFunction[] = [
  "anonymous",
  "register",
  "login",
  "link",
  "refresh",
  "logout",
  "me",
  "changePassword",
  "requestReset",
  "resetPassword",
  "requestVerification",
  "verifyEmail",
  "sessions",
  "revokeSession",
];

/** True for the name of an auth function. */
export function isAuthFunction(name: unknown): name is AuthFunction {
  return (AUTH_FUNCTIONS as readonly unknown[]).includes(name);
}

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
  return isAuthFunction(name) ? name : null;
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

/** Auth functions that change nothing. */
const READS: ReadonlySet<AuthFunction> = new Set(["me", "sessions"]);

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
    const { requireFamily } = await import("./families.ts");
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

  call(name: AuthFunction, argument: unknown, context: AuthRequestContext): Promise<unknown> {
    const work = this.#call(name, argument, context);
    return READS.has(name) ? work : this.#toItsEnd(work);
  }

  async #call(
    name: AuthFunction,
    argument: unknown,
    context: AuthRequestContext,
  ): Promise<unknown> {
    if (!isAuthFunction(name)) throw new KontractError("ROUTE_NOT_FOUND");
    const { tenant, address, principal } = context;
    if (principal !== null && principal.tenant !== tenant) throw new KontractError("UNAUTHORIZED");
    try {
      const { FLOWS } = await import("./flows.ts");
      return await FLOWS[name](this.#parts, argument, context);
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

  async setGroups(
    tenant: string,
    owner: string,
    groups: readonly string[],
    actor?: AuthActor,
  ): Promise<readonly string[]> {
    const { setGroups } = await admin();
    return await this.#toItsEnd(setGroups(this.#parts, tenant, owner, groups, actor));
  }

  async groupsOf(tenant: string, owner: string, actor?: AuthActor): Promise<readonly string[]> {
    return await (await admin()).groupsOf(this.#parts, tenant, owner, actor);
  }

  async ownerOf(tenant: string, email: string, actor?: AuthActor): Promise<string | null> {
    return await (await admin()).ownerOf(this.#parts, tenant, email, actor);
  }

  async importAccount(tenant: string, account: ImportedAccount): Promise<string> {
    return await (await admin()).importAccount(this.#parts, tenant, account);
  }

  async changeCredentials(
    principal: Principal,
    change: CredentialChange,
    address: string,
  ): Promise<SessionTokens> {
    const { changeCredentials } = await import("./change_credentials.ts");
    return await this.#toItsEnd(changeCredentials(this.#parts, principal, change, address));
  }

  async endSessions(tenant: string, owner: string, actor?: AuthActor): Promise<number> {
    const { endSessions } = await admin();
    return await this.#toItsEnd(endSessions(this.#parts, tenant, owner, actor));
  }

  /**
   * What changes something ends sessions behind its commit. Workers stop the request of a visitor who leaves: without
   * this a new password could stand beside sessions that it was to end.
   */
  #toItsEnd<T>(work: Promise<T>): Promise<T> {
    this.#parts.keep(work);
    return work;
  }

  async sweep(tenant: string, from: number, to: number): Promise<number> {
    return await (await admin()).sweep(this.#parts, tenant, from, to);
  }
}

/** Loaded by whoever needs it first, as the auth functions are: a start pays for neither. */
function admin(): Promise<typeof import("./admin.ts")> {
  return import("./admin.ts");
}
