/**
 * Expressions inside parentheses, `as`, `satisfies` and `!`, which change no value.
 *
 * @module
 */
import ts from "typescript";

type Wrapper =
  | ts.ParenthesizedExpression
  | ts.AsExpression
  | ts.SatisfiesExpression
  | ts.NonNullExpression
  | ts.TypeAssertion;

/** Is `node` such a form around an expression? */
export function isWrapper(node: ts.Node): node is Wrapper {
  return ts.isParenthesizedExpression(node) || ts.isAsExpression(node) ||
    ts.isSatisfiesExpression(node) || ts.isNonNullExpression(node) ||
    ts.isTypeAssertionExpression(node);
}

/** The expression inside. */
export function unwrapped(node: ts.Expression): ts.Expression {
  let at = node;
  while (isWrapper(at)) at = at.expression;
  return at;
}

/** `node` with all that is around it. */
export function wrapped(node: ts.Node): ts.Node {
  let at = node;
  while (isWrapper(at.parent)) at = at.parent;
  return at;
}
