/**
 * `({ one, two: other } = value)`, whose pattern parses as an object.
 *
 * @module
 */
import ts from "typescript";

/** Such an assignment. */
export type AssignmentPattern = ts.BinaryExpression & { readonly left: ts.ObjectLiteralExpression };

/** True for one. */
export function isAssignmentPattern(node: ts.Node): node is AssignmentPattern {
  return ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.EqualsToken &&
    ts.isObjectLiteralExpression(node.left);
}
