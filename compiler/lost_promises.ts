/**
 * Operations of Kontract's that nobody waits for: `env.storage.users.set(…);` as a statement, or as all
 * that a function for `forEach` gives back.
 *
 * The call may end before the operation does, and then it is refused, or done and its error lost.
 * `void` before it says that this is meant.
 *
 * @module
 */
import ts from "typescript";
import type { Diagnostic } from "./diagnostic.ts";
import { placeOf } from "./source_place.ts";

/** The operations of a module whose promise is dropped; `isKontract` tells the package's own files. */
export function lostPromises(
  root: string,
  source: ts.SourceFile,
  checker: ts.TypeChecker,
  isKontract: (file: string) => boolean,
): readonly Diagnostic[] {
  if (!source.text.includes("@kontract/kontract") && !/\benv\b/.test(source.text)) return [];
  const found: Diagnostic[] = [];
  const drop = (node: ts.Expression, arrow?: ts.ArrowFunction): void => {
    for (const one of operationsIn(node, checker, isKontract)) {
      if (arrow !== undefined && !isForNothing(arrow, checker)) return;
      const start = one.getStart(source);
      found.push({
        code: "KT2014",
        severity: "error",
        message:
          "Nobody waits for this: the call may end before it is done, and its failure is lost.",
        hint: "Write 'await' before it; or 'void', if it may be lost.",
        ...placeOf(root, source, start, one.getEnd() - start),
      });
    }
  };
  const visit = (node: ts.Node): void => {
    if (ts.isExpressionStatement(node)) drop(node.expression);
    else if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) drop(node.body, node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** True for what is called by someone who takes no result, as `forEach` does. */
function isForNothing(node: ts.ArrowFunction, checker: ts.TypeChecker): boolean {
  const [signature] = checker.getContextualType(node)?.getCallSignatures() ?? [];
  return signature !== undefined &&
    (checker.getReturnTypeOfSignature(signature).flags & ts.TypeFlags.Void) !== 0;
}

/** Operations whose promise is lost where the value of `node` is. */
function operationsIn(
  node: ts.Expression,
  checker: ts.TypeChecker,
  isKontract: (file: string) => boolean,
): readonly ts.Expression[] {
  const each = (...parts: readonly ts.Expression[]): readonly ts.Expression[] =>
    parts.flatMap((part) => operationsIn(part, checker, isKontract));
  if (ts.isParenthesizedExpression(node)) return each(node.expression);
  if (ts.isConditionalExpression(node)) return each(node.whenTrue, node.whenFalse);
  if (ts.isBinaryExpression(node)) {
    const { kind } = node.operatorToken;
    if (kind === ts.SyntaxKind.CommaToken) return each(node.left, node.right);
    return CHOICES.has(kind) ? each(node.right) : [];
  }
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return [];
  const { name, expression } = node.expression;
  // Whoever gives a function for the failure has thought of it.
  const chained = name.text === "finally" || name.text === "then" && node.arguments.length < 2;
  if (chained && each(expression).length > 0) return [node];
  const member = checker.getSymbolAtLocation(name)?.valueDeclaration;
  if (member === undefined || !isKontract(member.getSourceFile().fileName)) return [];
  const type = checker.getTypeAtLocation(node);
  return checker.getAwaitedType(type) === type ? [] : [node];
}

const CHOICES: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
]);
