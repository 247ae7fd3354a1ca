/**
 * Which paths are the app's and not the front end's: the gateway's own, the addresses of functions, and for
 * programs also what lies beside those. The gateway itself, what stands in front of it and Cloudflare's assets
 * must agree.
 *
 * @module
 */
import { KEY_SET_PATH, RAY_PATH } from "../protocol/paths.ts";

/** The gateway's own; `*` stands for any rest. */
const OWN: readonly string[] = ["/health", RAY_PATH, KEY_SET_PATH, "/events", "/rpc/*", "/auth/*"];

/** True for the gateway's own paths. */
export function isGatewayPath(pathname: string): boolean {
  return OWN.some((path) =>
    path.endsWith("*") ? pathname.startsWith(path.slice(0, -1)) : pathname === path
  );
}

/**
 * True for a path under the first segment of some longer address, as `/api/none` beside `/api/posts`: a
 * program that asks there has misspelled something.
 */
export function besideAddresses(addresses: readonly string[]): (pathname: string) => boolean {
  const firsts = new Set(
    addresses.map((address) => address.split("/")).filter(({ length }) => length > 2)
      .map((segments) => segments[1]),
  );
  return (pathname) => {
    const end = pathname.indexOf("/", 1);
    return end !== -1 && firsts.has(pathname.slice(1, end));
  };
}

/** True where the front end may answer beside the addresses: a browser navigates, or a file is meant. */
export function wantsPage(pathname: string, accept: string | null): boolean {
  return (accept?.includes("text/html") ?? false) || /[^/]\.[^/.]*$/.test(pathname);
}

/**
 * Judges a request by the addresses of an app's functions, `{name}` standing for a segment; `accept` is its
 * header.
 */
export function appPaths(
  addresses: readonly string[],
): (pathname: string, accept: string | null) => boolean {
  const known = addresses.map((address) => address.split("/"));
  const beside = besideAddresses(addresses);
  return (pathname, accept) => {
    if (isGatewayPath(pathname)) return true;
    if (beside(pathname) && !wantsPage(pathname, accept)) return true;
    const segments = pathname.split("/");
    return known.some((address) =>
      address.length === segments.length &&
      address.every((part, i) => part.startsWith("{") ? segments[i] !== "" : part === segments[i])
    );
  };
}

/** More than these Cloudflare does not take. */
const MOST_RULES = 100;

/** Cloudflare's `run_worker_first`: where it asks the Worker before it looks for a file. */
export function workerFirst(addresses: readonly string[]): true | readonly string[] {
  const rules = new Set(OWN);
  for (const address of addresses) {
    const [first = "", ...rest] = address.slice(1).split("/");
    if (!/^[\w.~-]+$/.test(first)) return true;
    rules.add(rest.length === 0 ? `/${first}` : `/${first}/*`);
  }
  return rules.size > MOST_RULES ? true : [...rules];
}
