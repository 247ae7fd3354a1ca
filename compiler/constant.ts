/**
 * Values that are known without running anything: options of decorators, defaults of fields.
 *
 * Literals, object and array literals of such, references to `const`s whose type is one literal
 * (`perms.RWX`, an enum member), arithmetic of such, and `as const`/`satisfies` around them. No code is run.
 *
 * @module
 */
import ts from "typescript";
import { isWrapper } from "./wrapped.ts";

/** A known value, or the node that is none. */
export type Constant =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly node: ts.Node };

/** The value of an expression. */
export function constantOf(node: ts.Expression, checker: ts.TypeChecker): Constant {
  if (isWrapper(node)) return constantOf(node.expression, checker);
  if (ts.isStringLiteralLike(node)) return known(node.text);
  if (ts.isNumericLiteral(node)) return known(Number(node.text));
  switch (node.kind) {
    case ts.SyntaxKind.TrueKeyword:
      return known(true);
    case ts.SyntaxKind.FalseKeyword:
      return known(false);
    case ts.SyntaxKind.NullKeyword:
      return known(null);
  }
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.MinusToken) {
    const inner = constantOf(node.operand, checker);
    return inner.ok && typeof inner.value === "number" ? known(-inner.value) : { ok: false, node };
  }
  if (ts.isBinaryExpression(node)) return arithmetic(node, checker);
  if (ts.isArrayLiteralExpression(node)) return arrayOf(node, checker);
  if (ts.isObjectLiteralExpression(node)) return objectOf(node, checker);
  if (ts.isIdentifier(node) || ts.isPropertyAccessExpression(node)) {
    return literalType(node, checker);
  }
  return { ok: false, node };
}

/** `5 * 60_000`. */
function arithmetic(node: ts.BinaryExpression, checker: ts.TypeChecker): Constant {
  const operation = OPERATIONS.get(node.operatorToken.kind);
  if (operation === undefined) return { ok: false, node };
  const left = constantOf(node.left, checker), right = constantOf(node.right, checker);
  if (!left.ok || !right.ok) return { ok: false, node };
  return typeof left.value === "number" && typeof right.value === "number"
    ? known(operation(left.value, right.value))
    : { ok: false, node };
}

const OPERATIONS: ReadonlyMap<ts.SyntaxKind, (a: number, b: number) => number> = new Map([
  [ts.SyntaxKind.PlusToken, (a, b) => a + b],
  [ts.SyntaxKind.MinusToken, (a, b) => a - b],
  [ts.SyntaxKind.AsteriskToken, (a, b) => a * b],
  [ts.SyntaxKind.SlashToken, (a, b) => a / b],
]);

function known(value: unknown): Constant {
  return { ok: true, value };
}

function literalType(node: ts.Expression, checker: ts.TypeChecker): Constant {
  // A property of this name has a wider type.
  const named = ts.isShorthandPropertyAssignment(node.parent)
    ? checker.getShorthandAssignmentValueSymbol(node.parent)
    : undefined;
  const type = named === undefined
    ? checker.getTypeAtLocation(node)
    : checker.getTypeOfSymbol(named);
  if (type.isStringLiteral() || type.isNumberLiteral()) return known(type.value);
  if (type.flags & ts.TypeFlags.BooleanLiteral) {
    return known(checker.typeToString(type) === "true");
  }
  return { ok: false, node };
}

function arrayOf(node: ts.ArrayLiteralExpression, checker: ts.TypeChecker): Constant {
  const values: unknown[] = [];
  for (const element of node.elements) {
    const one = constantOf(element, checker);
    if (!one.ok) return one;
    values.push(one.value);
  }
  return known(values);
}

function objectOf(node: ts.ObjectLiteralExpression, checker: ts.TypeChecker): Constant {
  const entries: [string, unknown][] = [];
  for (const property of node.properties) {
    const read = propertyOf(property);
    if (read === null) return { ok: false, node: property };
    const value = constantOf(read.value, checker);
    if (!value.ok) return value;
    entries.push([read.name, value.value]);
  }
  return known(Object.fromEntries(entries));
}

/** Name and value of `name: value`, `"name": value` and `name`; null for any other part of an object. */
export function propertyOf(
  property: ts.ObjectLiteralElementLike,
): { readonly name: string; readonly value: ts.Expression } | null {
  const { name } = property;
  if (name === undefined || !ts.isIdentifier(name) && !ts.isStringLiteralLike(name)) return null;
  if (ts.isShorthandPropertyAssignment(property)) return { name: name.text, value: property.name };
  return ts.isPropertyAssignment(property)
    ? { name: name.text, value: property.initializer }
    : null;
}
