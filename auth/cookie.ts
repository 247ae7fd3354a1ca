/**
 * Session cookies, as text: for browsers that let the gateway keep the tokens out of JavaScript's reach.
 *
 * The `__Host-` prefix makes the browser insist on `Secure`, `Path=/` and no `Domain`, so neither a
 * subdomain nor plain HTTP can set or shadow them (RFC 6265bis, 4.1.3.2). `SameSite=Lax` keeps them off
 * cross-site posts; `csrf.ts` is the defence, this is the second one.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** Cookie that holds the session token. */
export const ACCESS_COOKIE = "__Host-kontract";

/** Cookie that holds the refresh token. */
export const REFRESH_COOKIE = "__Host-kontract-refresh";

/** Longest life a browser grants, in seconds (400 days). */
const MAX_AGE = 400 * 86_400;

/** Bounds the work on a `Cookie` header. */
const MAX_HEADER = 16_384;

/**
 * A `Set-Cookie` value.
 *
 * @param name A name with the `__Host-` prefix
 * @param value A token: no character of it needs quoting
 * @param maxAgeSeconds Life in seconds; 0 or less deletes the cookie
 * @throws {KontractError} `INTERNAL` for a name or value that is not one of ours
 */
export function setCookie(name: string, value: string, maxAgeSeconds: number): string {
  if (!/^__Host-[A-Za-z0-9-]{1,64}$/.test(name) || !/^[A-Za-z0-9._~-]{0,3500}$/.test(value)) {
    throw new KontractError("INTERNAL", undefined, { cause: new Error("not a session cookie") });
  }
  const age = Math.max(0, Math.min(MAX_AGE, Math.floor(maxAgeSeconds)));
  return `${name}=${value}; Path=/; Max-Age=${age}; Secure; HttpOnly; SameSite=Lax`;
}

/** A `Set-Cookie` value that deletes. */
export function clearCookie(name: string): string {
  return setCookie(name, "", 0);
}

/** Both cookies for some tokens; `refreshSeconds` is how long the browser keeps them at most. */
export function sessionCookies(
  tokens: { readonly access: string; readonly refresh: string },
  refreshSeconds: number,
): readonly string[] {
  return [
    setCookie(ACCESS_COOKIE, tokens.access, refreshSeconds),
    setCookie(REFRESH_COOKIE, tokens.refresh, refreshSeconds),
  ];
}

/** Deletes both cookies: after logout and after a refresh that failed. */
export function clearSessionCookies(): readonly string[] {
  return [clearCookie(ACCESS_COOKIE), clearCookie(REFRESH_COOKIE)];
}

/**
 * One cookie of a `Cookie` header; null where it is absent, empty, or there more than once (then
 * somebody else has set one, and guessing which is ours would be wrong).
 */
export function readCookie(header: string | null, name: string): string | null {
  if (header === null || header.length > MAX_HEADER) return null;
  let found: string | null = null;
  for (const part of header.split(";")) {
    const at = part.indexOf("=");
    if (at < 0 || part.slice(0, at).trim() !== name) continue;
    if (found !== null) return null;
    found = part.slice(at + 1).trim();
  }
  return found === "" ? null : found;
}
