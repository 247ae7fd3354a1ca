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

/** Name of the one module that may define the server, in the sources' folder. */
export const SERVER_MODULE = "server.ts";

/**
 * True where `source` is the server's module and defines it; every other call of `defineServer` would be
 * passed over in silence, so it is an error.
 *
 * @param place Absolute file name of the server's module.
 */
export function definesServer(
  source: ts.SourceFile,
  place: string,
  kontract: KontractSymbols,
  reporter: Reporter,
): boolean {
  const own = source.fileName === place ? defaultExport(source) : null;
  const definition = own !== null && isDefinition(own, kontract) ? own : null;
  if (!authorText(source).includes("defineServer")) return definition !== null;
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
  return definition !== null;
}

function defaultExport(source: ts.SourceFile): ts.Expression | null {
  const found = source.statements.find((one) => ts.isExportAssignment(one) && !one.isExportEquals);
  return found !== undefined && ts.isExportAssignment(found) ? found.expression : null;
}

function isDefinition(node: ts.Node, kontract: KontractSymbols): boolean {
  return ts.isCallExpression(node) && kontract.calleeName(node) === "defineServer";
}
