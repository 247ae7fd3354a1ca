/**
 * Names that a module of the client exports again and that are not there: `export { gone } from "./other.ts"`, or
 * imported first. Of one in TypeScript the bundler cannot tell such a name from a type's, and leaves it out without a word.
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
  for (const one of source.statements.flatMap((statement) => takenAgain(statement, checker))) {
    const from = moduleOf(one);
    const node = one.propertyName ?? one.name, name = node.text;
    if (from === undefined || !ts.isStringLiteral(from)) continue;
    // Of packages TypeScript does not know everything.
    if (/^\.\.?\//.test(from.text) && isMissing(one, name, from, checker)) {
      reporter.error("KT7001", node, `There is no '${name}' in '${from.text}'.`);
    }
    if (from.text !== "@/client" || isInClient(name)) continue;
    const { message, hint } = missingInClient(name, routes.map((route) => route.name));
    reporter.error("KT7001", node, message, hint);
  }
}

/** Where a name that is exported again comes from. */
type Taken = ts.ExportSpecifier | ts.ImportSpecifier;

/** The names that a statement exports again, types that say so apart. */
function takenAgain(statement: ts.Statement, checker: ts.TypeChecker): readonly Taken[] {
  if (!ts.isExportDeclaration(statement) || statement.isTypeOnly) return [];
  const { moduleSpecifier: from, exportClause: clause } = statement;
  if (clause === undefined || !ts.isNamedExports(clause)) return [];
  const named = clause.elements.filter((one) => !one.isTypeOnly);
  return from !== undefined
    ? named
    : named.flatMap((one) =>
      (checker.getExportSpecifierLocalTargetSymbol(one)?.declarations ?? [])
        .filter(ts.isImportSpecifier)
        .filter((imported) => !ts.isTypeOnlyImportDeclaration(imported))
    );
}

function moduleOf(node: Taken): ts.Expression | undefined {
  return ts.isExportSpecifier(node)
    ? node.parent.parent.moduleSpecifier
    : node.parent.parent.parent.moduleSpecifier;
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
function isMissing(
  node: Taken,
  name: string,
  from: ts.Expression,
  checker: ts.TypeChecker,
): boolean {
  const symbol = checker.getSymbolAtLocation(node.name);
  const module = checker.getSymbolAtLocation(from);
  return symbol !== undefined && module !== undefined &&
    (symbol.flags & ts.SymbolFlags.Alias) !== 0 &&
    checker.getAliasedSymbol(symbol).declarations === undefined &&
    // One that it has from elsewhere is looked at there.
    checker.tryGetMemberInModuleExports(name, module) === undefined && isKnown(module, checker);
}

/** False for a module that has all of another that the checker does not know: `export * from "@/client"`. */
function isKnown(
  module: ts.Symbol,
  checker: ts.TypeChecker,
  seen: ReadonlySet<ts.Symbol> = new Set(),
): boolean {
  if (seen.has(module)) return true;
  const all = module.exports?.get(ts.InternalSymbolName.ExportStar)?.declarations ?? [];
  return all.filter(ts.isExportDeclaration).every(({ moduleSpecifier }) => {
    const from = moduleSpecifier && checker.getSymbolAtLocation(moduleSpecifier);
    return from !== undefined && isKnown(from, checker, new Set([...seen, module]));
  });
}
