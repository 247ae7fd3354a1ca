/**
 * What exists only while a call runs, used while a module is loaded: `const key = secret("KEY");` at the
 * top of a file would fail at the first call, and the place is known before.
 *
 * Handles are none of it: `const users = env.storage.users;` looks the call up when it is used.
 *
 * @module
 */
import ts from "typescript";
import type { Diagnostic } from "./diagnostic.ts";
import type { KontractSymbols } from "./kontract_symbols.ts";
import { placeOf } from "./source_place.ts";

/** Uses of `ctx`, `secret` and operations of `env` that run when the module is loaded. */
export function topLevelCalls(
  root: string,
  source: ts.SourceFile,
  kontract: KontractSymbols,
): readonly Diagnostic[] {
  if (!/\b(?:env|ctx|secret)\b/.test(source.text)) return [];
  const found: Diagnostic[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) || ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) {
      return;
    }
    if (ts.isPropertyDeclaration(node) && !isStatic(node)) return;
    const what = usedAt(node, kontract);
    if (what !== null) {
      const start = node.getStart(source);
      found.push({
        code: "KT2015",
        severity: "error",
        message:
          `'${what}' exists only while a backend function runs, and this runs when the module ` +
          "is loaded.",
        hint: "Use it inside the function that needs it.",
        ...placeOf(root, source, start, node.getEnd() - start),
      });
    } else ts.forEachChild(node, visit);
  };
  ts.forEachChild(source, visit);
  return found;
}

function isStatic(node: ts.PropertyDeclaration): boolean {
  return (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Static) !== 0;
}

/** What of Kontract's is used by this very node, or null. */
function usedAt(node: ts.Node, kontract: KontractSymbols): string | null {
  if (ts.isPropertyAccessExpression(node)) {
    return ts.isIdentifier(node.expression) && kontract.nameOf(node.expression) === "ctx"
      ? node.getText()
      : null;
  }
  if (!ts.isCallExpression(node)) return null;
  if (kontract.calleeName(node) === "secret") return "secret()";
  let at: ts.Expression = node.expression;
  while (ts.isPropertyAccessExpression(at)) at = at.expression;
  return at !== node.expression && ts.isIdentifier(at) && kontract.nameOf(at) === "env"
    ? `${node.expression.getText()}()`
    : null;
}
