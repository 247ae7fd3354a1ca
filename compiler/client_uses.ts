/**
 * What the client may do with what it imports of a module with backend functions.
 *
 * It gets stubs: of a class its backend functions and nothing else, of a namespace what has a stub. To
 * TypeScript both are the server's, so a use of anything else would compile and be undefined.
 *
 * @module
 */
import ts from "typescript";
import type { RouteDef } from "../_internal/manifest.ts";
import { isExpressionType } from "./value_imports.ts";
import type { Reporter } from "./source_place.ts";

/** Reports each use of an imported name that its stub does not have. */
export function checkStubUses(
  name: ts.Identifier,
  routes: readonly RouteDef[],
  checker: ts.TypeChecker,
  reporter: Reporter,
): void {
  const symbol = checker.getSymbolAtLocation(name);
  if (symbol === undefined) return;
  const isNamespace = ts.isNamespaceImport(name.parent);
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const className = isNamespace ? null : target.name;
  const members = new Set(
    routes.filter((route) => isNamespace || route.export.className === className)
      .map(({ export: own }) => isNamespace ? own.className ?? own.name : own.name),
  );
  if (!isNamespace && members.size === 0) return;
  for (const use of usesOf(name, symbol, checker)) {
    if (fits(use, members, checker) || !isNamespace && isPassedOn(use)) continue;
    const { parent } = use;
    const place = ts.isPropertyAccessExpression(parent) && parent.expression === use ? parent : use;
    reportBeyondStub(name.text, members, place, reporter);
  }
}

/** Reports a use of what the stub `name` does not have; it has `members`. */
export function reportBeyondStub(
  name: string,
  members: ReadonlySet<string>,
  place: ts.Node,
  reporter: Reporter,
): void {
  reporter.error(
    "KT5001",
    place,
    `In the client '${name}' has its backend functions only: the rest of it exists on the server.`,
    `There is: ${[...members].map((one) => `${name}.${one}`).join(", ")}.`,
  );
}

/** Reports a name of a module with backend functions that has no stub. */
export function reportNoStub(name: string, place: ts.Node, reporter: Reporter): void {
  reporter.error(
    "KT5001",
    place,
    `'${name}' stands in a module with backend functions and is none itself, so it exists on the server only.`,
    SHARING_HINT,
  );
}

/** What to do instead of taking something from the server's modules. */
export const SHARING_HINT =
  "Import its types with 'import type', call backend functions from '@/client', or move what both sides " +
  "need to a module of its own.";

/** True for `Users.createUser` and for `const { createUser } = Users`; types of a namespace are free. */
function fits(use: ts.Identifier, members: ReadonlySet<string>, checker: ts.TypeChecker): boolean {
  const { parent } = use;
  if (ts.isPropertyAccessExpression(parent) && parent.expression === use) {
    return members.has(parent.name.text) || !isValue(parent.name, checker);
  }
  if (ts.isElementAccessExpression(parent) && parent.expression === use) {
    const { argumentExpression: key } = parent;
    return ts.isStringLiteralLike(key) && members.has(key.text);
  }
  if (
    ts.isVariableDeclaration(parent) && parent.initializer === use &&
    ts.isObjectBindingPattern(parent.name)
  ) {
    return parent.name.elements.every((one) =>
      one.dotDotDotToken === undefined && members.has((one.propertyName ?? one.name).getText())
    );
  }
  return false;
}

/**
 * True for a class that is put somewhere, as in `{ users: Users }`: it has its functions wherever it goes,
 * and no public static member beside them.
 */
function isPassedOn(use: ts.Identifier): boolean {
  const { parent } = use;
  return ts.isPropertyAssignment(parent) || ts.isShorthandPropertyAssignment(parent) ||
    ts.isArrayLiteralExpression(parent) ||
    ts.isVariableDeclaration(parent) && ts.isIdentifier(parent.name) ||
    ts.isCallExpression(parent) && parent.expression !== use;
}

function isValue(node: ts.Node, checker: ts.TypeChecker): boolean {
  const symbol = checker.getSymbolAtLocation(node);
  return symbol !== undefined && (symbol.flags & ts.SymbolFlags.Value) !== 0;
}

/** Where a name of an import is used as a value, other than to export it again. */
function usesOf(
  name: ts.Identifier,
  symbol: ts.Symbol,
  checker: ts.TypeChecker,
): readonly ts.Identifier[] {
  const found: ts.Identifier[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) && !isExpressionType(node)) return;
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return;
    if (ts.isIdentifier(node) && node.text === name.text) {
      const own = ts.isShorthandPropertyAssignment(node.parent)
        ? checker.getShorthandAssignmentValueSymbol(node.parent)
        : checker.getSymbolAtLocation(node);
      if (own === symbol) found.push(node);
    }
    ts.forEachChild(node, visit);
  };
  visit(name.getSourceFile());
  return found;
}
