/**
 * `@backend({...})` and friends: constants → checked options with defaults.
 *
 * The type checker already knows these types, but a build may go on where types fail, and ranges are
 * no types: everything is checked here again, each problem at its own property.
 *
 * @module
 */
import ts from "typescript";
import type { Bits, RouteMeta } from "../_internal/manifest.ts";
import { constantOf, propertyOf } from "./constant.ts";
import { nearest } from "./meant.ts";
import { isUnresolved } from "./lower/mod.ts";
import type { Reporter } from "./source_place.ts";
import { unwrapped } from "./wrapped.ts";

/** Defaults that a route has where its options are silent. */
export const ROUTE_DEFAULTS: RouteMeta = {
  ugroup: null,
  session: "required",
  perm: 7,
  egroup: null,
  grants: {},
  readOnly: false,
  retry: 8,
  timeout: 15_000,
  rateLimit: null,
  http: null,
  cache: null,
};

const GROUP = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
const SESSIONS = ["required", "optional", "none"];
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** An options object as read: values by key, with the node of each. */
export type Options = ReadonlyMap<string, { readonly value: unknown; readonly node: ts.Node }>;

/** Reads an options argument; what is no constant is reported and left out. */
export function readOptions(
  argument: ts.Expression | undefined,
  allowed: readonly string[],
  checker: ts.TypeChecker,
  reporter: Reporter,
): Options {
  const options = new Map<string, { value: unknown; node: ts.Node }>();
  if (argument === undefined) return options;
  const at = unwrapped(argument);
  if (!ts.isObjectLiteralExpression(at)) {
    if (ts.isLiteralExpression(at) || ts.isArrayLiteralExpression(at)) {
      reporter.error(
        "KT2005",
        at,
        "Options are an object, and this is none.",
        `Write { … } with any of: ${allowed.join(", ")}.`,
      );
    } else notConstant(at, checker, reporter);
    return options;
  }
  for (const property of at.properties) {
    const read = propertyOf(property);
    if (read === null) {
      notConstant(property, checker, reporter);
      continue;
    }
    const { name, value } = read;
    if (!allowed.includes(name)) {
      reporter.error(
        "KT2005",
        property.name ?? property,
        `There is no option '${name}'.`,
        `${suggestion(name, allowed)}Known options: ${allowed.join(", ")}.`,
      );
      continue;
    }
    const constant = constantOf(value, checker);
    if (constant.ok) options.set(name, { value: constant.value, node: value });
    else notConstant(constant.node, checker, reporter);
  }
  return options;
}

/** The options that may have been meant, if there are few. */
function suggestion(name: string, allowed: readonly string[]): string {
  const found = nearest(name, allowed);
  if (found.length === 0 || found.length > 2) return "";
  return `Did you mean ${found.map((one) => `'${one}'`).join(" or ")}? `;
}

function notConstant(node: ts.Node, checker: ts.TypeChecker, reporter: Reporter): void {
  const problem = [
    "KT2004",
    node,
    "Options are read at build time, so this must be a literal or a constant such as perms.RWX.",
    "Write the value here itself; the compiler does not run code.",
  ] as const;
  // Of a name that does not exist TypeScript says so.
  if (ts.isExpression(node) && isUnresolved(checker.getTypeAtLocation(node))) {
    reporter.follows(...problem);
  } else reporter.error(...problem);
}

/** Takes one option, checked; the fallback where it is missing or wrong. */
export class OptionReader {
  readonly #options: Options;
  readonly #reporter: Reporter;

  /** Wraps what was read. */
  constructor(options: Options, reporter: Reporter) {
    this.#options = options;
    this.#reporter = reporter;
  }

