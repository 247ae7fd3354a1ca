/**
 * Imports that run their module when something of it is read first. No bundler can make them: a module of a
 * bundle runs at its start, or when it is imported as the bundle runs.
 *
 * @module
 */
import ts from "typescript";
import type { Reporter } from "./source_place.ts";
import { SyntaxPick } from "./syntax_pick.ts";

/** Reports those of a module. */
export function checkDeferred(source: ts.SourceFile, reporter: Reporter): void {
  if (!/\bimport\s*\.?\s*defer\b/.test(source.text)) return;
  for (const node of DEFERRED.of(source)) {
    const [specifier, name] = ts.isImportDeclaration(node)
      ? [node.moduleSpecifier, node.importClause?.namedBindings]
      : [node.arguments[0]];
    const taken = name !== undefined && ts.isNamespaceImport(name)
      ? `const ${name.name.text} = `
      : "";
    const instead = `${taken}await import(${specifier?.getText() ?? '"…"'})`;
    reporter.error(
      "KT7001",
      node,
      "A deferred import cannot be bundled.",
      `Import it where it is needed: ${instead}`,
    );
  }
}

const DEFERRED: SyntaxPick<ts.ImportDeclaration | ts.CallExpression> = new SyntaxPick((
  node,
): node is ts.ImportDeclaration | ts.CallExpression =>
  ts.isImportDeclaration(node)
    ? node.importClause?.phaseModifier === ts.SyntaxKind.DeferKeyword
    : ts.isCallExpression(node) && ts.isMetaProperty(node.expression) &&
      node.expression.keywordToken === ts.SyntaxKind.ImportKeyword &&
      node.expression.name.text === "defer"
);
