/**
 * The imports of a module that are still there when its types are gone: by statement, and as it runs.
 *
 * @module
 */
import ts from "typescript";

/** An import that is still there when types are gone. */
export interface ValueImport {
  readonly specifier: ts.StringLiteralLike;
  /** Names taken, with their nodes; empty where all is taken or nothing (for effect). */
  readonly names: readonly { readonly name: string; readonly node: ts.Node }[];
  /** The name of `import * as name`. */
  readonly namespace?: ts.Identifier;
  /** True for `import(…)`. */
  readonly isDynamic?: true;
}

/** All of them. */
export function* valueImports(
  source: ts.SourceFile,
  checker: ts.TypeChecker,
): Generator<ValueImport> {
  yield* staticImports(source, checker);
  yield* dynamicImports(source);
}

/** Imports that come before a module runs, in the order in which they do. */
export function* staticImports(
  source: ts.SourceFile,
  checker: ts.TypeChecker,
): Generator<ValueImport> {
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement) && ts.isStringLiteralLike(statement.moduleSpecifier)) {
      const found = importOf(statement, statement.moduleSpecifier, checker);
      if (found !== null) yield found;
    } else if (
      ts.isExportDeclaration(statement) && !statement.isTypeOnly &&
      statement.moduleSpecifier !== undefined && ts.isStringLiteralLike(statement.moduleSpecifier)
    ) {
      const clause = statement.exportClause;
      const elements = clause !== undefined && ts.isNamedExports(clause) ? clause.elements : null;
      const names = (elements ?? []).filter((e) => !e.isTypeOnly && isValue(e.name, checker))
        .map((e) => ({ name: (e.propertyName ?? e.name).text, node: e }));
      if (elements === null || names.length > 0) {
        yield { specifier: statement.moduleSpecifier, names };
      }
    }
  }
}

function importOf(
  statement: ts.ImportDeclaration,
  specifier: ts.StringLiteralLike,
  checker: ts.TypeChecker,
): ValueImport | null {
  const clause = statement.importClause;
  if (clause === undefined) return { specifier, names: [] };
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return null;
  const names: { name: string; node: ts.Node }[] = [];
  if (clause.name !== undefined && isValue(clause.name, checker)) {
    names.push({ name: "default", node: clause.name });
  }
  const bindings = clause.namedBindings;
  if (bindings !== undefined && ts.isNamespaceImport(bindings)) {
    if (isValue(bindings.name, checker)) return { specifier, names, namespace: bindings.name };
    return names.length === 0 ? null : { specifier, names };
  }
  for (const element of bindings?.elements ?? []) {
    if (element.isTypeOnly || !isValue(element.name, checker)) continue;
    names.push({ name: (element.propertyName ?? element.name).text, node: element });
  }
  return names.length === 0 ? null : { specifier, names };
}

/** True for a name that means a value and is used as one in its file. */
function isValue(name: ts.Node, checker: ts.TypeChecker): boolean {
  const symbol = checker.getSymbolAtLocation(name);
  if (symbol === undefined || !(symbol.flags & ts.SymbolFlags.Alias)) return true;
  const target = checker.getAliasedSymbol(symbol);
  if (target.flags !== 0 && !(target.flags & ts.SymbolFlags.Value)) return false;
  return ts.isExportSpecifier(name.parent) || usedAsValue(symbol, name, checker);
}

function usedAsValue(symbol: ts.Symbol, name: ts.Node, checker: ts.TypeChecker): boolean {
  let used = false;
  const visit = (node: ts.Node): void => {
    if (used || ts.isImportDeclaration(node) || ts.isTypeNode(node) && !isExpressionType(node)) {
      return;
    }
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return;
    if (ts.isIdentifier(node) && node.text === (name as ts.Identifier).text) {
      const found = ts.isShorthandPropertyAssignment(node.parent)
        ? checker.getShorthandAssignmentValueSymbol(node.parent)
        : ts.isExportSpecifier(node.parent)
        ? checker.getExportSpecifierLocalTargetSymbol(node.parent)
        : checker.getSymbolAtLocation(node);
      if (found === symbol) used = true;
    }
    ts.forEachChild(node, visit);
  };
  visit(name.getSourceFile());
  return used;
}

/** `extends Base` parses as a type node, and is a value. */
export function isExpressionType(node: ts.TypeNode): boolean {
  return ts.isExpressionWithTypeArguments(node) && ts.isHeritageClause(node.parent) &&
    node.parent.token === ts.SyntaxKind.ExtendsKeyword;
}

/** `import(…)` of a module that is named there. */
export function* dynamicImports(source: ts.SourceFile): Generator<ValueImport> {
  if (!/\bimport\s*\(/.test(source.text)) return;
  const found: ValueImport[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const argument = node.arguments[0];
      if (argument !== undefined && ts.isStringLiteralLike(argument)) {
        found.push({ specifier: argument, names: [], isDynamic: true });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  yield* found;
}
