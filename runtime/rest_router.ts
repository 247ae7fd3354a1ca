/**
 * Finds the function behind a plain REST address, by segment: the work of a match does not grow with the
 * number of routes. A literal segment wins over a parameter, whatever the order of the source.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { parsePath } from "../_internal/http_route.ts";
import type { RouteEntry } from "./app.ts";
import { besideAddresses } from "./app_paths.ts";

interface Node {
  readonly literals: Map<string, Node>;
  parameter: Node | null;
  readonly methods: Map<string, { readonly route: RouteEntry; readonly names: readonly string[] }>;
}

/** A path that some function answers to. */
export type RestMatch =
  | {
    readonly kind: "route";
    readonly route: RouteEntry;
    /** Values of the path's parameters, decoded. */
    readonly path: ReadonlyMap<string, string>;
  }
  /** The path is known, the method is not, or it asks for the methods. */
  | { readonly kind: "methods"; readonly allow: readonly string[] };

const MAX_LOGGED = 200;

const node = (): Node => ({ literals: new Map(), parameter: null, methods: new Map() });

/** The REST addresses of an app. */
export class RestRouter {
  readonly #root: Node = node();
  /** Methods that some route answers to. */
  readonly methods: readonly string[];
  /** True for a path that is no address but lies beside some. */
  readonly beside: (pathname: string) => boolean;

  /** @throws {KontractError} `CONFIG` for an address that the compiler would have refused */
  constructor(routes: readonly RouteEntry[]) {
    for (const route of routes) if (route.http !== undefined) this.#add(route, route.http);
    this.beside = besideAddresses(routes.flatMap(({ http }) => http?.path ?? []));
    this.methods = [...new Set(routes.flatMap(({ http }) => http?.method ?? []))];
  }

  #add(
    route: RouteEntry,
    { method, path }: { readonly method: string; readonly path: string },
  ): void {
    const segments = parsePath(path);
    if (typeof segments === "string") {
      throw new KontractError("CONFIG", `The path of '${route.name}' ${segments}.`);
    }
    let at = this.#root;
    const names: string[] = [];
    for (const segment of segments) {
      if ("literal" in segment) {
        const next = at.literals.get(segment.literal) ?? node();
        at.literals.set(segment.literal, next);
        at = next;
      } else {
        names.push(segment.parameter);
        at = at.parameter ??= node();
      }
    }
    if (at.methods.has(method)) {
      throw new KontractError("CONFIG", `'${method} ${path}' is the address of two functions.`);
    }
    at.methods.set(method, { route, names });
  }

  /** A path for the log: an address as the app wrote it, since what stands for its parameters is the caller's. */
  written(pathname: string): string {
    for (const { end } of ends(this.#root, segmentsOf(pathname), 0, [])) {
      for (const { route } of end.methods.values()) return route.http?.path ?? pathname;
    }
    return pathname.slice(0, MAX_LOGGED);
  }

  /** True where some method of this path is answered. */
  has(pathname: string): boolean {
    return !ends(this.#root, segmentsOf(pathname), 0, []).next().done;
  }

  /**
   * What a request is for; null for a path that is nobody's. `HEAD` is answered wherever `GET` is.
   *
   * @throws {KontractError} `BAD_REQUEST` for a segment that is not percent-encoded UTF-8
   */
  match(method: string, pathname: string): RestMatch | null {
    const wanted = method === "HEAD" ? "GET" : method;
    const allow = new Set<string>();
    for (const { end, values } of ends(this.#root, segmentsOf(pathname), 0, [])) {
      const found = end.methods.get(wanted);
      if (found !== undefined) {
        const path = new Map(found.names.map((name, i) => [name, decoded(values[i] ?? "")]));
        return { kind: "route", route: found.route, path };
      }
      for (const one of end.methods.keys()) {
        allow.add(one);
        if (one === "GET") allow.add("HEAD");
      }
    }
    if (allow.size === 0) return null;
    return { kind: "methods", allow: [...allow, "OPTIONS"].sort() };
  }
}

function segmentsOf(pathname: string): readonly string[] {
  return pathname.slice(1).split("/");
}

/** All ways to read a path, most specific first. */
function* ends(
  at: Node,
  segments: readonly string[],
  index: number,
  values: readonly string[],
): Generator<{ readonly end: Node; readonly values: readonly string[] }, void, void> {
  const segment = segments[index];
  if (segment === undefined) {
    if (at.methods.size > 0) yield { end: at, values };
    return;
  }
  const literal = at.literals.get(segment);
  if (literal !== undefined) yield* ends(literal, segments, index + 1, values);
  if (at.parameter !== null && segment !== "") {
    yield* ends(at.parameter, segments, index + 1, [...values, segment]);
  }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new KontractError("BAD_REQUEST", "The path is not percent-encoded UTF-8.", { cause });
  }
}
