/**
 * Cookie mode: browsers whose session the gateway keeps in `__Host-` cookies, out of JavaScript's reach.
 * A standard `EventSource` and a plain `fetch` then need no token.
 *
 * A page asks for it at sign-in with the header `kontract-session: cookie`; the answer sets both cookies
 * and holds no token. From then on requests without `Authorization` are judged by cookie:
 *
 * - **CSRF.** `Sec-Fetch-Site` or `Origin` must say that the page is the gateway's own or on the list; a
 *   request that changes state and says neither is refused (`auth/csrf.ts`).
 * - **Renewal.** A session token that has run out is renewed with the refresh cookie on the way, and the
 *   new cookies go out with the answer, whatever it is; so a page never handles `SESSION_EXPIRED`.
 *
 * The sealed channel takes cookies from requests that ask for it with the same header; the calls inside
 * then carry no token.
 *
 * A bearer token always wins, and proves enough by itself.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Principal, SessionTokens } from "../auth/contract.ts";
import {
  ACCESS_COOKIE,
  clearSessionCookies,
  readCookie,
  REFRESH_COOKIE,
  sessionCookies,
} from "../auth/cookie.ts";
import { decideCsrf } from "../auth/csrf.ts";
import { sessionTokensOf } from "../auth/service.ts";
import { shownToken, verifyToken } from "./caller.ts";
import { ownOrigin } from "./origins.ts";
import type { Incoming, Services } from "./services.ts";
import { TENANT_HEADER } from "./tenants.ts";

/** Request header by which a page asks for cookies. */
export const SESSION_HEADER = "kontract-session";

/** As long as a browser keeps anything; when a session ends is the server's business. */
const MAX_AGE_SECONDS = 400 * 86_400;

/** What the cookies of a request hold. */
export interface CookieTokens {
  readonly access: string | null;
  readonly refresh: string | null;
}

/**
 * The request's session cookies, checked against forgery; null where it has none, or a bearer token.
 *
 * @throws {KontractError} `FORBIDDEN` for a request that another site's page may have caused
 */
export function cookieTokens(services: Services, request: Request): CookieTokens | null {
  if (shownToken(request.headers) !== null) return null;
  const header = request.headers.get("cookie");
  const access = readCookie(header, ACCESS_COOKIE);
  const refresh = readCookie(header, REFRESH_COOKIE);
  if (access === null && refresh === null) return null;
  checkCsrf(services, request);
  return { access, refresh };
}

/** True where the page asks for cookies. @throws {KontractError} `BAD_REQUEST`, `FORBIDDEN` */
export function wantsCookies(services: Services, request: Request): boolean {
  const mode = request.headers.get(SESSION_HEADER);
  if (mode === null) return false;
  if (mode !== "cookie") {
    throw new KontractError("BAD_REQUEST", `The header '${SESSION_HEADER}' can only be 'cookie'.`);
  }
  checkCsrf(services, request);
  return true;
}

function checkCsrf(services: Services, request: Request): void {
  const origin = request.headers.get("origin");
  const fetchSite = request.headers.get("sec-fetch-site");
  const told = origin !== null || fetchSite !== null;
  const decision = decideCsrf({
    // Where a browser says who asks, reading is judged like writing: nothing is gained by less.
    method: told ? "POST" : request.method,
    cookie: true,
    fetchSite,
    origin,
    self: ownOrigin(request),
    allowed: services.origins,
  });
  if (decision.allow) return;
  services.ports.log.warn("csrf_refused", { reason: decision.reason });
  throw new KontractError(
    "FORBIDDEN",
    "Cookies count only for pages of this origin, and only where the browser says so " +
      "(Sec-Fetch-Site or Origin).",
  );
}

/**
 * The caller behind cookies, renewed where the session token has run out or gone.
 *
 * @throws {KontractError} `UNAUTHORIZED`, `SESSION_EXPIRED`, `SESSION_REVOKED`
 */
export async function cookieCaller(
  services: Services,
  incoming: Incoming,
  tokens: CookieTokens,
): Promise<Principal> {
  const { request } = incoming;
  try {
    if (tokens.access !== null) return await verifyToken(services, request, tokens.access);
  } catch (error) {
    const expired = error instanceof KontractError && error.code === "SESSION_EXPIRED";
    if (!expired || tokens.refresh === null) throw error;
  }
  const { access } = await renewCookies(services, incoming, tokens);
  return await verifyToken(services, request, access);
}

/**
 * The caller behind the cookies of a request to the sealed channel: told or thrown to each call in it that
 * carries no token. Null for a request that is not in cookie mode.
 *
 * @throws {KontractError} `BAD_REQUEST`, `FORBIDDEN`
 */
export async function sealedCookieCaller(
  services: Services,
  incoming: Incoming,
): Promise<Incoming["cookieCaller"]> {
  if (!wantsCookies(services, incoming.request)) return null;
  const tokens = cookieTokens(services, incoming.request);
  try {
    // The same as having run out: the page then asks for a session, which no other error makes it do.
    if (tokens === null) throw new KontractError("SESSION_EXPIRED");
    const principal = await cookieCaller(services, incoming, tokens);
    return () => principal;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** New tokens for a refresh cookie, on their way to the browser. @throws as auth's `refresh` */
export async function renewCookies(
  services: Services,
  incoming: Incoming,
  { access, refresh }: CookieTokens,
): Promise<SessionTokens> {
  const { auth, tenants } = services;
  const { request, address } = incoming;
  const asked = request.headers.get(TENANT_HEADER) ?? claimedTenant(access);
  const tenant = await tenants.choose(request, asked, address);
  try {
    const answer = await auth.call("refresh", { refresh }, { tenant, address, principal: null });
    const tokens = sessionTokensOf(answer);
    if (tokens === null) throw new KontractError("INTERNAL");
    keepInCookies(incoming, tokens);
    return tokens;
  } catch (error) {
    if (endsSession(error)) dropCookies(incoming);
    throw error;
  }
}

/**
 * The tenant that a token says it is of, unverified: where to look the refresh token up, which proves it.
 */
function claimedTenant(access: string | null): string | null {
  try {
    const payload = access?.split(".")[1] ?? "";
    const bytes = Uint8Array.fromBase64(payload, { alphabet: "base64url" });
    const { ten } = JSON.parse(new TextDecoder().decode(bytes)) as { ten?: unknown };
    return typeof ten === "string" ? ten : null;
  } catch {
    return null;
  }
}

/** True for an error after which a refresh token is worth nothing. */
export function endsSession(error: unknown): boolean {
  return error instanceof KontractError &&
    ["UNAUTHORIZED", "SESSION_EXPIRED", "SESSION_REVOKED", "VALIDATION"].includes(error.code);
}

/** Sends tokens as cookies with the answer. */
export function keepInCookies(incoming: Incoming, tokens: SessionTokens): void {
  setCookies(incoming, sessionCookies(tokens, MAX_AGE_SECONDS));
}

/** Deletes the cookies with the answer. */
export function dropCookies(incoming: Incoming): void {
  setCookies(incoming, clearSessionCookies());
}

function setCookies(incoming: Incoming, cookies: readonly string[]): void {
  incoming.cookies.splice(0, incoming.cookies.length, ...cookies);
}
