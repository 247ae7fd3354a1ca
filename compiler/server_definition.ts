/**
 * Finds `defineServer`: the default export of `server.ts` in the sources' folder, and nowhere else.
 *
 * @module
 */
import ts from "typescript";
import type { KontractSymbols } from "./kontract_symbols.ts";
import { appPath } from "./project.ts";
import { authorText } from "./shadow.ts";
import type { Reporter } from "./source_place.ts";

/** What is known of a server's definition. */
export interface ServerFound {
  /** Absolute file name of the module. */
  readonly file: string;
  /** True where it gives failures at REST addresses a form of its own (`http.error`). */
  readonly ownErrors: boolean;
}

/** Name of the one module that may define the server, in the sources' folder. */
export const SERVER_MODULE = "server.ts";

/**
 * The server, where `source` is its module and defines it, else null; every other call of `defineServer` would be
 * passed over in silence, so it is an error.
 *
 * @param place Absolute file name of the server's module.
 */
export function definesServer(
  source: ts.SourceFile,
  place: string,
  kontract: KontractSymbols,
  reporter: Reporter,
): ServerFound | null {
  const own = source.fileName === place ? defaultExport(source) : null;
  const definition = own !== null && isDefinition(own, kontract) ? own : null;
  if (!authorText(source).includes("defineServer")) return foundOf(definition, source, kontract);
  const file = appPath({ root: reporter.root }, place);
  const visit = (node: ts.Node): void => {
    if (node !== definition && isDefinition(node, kontract)) {
      reporter.error(
        "KT6002",
        node,
        definition !== null
          ? "The server is defined twice."
          : `A server is defined by the default export of '${file}'; here it would have no effect.`,
        `In '${file}', once: export default defineServer({ … });`,
      );
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return foundOf(definition, source, kontract);
}

function foundOf(
  definition: ts.Expression | null,
  { fileName: file }: ts.SourceFile,
  { checker }: KontractSymbols,
): ServerFound | null {
  if (definition === null) return null;
  const argument = ts.isCallExpression(definition) ? definition.arguments[0] : undefined;
  if (argument === undefined) return { file, ownErrors: false };
  const given = checker.getTypeAtLocation(argument);
  const made = given.getCallSignatures()[0]?.getReturnType() ?? given;
  const http = made.getProperty("http");
  const error = http === undefined
    ? undefined
    : checker.getTypeOfSymbolAtLocation(http, argument).getProperty("error");
  return { file, ownErrors: error !== undefined };
}

function defaultExport(source: ts.SourceFile): ts.Expression | null {
  const found = source.statements.find((one) => ts.isExportAssignment(one) && !one.isExportEquals);
  return found !== undefined && ts.isExportAssignment(found) ? found.expression : null;
}

function isDefinition(node: ts.Node, kontract: KontractSymbols): boolean {
  return ts.isCallExpression(node) && kontract.calleeName(node) === "defineServer";
}
