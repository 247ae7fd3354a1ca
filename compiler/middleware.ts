/**
 * Finds `defineMiddleware` and chooses, at build time, which ones a route has.
 *
 * Order: by module path, then by place in the module; the first is the outermost.
 *
 * @module
 */
import ts from "typescript";
import { type InlineHandler, inlineHandler } from "./inline_handler.ts";
import { meant } from "./meant.ts";
import { OptionReader, readOptions } from "./options.ts";
import type { Reporter } from "./source_place.ts";

/** A middleware in the source. */
export interface MiddlewareSource {
  /** Name in the manifest and in reports. */
  readonly name: string;
  readonly file: string;
  /** Name under which its module exports it. */
  readonly member: string;
  readonly prefix: string | null;
  readonly egroup: string | null;
  readonly endpoints: readonly string[] | null;
  /** The handler for splicing, or null where it must be called. */
  readonly inline: InlineHandler | null;
}

/** The middleware that a declaration makes, or null where it cannot be used. */
export function middlewareOf(
  declaration: ts.VariableDeclaration,
  call: ts.CallExpression,
  reporter: Reporter,
  checker: ts.TypeChecker,
  exportName: (name: ts.Node) => string | null,
): MiddlewareSource | null {
  const member = ts.isIdentifier(declaration.name) ? exportName(declaration.name) : null;
  if (member === null) {
    reporter.error(
      "KT6001",
      declaration.name,
      `A middleware must be exported: '${declaration.name.getText()}' is not.`,
      `export const ${declaration.name.getText()} = defineMiddleware({ … }, async (next) => await next());`,
    );
    return null;
  }
  const read = new OptionReader(
    readOptions(call.arguments[0], ["name", "prefix", "egroup", "endpoints"], checker, reporter),
    reporter,
  );
  const isText = (v: unknown): v is string => typeof v === "string" && v !== "";
  const isList = (v: unknown): v is readonly string[] => Array.isArray(v) && v.every(isText);
  return {
    name: read.take("name", member, "a text", isText),
    file: declaration.getSourceFile().fileName,
    member,
    prefix: read.take<string | null>("prefix", null, "a text", isText),
    egroup: read.take<string | null>("egroup", null, "a text", isText),
    endpoints: read.take<readonly string[] | null>("endpoints", null, "a list of names", isList),
    inline: inlineHandler(call.arguments[1], checker),
  };
}

/** What a filter is held against. */
interface Filtered {
  readonly name: string;
  readonly egroup: string | null;
}

/**
 * Warns of a filter that names what is not there: a misspelled group would leave its functions without the
 * middleware that guards them, and nobody would see it. `all` has where each is.
 */
export function warnOfIdle(
  all: ReadonlyMap<MiddlewareSource, ts.Node>,
  routes: readonly Filtered[],
  reporter: Reporter,
): void {
  const names = routes.map((route) => route.name);
  for (const [one, node] of all) {
    const missing = one.endpoints?.filter((name) => !names.includes(name)) ?? [];
    for (const name of missing) {
      const near = meant(name, names);
      reporter.warning(
        "KT6001",
        node,
        `Middleware '${one.name}' is for '${name}', but there is no such function.`,
        near === null ? "Take the name out." : `Did you mean '${near}'?`,
      );
    }
    if (missing.length > 0 || routes.some((route) => chainOf([one], route).length > 0)) continue;
    reporter.warning(
      "KT6001",
      node,
      `Middleware '${one.name}' applies to no function: ${unmet(one, routes)}.`,
      groupsHint(one, routes),
    );
  }
}

function unmet(one: MiddlewareSource, routes: readonly Filtered[]): string {
  if (one.egroup !== null && !routes.some((route) => route.egroup === one.egroup)) {
    return `none has the egroup '${one.egroup}'`;
  }
  if (one.prefix !== null && !routes.some((route) => route.name.startsWith(one.prefix!))) {
    return `no name begins with '${one.prefix}'`;
  }
  return "none meets all of its conditions";
}

function groupsHint(one: MiddlewareSource, routes: readonly Filtered[]): string {
  const groups = [...new Set(routes.map((route) => route.egroup))].filter((name) => name !== null);
  if (one.egroup === null || groups.includes(one.egroup)) return "Change the filter, or remove it.";
  return groups.length === 0
    ? `A function is in a group that its options name: { egroup: "${one.egroup}" }.`
    : `Egroups of this app: ${groups.join(", ")}.`;
}

/** The middleware of one route, outermost first. All filters that a middleware has must hold. */
export function chainOf(
  all: readonly MiddlewareSource[],
  route: Filtered,
): readonly MiddlewareSource[] {
  return all.filter((one) =>
    (one.prefix === null || route.name.startsWith(one.prefix)) &&
    (one.egroup === null || one.egroup === route.egroup) &&
    (one.endpoints === null || one.endpoints.includes(route.name))
  );
}
