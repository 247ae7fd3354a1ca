/**
 * Who is calling: the session token of a request, verified.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuthFunction, AuthService, Principal } from "../auth/contract.ts";

/** Auth functions that work without a session: a stale token must not keep anyone from them. */
const WITHOUT_SESSION: ReadonlySet<AuthFunction> = new Set([
  "anonymous",
  "register",
  "login",
  "refresh",
  "requestReset",
  "resetPassword",
  "verifyEmail",
]);

/** The token of an `Authorization` header; null without one. @throws {KontractError} `UNAUTHORIZED` */
export function bearerToken(header: string | null): string | null {
  if (header === null) return null;
  const match = /^Bearer +([\w.~+/=-]{1,8192})$/i.exec(header.trim());
  if (match?.[1] === undefined) {
    throw new KontractError("UNAUTHORIZED", "The Authorization header is not 'Bearer <token>'.");
  }
  return match[1];
}

/** The caller of a function. @throws {KontractError} `UNAUTHORIZED`, `SESSION_EXPIRED` */
export async function requireCaller(
  auth: Pick<AuthService, "verify">,
  token: string | null,
): Promise<Principal> {
  if (token === null) {
    throw new KontractError(
      "UNAUTHORIZED",
      "No session: POST /auth/anonymous gives one; send its 'access' as 'Authorization: Bearer <access>'.",
    );
  }
  return await auth.verify(token);
}

/** The caller of an auth function, or null where there is none and none is needed. */
export async function optionalCaller(
  auth: Pick<AuthService, "verify">,
  token: string | null,
  name: AuthFunction,
): Promise<Principal | null> {
  if (token === null) return null;
  try {
    return await auth.verify(token);
  } catch (error) {
    if (WITHOUT_SESSION.has(name)) return null;
    throw error;
  }
}
