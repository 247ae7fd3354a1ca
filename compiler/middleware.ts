/**
 * Finds `defineMiddleware` and chooses, at build time, which ones a route has.
 *
 * Order: by module path, then by place in the module; the first is the outermost.
 *
 * @module
 */
import ts from "typescript";
import { type InlineHandler, inlineHandler } from "./inline_handler.ts";
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

/** The middleware of one route, outermost first. All filters that a middleware has must hold. */
export function chainOf(
  all: readonly MiddlewareSource[],
  route: { readonly name: string; readonly egroup: string | null },
): readonly MiddlewareSource[] {
  return all.filter((one) =>
    (one.prefix === null || route.name.startsWith(one.prefix)) &&
    (one.egroup === null || one.egroup === route.egroup) &&
    (one.endpoints === null || one.endpoints.includes(route.name))
  );
}
