/**
 * `env.auth` for the caller's own account: what `/auth` and the generated client do, from an app's own code. For
 * APIs whose sign-in has a form of its own, and for whatever belongs beside one.
 *
 * Password rules, limits of attempts and audit are those of `/auth`; an address that the host knows counts as
 * the caller's.
 *
 * Not part of the call's transaction: what is done stays done if the call fails afterwards, and a call that is run
 * again after a conflict does it again.
 *
 * @module
 */
import { errorFrom } from "../_internal/error_classes.ts";
import { KontractError } from "../_internal/errors.ts";
import type { AuthAdmin } from "../auth/admin.ts";
import type { Me } from "../auth/account.ts";
import type { CredentialChange } from "../auth/change_credentials.ts";
import type { AuthService, Principal, SessionTokens } from "../auth/contract.ts";
import { sessionTokensOf } from "../auth/service.ts";
import { isGuest } from "./caller.ts";
import type { CallContext } from "./context.ts";

/** An address and a password, unchecked. */
export interface Credentials {
  /** E-mail address. */
  readonly email: string;
  /** As it was typed. */
  readonly password: string;
}

/** What signing up came to. */
export interface Registration {
  /** `confirmation_sent`: the account exists once the mailed token has come back. */
  readonly status: "registered" | "confirmation_sent";
  /** The session to go on with; null where the caller's own goes on. */
  readonly session: SessionTokens | null;
}

/** The caller's own account, and ways to one. */
export interface EnvAccount {
  /**
   * Signs up: a new account for a guest; a caller with an anonymous session keeps its id.
   *
   * @throws {KontractError} `VALIDATION` (`data.field`, `data.reason`), `UNIQUE_VIOLATION` (`data.field`) where the
   *   address has an account, `FORBIDDEN` for a caller who has one, `RATE_LIMITED`
   */
  register(credentials: Credentials): Promise<Registration>;
  /**
   * Signs in: a session of the account. Unknown address and wrong password are one error.
   *
   * @throws {KontractError} `UNAUTHORIZED`, `VALIDATION`, `RATE_LIMITED`
   */
  login(credentials: Credentials): Promise<SessionTokens>;
  /** The caller's account as stored now. @throws {KontractError} `UNAUTHORIZED`, `SESSION_REVOKED` */
  account(): Promise<Me>;
  /**
   * Another address, another password or both for the caller's account. The old password is not asked for: where a
   * stolen session must not be enough, ask for it with `login` before.
   *
   * @throws {KontractError} `UNIQUE_VIOLATION`, `VALIDATION`, `FORBIDDEN` for an account without a password,
   *   `UNAUTHORIZED`, `RATE_LIMITED`
   */
  changeCredentials(change: CredentialChange): Promise<SessionTokens>;
}

/** The account of a call's caller. */
export function routeAccount(
  auth: Pick<AuthService & AuthAdmin, "call" | "changeCredentials">,
  caller: Principal,
  address: string,
): EnvAccount {
  const { tenant } = caller;
  const principal = isGuest(caller) ? null : caller;
  const call = (
    name: "register" | "login" | "me",
    argument: unknown,
    who: Principal | null,
  ): Promise<unknown> => named(auth.call(name, argument, { tenant, address, principal: who }));
  return {
    async register({ email, password }): Promise<Registration> {
      const answer = await call("register", { email, password }, principal);
      const { status } = answer as Pick<Registration, "status">;
      return { status, session: sessionTokensOf(answer) };
    },
    async login({ email, password }): Promise<SessionTokens> {
      const tokens = sessionTokensOf(await call("login", { email, password }, null));
      if (tokens === null) throw new KontractError("INTERNAL");
      return tokens;
    },
    account: async () => await call("me", null, principal) as Me,
    async changeCredentials(change): Promise<SessionTokens> {
      if (principal === null) throw errorFrom("UNAUTHORIZED");
      return await named(auth.changeCredentials(principal, change, address));
    },
  };
}

/** With the error classes that an app knows. */
async function named<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof KontractError)) throw error;
    const { code, message, data, cause } = error;
    throw errorFrom(code, message, { cause, ...(data === undefined ? {} : { data }) });
  }
}

/** The face over whatever call is running when an operation runs. */
export function envAccount(find: () => CallContext): EnvAccount {
  const changing = (): EnvAccount => {
    const { account, route, readOnly } = find().options;
    if (!readOnly) return account;
    throw new KontractError("CONFIG", `'${route}' is read-only: it may not change accounts.`);
  };
  return {
    register: async (credentials) => await changing().register(credentials),
    login: async (credentials) => await changing().login(credentials),
    account: async () => await find().options.account.account(),
    changeCredentials: async (change) => await changing().changeCredentials(change),
  };
}
