/**
 * Which modules are server-only: those that take `env`, `ctx`, `secret`, `defineMiddleware`,
 * `defineServer` or `table` from Kontract as a value, by name, through a namespace, to export it again or with
 * all of Kontract as they run.
 *
 * @module
 */
import ts from "typescript";
import { type KontractSymbols, SERVER_ONLY_EXPORTS } from "./kontract_symbols.ts";
import { dynamicImports, isExpressionType } from "./value_imports.ts";

/** The server-only export of Kontract that a module takes as a value, or null. */
export function serverImport(source: ts.SourceFile, kontract: KontractSymbols): string | null {
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) {
      const clause = statement.importClause;
      if (clause === undefined || clause.phaseModifier === ts.SyntaxKind.TypeKeyword) continue;
      const bindings = clause.namedBindings;
      const names = bindings === undefined
        ? []
        : ts.isNamespaceImport(bindings)
        ? [bindings.name]
        : bindings.elements.filter((one) => !one.isTypeOnly).map((one) => one.name);
      for (const name of names) {
        const own = serverOnly(kontract.nameOf(name)) ??
          (kontract.isNamespace(name) ? namespaceUse(source, name, kontract) : null);
        if (own !== null) return own;
      }
    } else if (ts.isExportDeclaration(statement) && !statement.isTypeOnly) {
      const clause = statement.exportClause;
      if (clause === undefined || !ts.isNamedExports(clause)) continue;
      for (const element of clause.elements) {
        const name = element.isTypeOnly ? null : serverOnly(kontract.nameOf(element.name));
        if (name !== null) return name;
      }
    }
  }
  return importedAsItRuns(source, kontract);
}

function serverOnly(name: string | null): string | null {
  return name !== null && SERVER_ONLY_EXPORTS.has(name) ? name : null;
}

/** What is taken of a namespace, or of one inside it; of one that is passed on, all that it has. */
function namespaceUse(
  source: ts.SourceFile,
  namespace: ts.Identifier,
  kontract: KontractSymbols,
): string | null {
  const own = kontract.checker.getSymbolAtLocation(namespace);
  if (firstIn(own, kontract) === null) return null;
  let found: string | null = null;
  const visit = (node: ts.Node): void => {
    if (found !== null || ts.isImportDeclaration(node) || isType(node)) return;
    const isUse = ts.isIdentifier(node) && node.text === namespace.text &&
      kontract.checker.getSymbolAtLocation(node) === own;
    if (isUse) found = takenAt(node, kontract);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** `node` names a namespace. */
function takenAt(node: ts.Node, kontract: KontractSymbols): string | null {
  const { parent } = node;
  if (
    ts.isExportSpecifier(parent) || ts.isPropertyAccessExpression(parent) && parent.name === node
  ) {
    return null;
  }
  if (ts.isPropertyAccessExpression(parent)) {
    const name = kontract.nameOf(parent.name);
    if (name !== null) return serverOnly(name);
    return kontract.isNamespace(parent.name) ? takenAt(parent, kontract) : null;
  }
  if (ts.isElementAccessExpression(parent) && ts.isStringLiteralLike(parent.argumentExpression)) {
    return serverOnly(kontract.nameOf(parent.argumentExpression));
  }
  const type = kontract.checker.getTypeAtLocation(node);
  const isPattern = ts.isVariableDeclaration(parent) && ts.isObjectBindingPattern(parent.name);
  if (!isPattern) return firstIn(type.symbol, kontract);
  for (const one of parent.name.elements) {
    const member = kontract.memberTaken(one.propertyName ?? one.name, type);
    const name = member === undefined ? null : serverOnly(kontract.nameOfSymbol(member));
    if (name !== null) return name;
  }
  return null;
}

/** A module that is imported as this one runs is passed on as a whole. */
function importedAsItRuns(source: ts.SourceFile, kontract: KontractSymbols): string | null {
  for (const { specifier } of dynamicImports(source)) {
    const has = firstIn(kontract.checker.getSymbolAtLocation(specifier), kontract);
    if (has !== null) return has;
  }
  return null;
}

function firstIn(module: ts.Symbol | undefined, kontract: KontractSymbols): string | null {
  const names = kontract.namesIn(module);
  return [...SERVER_ONLY_EXPORTS].find((name) => names.includes(name)) ?? null;
}

function isType(node: ts.Node): boolean {
  return ts.isTypeNode(node) && !isExpressionType(node);
}
