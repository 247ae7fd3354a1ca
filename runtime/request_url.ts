/**
 * The address of a request, where it has one: a host passes on what the Host header said, and that is the
 * client's text.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** Characters that end a host's name in an address: the rest would be taken for a path. */
const NO_HOST = /[/\\?#@\s]/;

/** The address; null where the Host header names no host. */
export function requestUrl(request: Request): URL | null {
  const host = request.headers.get("host");
  if (host !== null && NO_HOST.test(host)) return null;
  try {
    return new URL(request.url);
  } catch {
    return null;
  }
}

/** The refusal of a request without one. */
export function noHost(): KontractError {
  return new KontractError("BAD_REQUEST", "The Host header names no host.");
}
