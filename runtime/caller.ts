/**
 * Who is calling: the session token of a request, verified.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuthFunction, AuthRequestContext, Principal } from "../auth/contract.ts";
import { ACCESS_COOKIE, readCookie, REFRESH_COOKIE } from "../auth/cookie.ts";
import { GUEST_SUBJECT } from "../auth/database_token.ts";
import type { RouteEntry } from "./app.ts";
import { cookieCaller, cookieTokens } from "./cookie_session.ts";
import type { Incoming, Services } from "./services.ts";
import { TENANT_HEADER } from "./tenants.ts";

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

/**
 * Auth functions that go on as whoever the caller is: to run them as nobody, because a token has just run
 * out, would make a new identity and leave the old one's rows behind.
 */
const KEEPS_IDENTITY: ReadonlySet<AuthFunction> = new Set(["register", "verifyEmail"]);

/** Errors after which nobody can say any more who the caller was, or only that it was elsewhere. */
const LOST: ReadonlySet<string> = new Set(["UNAUTHORIZED", "SESSION_REVOKED", "FORBIDDEN"]);

/** True where `error`, met on the way to the caller, lets an auth function run without one. */
export function goesOnWithout(name: AuthFunction, error: unknown): boolean {
  if (!WITHOUT_SESSION.has(name)) return false;
  if (!KEEPS_IDENTITY.has(name)) return true;
  return error instanceof KontractError && LOST.has(error.code);
}

/** True for an auth function that needs no session. */
export function worksWithoutSession(name: AuthFunction): boolean {
  return WITHOUT_SESSION.has(name);
}

/** The `Authorization` header; null where it is missing or says nothing. */
export function shownToken(headers: Headers): string | null {
  return headers.get("authorization") || null;
}

/**
 * The token of an `Authorization` header; null without one.
 *
 * @param scheme Taken beside `Bearer`
 * @throws {KontractError} `UNAUTHORIZED`
 */
export function bearerToken(header: string | null, scheme = "Bearer"): string | null {
  if (header === null) return null;
  const match = /^([\w-]{1,64}) +([\w.~+/=-]{1,8192})$/.exec(header.trim());
  const given = match?.[1]?.toLowerCase();
  if (match?.[2] !== undefined && (given === "bearer" || given === scheme.toLowerCase())) {
    return match[2];
  }
  throw new KontractError("UNAUTHORIZED", `The Authorization header is not '${scheme} <token>'.`);
}

/** True for a caller of {@link routeCaller} without a session. */
export function isGuest({ owner }: Principal): boolean {
  return owner === GUEST_SUBJECT;
}

/**
 * The caller of a function over plain HTTP: as {@link requestCaller}, or a guest where the function lets
 * those in. Who shows a session is judged by it, unless the function looks at none.
 *
 * @throws {KontractError} as {@link requestCaller}, and as `TenantGate.choose`
 */
export async function routeCaller(
  services: Services,
  incoming: Incoming,
  { meta: { session } }: RouteEntry,
): Promise<Principal> {
  const { request, address } = incoming;
  if (session === "required" || (session === "optional" && showsSession(request))) {
    return await requestCaller(services, incoming);
  }
  const asked = request.headers.get(TENANT_HEADER);
  return {
    owner: GUEST_SUBJECT,
    tenant: await services.tenants.choose(request, asked, address),
    family: GUEST_SUBJECT,
    anonymous: true,
    expiresAt: Number.POSITIVE_INFINITY,
  };
}

function showsSession({ headers }: Request): boolean {
  const cookies = headers.get("cookie");
  return shownToken(headers) !== null || readCookie(cookies, ACCESS_COOKIE) !== null ||
    readCookie(cookies, REFRESH_COOKIE) !== null;
}

/**
 * The caller of a plain request: its bearer token, else its session cookies.
 *
 * @throws {KontractError} `UNAUTHORIZED`, `SESSION_EXPIRED`, `SESSION_REVOKED`, `FORBIDDEN`
 */
export async function requestCaller(services: Services, incoming: Incoming): Promise<Principal> {
  const cookies = cookieTokens(services, incoming.request);
  if (cookies !== null) return await cookieCaller(services, incoming, cookies);
  const { scheme } = services.http;
  const token = bearerToken(shownToken(incoming.request.headers), scheme);
  return await requireCaller(services, incoming.request, token);
}

/** A verified token, where it may be used at this address. @throws as {@link AuthService.verify} */
export async function verifyToken(
  { auth, tenants }: Services,
  request: Request,
  token: string,
): Promise<Principal> {
  return tenants.check(request, await auth.verify(token));
}

/** The caller of a function. @throws {KontractError} `UNAUTHORIZED`, `SESSION_EXPIRED` */
export async function requireCaller(
  services: Services,
  request: Request,
  token: string | null,
): Promise<Principal> {
  if (token === null) {
    throw new KontractError(
      "UNAUTHORIZED",
      "No session: POST /auth/anonymous gives one; send its 'access' as 'Authorization: Bearer <access>'.",
    );
  }
  return await verifyToken(services, request, token);
}

/** The caller of a sealed call: by its token, else by the request's cookies. @throws as {@link requireCaller} */
export async function sealedCaller(
  services: Services,
  { request, cookieCaller }: Incoming,
  token: string | null,
): Promise<Principal> {
  if (token === null && cookieCaller !== null) return cookieCaller();
  return await requireCaller(services, request, token);
}

/** The caller of an auth function, or null where there is none and none is needed. */
export async function optionalCaller(
  services: Services,
  request: Request,
  token: string | null,
  name: AuthFunction,
): Promise<Principal | null> {
  if (token === null) return null;
  try {
    return await verifyToken(services, request, token);
  } catch (error) {
    if (goesOnWithout(name, error)) return null;
    throw error;
  }
}

/**
 * Who asks an auth function, in which tenant. A caller with a session is in the session's; asking for another
 * one starts anew there, where the function needs no session.
 *
 * @param asked tenant that the client asks for, or null
 * @throws {KontractError} `FORBIDDEN`, and as `TenantGate.choose`
 */
export async function authContext(
  { tenants }: Services,
  { request, address }: Incoming,
  name: AuthFunction,
  principal: Principal | null,
  asked: string | null,
): Promise<AuthRequestContext> {
  if (principal !== null && (asked === null || asked === principal.tenant)) {
    return { tenant: principal.tenant, address, principal };
  }
  if (principal !== null && !WITHOUT_SESSION.has(name)) {
    throw new KontractError("FORBIDDEN", "This session belongs to another tenant.");
  }
  return { tenant: await tenants.choose(request, asked, address), address, principal: null };
}
