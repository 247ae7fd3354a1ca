/**
 * Whether a request that a browser may have been tricked into is let through. Pure.
 *
 * Only cookies are sent without the page's doing, so only requests that rely on one are judged; a bearer
 * token is proof enough. `Sec-Fetch-Site` is set by the browser and cannot be forged by a page; where it
 * is missing (old browsers) `Origin` decides; where both are missing nothing proves where the request
 * comes from, and it is refused.
 *
 * @module
 */

/** What is known of a request. */
export interface CsrfRequest {
  readonly method: string;
  /** True where the session came from a cookie, or where the answer would set one. */
  readonly cookie: boolean;
  /** `Sec-Fetch-Site`, or null. */
  readonly fetchSite: string | null;
  /** `Origin`, or null. */
  readonly origin: string | null;
  /** The gateway's own origin as the browser sees it, e.g. `https://app.example.com`. */
  readonly self: string;
  /** Other origins that may act with cookies, exact. */
  readonly allowed: readonly string[];
}

/** The decision, with the reason for the log. */
export type CsrfDecision =
  | { readonly allow: true }
  | { readonly allow: false; readonly reason: "cross_site" | "foreign_origin" | "no_evidence" };

const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Decides. GET, HEAD and OPTIONS pass: nothing of Kontract's changes state by them. */
export function decideCsrf(request: CsrfRequest): CsrfDecision {
  if (!request.cookie || SAFE.has(request.method)) return { allow: true };
  const { origin, fetchSite, self } = request;
  // An origin on the list is trusted whatever its relation to ours; "null" is never on it.
  const listed = origin !== null && origin !== "null" && request.allowed.includes(origin);
  if (fetchSite !== null) {
    // `none`: typed, bookmarked or from outside the browser's pages; no page caused it.
    if (fetchSite === "same-origin" || fetchSite === "none" || listed) return { allow: true };
    return { allow: false, reason: "cross_site" };
  }
  if (origin === null) return { allow: false, reason: "no_evidence" };
  if (origin === self || listed) return { allow: true };
  return { allow: false, reason: "foreign_origin" };
}
