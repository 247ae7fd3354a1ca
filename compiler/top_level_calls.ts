/**
 * What exists only while a call runs, used while a module is loaded: `const key = secret("KEY");` at the
 * top of a file would fail at the first call, and the place is known before.
 *
 * Functions of the app that are called there are looked into.
 *
 * Handles are none of it: `const users = env.storage.users;` looks the call up when it is used.
 *
 * @module
 */
import ts from "typescript";
import { bodiesOf } from "./cycles.ts";
import type { Diagnostic } from "./diagnostic.ts";
import type { KontractSymbols } from "./kontract_symbols.ts";
import { placeOf } from "./source_place.ts";
import { SyntaxPick } from "./syntax_pick.ts";

/** Uses of `ctx`, `secret` and operations of `env` that run when the module is loaded. */
export function topLevelCalls(
  root: string,
  source: ts.SourceFile,
  kontract: KontractSymbols,
  isKontract: (file: string) => boolean,
): readonly Diagnostic[] {
  if (RUN.of(source).length === 0) return [];
  const found: Diagnostic[] = [];
  const entered = new Set<ts.Node>();
  /** `at` is the place in `source` that leads here, where that is another. */
  const visit = (node: ts.Node, at: ts.Node | null): void => {
    if (runsLater(node)) return;
    // What is caught may be meant.
    if (at !== null && ts.isTryStatement(node) && node.catchClause !== undefined) return;
    const what = usedAt(node, kontract);
    if (what !== null) {
      const place = at ?? node;
      const start = place.getStart(source);
      found.push({
        code: "KT2015",
        severity: "error",
        message:
          `'${what}' exists only while a backend function runs, and this runs when the module ` +
          "is loaded.",
        hint: "Use it inside the function that needs it.",
        ...placeOf(root, source, start, place.getEnd() - start),
      });
      return;
    }
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
      for (const body of bodiesOf(node, kontract.checker)) {
        if (entered.has(body) || isKontract(body.getSourceFile().fileName)) continue;
        entered.add(body);
        visit(body, at ?? (source === body.getSourceFile() && contains(node, body) ? null : node));
      }
    }
    ts.forEachChild(node, (child) => visit(child, at));
  };
  ts.forEachChild(source, (node) => visit(node, null));
  return found;
}

/** True for what is not run when its module is loaded. */
function runsLater(node: ts.Node): boolean {
  return ts.isFunctionLike(node) ||
    ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node) ||
    ts.isPropertyDeclaration(node) && !isStatic(node);
}

/** What is run when a module is loaded, and may be a use or lead to one. */
const RUN: SyntaxPick<ts.Node> = new SyntaxPick(
  (node): node is ts.Node =>
    ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node) ||
    ts.isVariableDeclaration(node) || ts.isCallExpression(node) || ts.isNewExpression(node),
  runsLater,
);

function contains(node: ts.Node, inner: ts.Node): boolean {
  return node.pos <= inner.pos && inner.end <= node.end;
}

function isStatic(node: ts.PropertyDeclaration): boolean {
  return (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Static) !== 0;
}

/** What of Kontract's is used by this very node, or null. */
function usedAt(node: ts.Node, kontract: KontractSymbols): string | null {
  if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) {
    return nameOf(node.expression, kontract) === "ctx" ? node.getText() : null;
  }
  if (ts.isVariableDeclaration(node)) {
    const { initializer, name } = node;
    return initializer !== undefined && ts.isObjectBindingPattern(name) &&
        nameOf(initializer, kontract) === "ctx"
      ? "ctx"
      : null;
  }
  if (!ts.isCallExpression(node)) return null;
  if (kontract.calleeName(node) === "secret") return "secret()";
  let at: ts.Expression = node.expression;
  let isMember = false;
  for (; ts.isPropertyAccessExpression(at) || ts.isElementAccessExpression(at); isMember = true) {
    if (nameOf(at, kontract) === "env") break;
    at = at.expression;
  }
  return isMember && nameOf(at, kontract) === "env" ? `${node.expression.getText()}()` : null;
}

function nameOf(node: ts.Expression, kontract: KontractSymbols): string | null {
  if (ts.isPropertyAccessExpression(node)) return kontract.nameOf(node.name);
  return ts.isIdentifier(node) ? kontract.nameOf(node) : null;
}
