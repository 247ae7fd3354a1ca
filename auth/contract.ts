/**
 * What the gateway asks of auth. Implemented by `auth/service.ts`.
 *
 * @module
 */

/** Who a verified session token says is calling. */
export interface Principal {
  /** Id of the account. */
  readonly owner: string;
  /** Tenant of the account. */
  readonly tenant: string;
  /** Session family: one sign-in and everything refreshed from it. */
  readonly family: string;
  /** True for a visitor without credentials. */
  readonly anonymous: boolean;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** What sign-in style endpoints answer. */
export interface SessionTokens {
  /** Short-lived JWT, sent with each call. */
  readonly access: string;
  /** Rotating, single use; ends its family when used twice. */
  readonly refresh: string;
  /** Milliseconds since the epoch at which `access` ends. */
  readonly expiresAt: number;
  /** Id of the account. */
  readonly owner: string;
  /** True for a visitor without credentials. */
  readonly anonymous: boolean;
}

/** Where a request came from, for limits and audit. */
export interface AuthRequestContext {
  /** Tenant that is asked. */
  readonly tenant: string;
  /** Client address, or "unknown". */
  readonly address: string;
  /** Session token, verified, or null. */
  readonly principal: Principal | null;
}

/** Names of the auth functions: `POST /auth/<name with dashes>` and op `AUTH` over raystream. */
export type AuthFunction =
  | "anonymous"
  | "register"
  | "login"
  | "link"
  | "refresh"
  | "logout"
  | "me"
  | "changePassword"
  | "requestReset"
  | "resetPassword"
  | "requestVerification"
  | "verifyEmail"
  | "sessions"
  | "revokeSession";

/** Auth, as the gateway sees it. */
export interface AuthService {
  /** Checks a session token; no I/O. @throws {KontractError} `UNAUTHORIZED`, `SESSION_EXPIRED` */
  verify(token: string): Promise<Principal>;
  /** One read: a token that verifies may be of an ended sign-in. @throws {KontractError} `SESSION_REVOKED` */
  checkAlive(principal: Principal): Promise<void>;
  /** A token for `StorageEngine.openSession`: `aud = kontract-db`, at most 60 s, single use. */
  databaseToken(
    principal: Principal | { readonly system: true; readonly tenant: string },
  ): Promise<string>;
  /** Runs one auth function with an unchecked argument; answers plain JSON. */
  call(name: AuthFunction, argument: unknown, context: AuthRequestContext): Promise<unknown>;
}