  /** The option where `test` holds; else the rule is reported. */
  take<T>(
    name: string,
    fallback: T,
    rule: string,
    test: (value: unknown) => value is NonNullable<T>,
  ): T {
    const found = this.#options.get(name);
    if (found === undefined) return fallback;
    if (test(found.value)) return found.value;
    this.#reporter.explain(found.node.parent);
    this.#reporter.error(
      "KT2005",
      found.node,
      `'${name}' must be ${rule}: current value is ${JSON.stringify(found.value)}.`,
    );
    return fallback;
  }

  /** A flag. */
  flag(name: string, fallback: boolean): boolean {
    return this.take(name, fallback, "true or false", (v): v is boolean => typeof v === "boolean");
  }

  /** Permission bits. */
  bits(name: string, fallback: Bits): Bits {
    return this.take(name, fallback, "bits from 0 to 7, such as perms.RW_", isBits);
  }

  /** A whole number in a range. */
  whole<T extends number | null>(name: string, fallback: T, low: number, high: number): T | number {
    return this.take<number | T>(
      name,
      fallback,
      `a whole number from ${low} to ${high}`,
      (v): v is NonNullable<number | T> =>
        typeof v === "number" && Number.isInteger(v) && v >= low && v <= high,
    );
  }

  /** The node of an option, for problems found later. */
  node(name: string): ts.Node | undefined {
    return this.#options.get(name)?.node;
  }
}

/** True for 0 to 7. */
export function isBits(value: unknown): value is Bits {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 7;
}

/** Names of all `@backend` options. */
export const BACKEND_OPTIONS: readonly string[] = ["name", ...Object.keys(ROUTE_DEFAULTS)];

/** Checks `@backend`'s options. */
export function routeMeta(options: Options, reporter: Reporter): RouteMeta {
  const read = new OptionReader(options, reporter);
  const group = (name: string): string | null =>
    read.take<string | null>(
      name,
      null,
      "a name of letters, digits, '_', '.' or '-'",
      (v): v is string => typeof v === "string" && GROUP.test(v),
    );
  const readOnly = read.flag("readOnly", false);
  const meta: RouteMeta = {
    ugroup: group("ugroup"),
    session: read.take(
      "session",
      ROUTE_DEFAULTS.session,
      `one of ${SESSIONS.map((one) => `'${one}'`).join(", ")}`,
      (v): v is RouteMeta["session"] => SESSIONS.includes(String(v)),
    ),
    perm: read.bits("perm", ROUTE_DEFAULTS.perm),
    egroup: group("egroup"),
    grants: read.take(
      "grants",
      ROUTE_DEFAULTS.grants,
      'an object of "table.field" to bits',
      (v): v is Record<string, Bits> =>
        isPlain(v) &&
        Object.entries(v).every(([key, bits]) => /^[^.]+\..+$/.test(key) && isBits(bits)),
    ),
    readOnly,
    retry: read.whole("retry", readOnly ? 0 : ROUTE_DEFAULTS.retry, 0, 100),
    timeout: read.whole("timeout", ROUTE_DEFAULTS.timeout, 1, 900_000),
    rateLimit: read.take<RouteMeta["rateLimit"]>(
      "rateLimit",
      null,
      "{ limit, windowMs } with whole numbers from 1",
      (v): v is { limit: number; windowMs: number } =>
        isPlain(v) && Object.keys(v).length === 2 && isCount(v.limit) && isCount(v.windowMs),
    ),
    http: read.take<RouteMeta["http"]>(
      "http",
      null,
      `{ method, path, body? } with one of ${METHODS.join(", ")} and a path that starts with '/'`,
      isHttp,
    ),
    cache: read.whole("cache", null, 1, 31_536_000),
  };
  const sessionNode = read.node("session");
  if (meta.ugroup !== null && meta.session !== "required" && sessionNode !== undefined) {
    reporter.error(
      "KT2005",
      sessionNode,
      `A function for the group '${meta.ugroup}' needs a session: who has none is in no group.`,
      "Leave 'session' or 'ugroup' out.",
    );
  }
  const retryNode = read.node("retry");
  if (readOnly && meta.retry > 0 && retryNode !== undefined) {
    reporter.error(
      "KT2005",
      retryNode,
      "'retry' has no effect with 'readOnly: true': a call that writes nothing meets no conflict.",
      "Leave 'retry' or 'readOnly' out.",
    );
  }
  const cacheNode = read.node("cache");
  if (meta.cache !== null && !readOnly && cacheNode !== undefined) {
    reporter.error(
      "KT2005",
      cacheNode,
      "'cache' needs 'readOnly: true': a call that may write cannot be cached.",
    );
  }
  return meta;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isHttp(value: unknown): value is NonNullable<RouteMeta["http"]> {
  if (!isPlain(value)) return false;
  const { method, path, body, ...more } = value;
  return Object.keys(more).length === 0 && METHODS.includes(String(method)) &&
    typeof path === "string" && path.startsWith("/") &&
    (body === undefined || typeof body === "string");
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1;
}
