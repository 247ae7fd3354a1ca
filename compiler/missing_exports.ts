/**
 * Names that a module of the client exports again and that are not there: `export { gone } from "./other.ts"`. Of
 * one in TypeScript the bundler cannot tell such a name from a type's, and leaves it out without a word.
 *
 * @module
 */
import ts from "typescript";
import type { Manifest } from "../_internal/manifest.ts";
import { meant } from "./meant.ts";
import type { Reporter } from "./source_place.ts";

/** Reports those of a module. */
export function checkMissingExports(
  source: ts.SourceFile,
  { routes, errors, types }: Pick<Manifest, "routes" | "errors" | "types">,
  checker: ts.TypeChecker,
  reporter: Reporter,
): void {
  const isInClient = (name: string): boolean =>
    name === "api" || name === "client" || Object.hasOwn(types, name) ||
    [...routes, ...errors].some((one) => one.name === name);
  for (const statement of source.statements) {
    if (!ts.isExportDeclaration(statement) || statement.isTypeOnly) continue;
    const { moduleSpecifier: from, exportClause: clause } = statement;
    if (from === undefined || !ts.isStringLiteral(from)) continue;
    for (const one of clause !== undefined && ts.isNamedExports(clause) ? clause.elements : []) {
      const node = one.propertyName ?? one.name, name = node.text;
      if (one.isTypeOnly) continue;
      // Of packages TypeScript does not know everything.
      if (/^\.\.?\//.test(from.text) && isMissing(one, checker)) {
        reporter.error("KT7001", node, `There is no '${name}' in '${from.text}'.`);
      }
      if (from.text !== "@/client" || isInClient(name)) continue;
      const { message, hint } = missingInClient(name, routes.map((route) => route.name));
      reporter.error("KT7001", node, message, hint);
    }
  }
}

/** What to say of a name that the client module does not have; `functions` are what it has. */
export function missingInClient(
  name: string,
  functions: readonly string[],
): { readonly message: string; readonly hint: string | undefined } {
  const near = meant(name, functions);
  return {
    message: `There is no '${name}' in '@/client': no backend function has this name.`,
    hint: near === null ? undefined : `Did you mean '${near}'?`,
  };
}

/** True for a name of a module that the checker knows, and that does not have it. */
function isMissing(node: ts.ExportSpecifier, checker: ts.TypeChecker): boolean {
  const symbol = checker.getSymbolAtLocation(node.name);
  const module = node.parent.parent.moduleSpecifier;
  return symbol !== undefined && module !== undefined &&
    checker.getSymbolAtLocation(module) !== undefined &&
    (symbol.flags & ts.SymbolFlags.Alias) !== 0 &&
    checker.getAliasedSymbol(symbol).declarations === undefined;
}
