/**
 * Which modules are server-only: those that take `env`, `ctx`, `secret`, `defineMiddleware`,
 * `defineServer` or `table` from Kontract as a value, by name, through a namespace or to export it again.
 *
 * @module
 */
import ts from "typescript";
import { type KontractSymbols, SERVER_ONLY_EXPORTS } from "./kontract_symbols.ts";

/** The server-only export of Kontract that a module takes as a value, or null. */
export function serverImport(source: ts.SourceFile, kontract: KontractSymbols): string | null {
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) {
      const clause = statement.importClause;
      if (clause === undefined || clause.phaseModifier === ts.SyntaxKind.TypeKeyword) continue;
      const bindings = clause.namedBindings;
      if (bindings === undefined) continue;
      if (ts.isNamespaceImport(bindings)) {
        const used = namespaceUse(source, bindings.name, kontract);
        if (used !== null) return used;
        continue;
      }
      for (const element of bindings.elements) {
        if (element.isTypeOnly) continue;
        const name = kontract.nameOf(element.name);
        if (name !== null && SERVER_ONLY_EXPORTS.has(name)) return name;
      }
    } else if (ts.isExportDeclaration(statement) && !statement.isTypeOnly) {
      const clause = statement.exportClause;
      if (clause === undefined || !ts.isNamedExports(clause)) continue;
      for (const element of clause.elements) {
        const name = element.isTypeOnly ? null : kontract.nameOf(element.name);
        if (name !== null && SERVER_ONLY_EXPORTS.has(name)) return name;
      }
    }
  }
  return null;
}

function namespaceUse(
  source: ts.SourceFile,
  namespace: ts.Identifier,
  kontract: KontractSymbols,
): string | null {
  const own = kontract.checker.getSymbolAtLocation(namespace);
  let found: string | null = null;
  const visit = (node: ts.Node): void => {
    if (found !== null) return;
    if (
      ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression) &&
      kontract.checker.getSymbolAtLocation(node.expression) === own
    ) {
      const name = kontract.nameOf(node.name);
      if (name !== null && SERVER_ONLY_EXPORTS.has(name)) found = name;
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}
