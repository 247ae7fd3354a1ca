/**
 * What the client may do with a module with backend functions that it imports as it runs:
 * `(await import("../src/users.ts")).createUser()`.
 *
 * It gets the same stubs as by an import statement. But such a module is a value: it goes through promises,
 * variables, functions and other modules, so here the type of what something is taken of tells. What is
 * named by an import statement is left to `client_uses.ts`.
 *
 * @module
 */
import ts from "typescript";
import { isAssignmentPattern } from "./assignment_pattern.ts";
import { reportBeyondStub, reportNoStub } from "./client_uses.ts";
import type { Reporter } from "./source_place.ts";

/** What the client has of the modules with backend functions. */
export interface Stubs {
  /** What has a stub: of a class the names of its backend functions, of a function none. */
  readonly names: ReadonlyMap<ts.Symbol, ReadonlySet<string>>;
  /** True for the file of such a module. */
  readonly isBoundary: (file: string) => boolean;
  readonly checker: ts.TypeChecker;
  readonly reporter: Reporter;
}

/** Reports what `source` takes of such a module and no stub has. */
export function checkDynamicUses(source: ts.SourceFile, stubs: Stubs): void {
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return;
    checkNode(node, stubs);
    ts.forEachChild(node, visit);
  };
  visit(source);
}

function checkNode(node: ts.Node, stubs: Stubs): void {
  if (ts.isPropertyAccessExpression(node)) {
    checkTaken(node.expression, node.name, [node.name.text], stubs);
  } else if (ts.isElementAccessExpression(node)) {
    const { argumentExpression: key } = node;
    checkTaken(node.expression, key, keysIn(stubs.checker.getTypeAtLocation(key)), stubs);
  } else if (ts.isObjectBindingPattern(node)) {
    for (const one of node.elements) {
      const rest = one.dotDotDotToken !== undefined;
      checkTaken(sourceOf(node), one, rest ? null : namesOf(one.propertyName ?? one.name), stubs);
    }
  } else if (isAssignmentPattern(node)) {
    for (const one of node.left.properties) {
      checkTaken(node.right, one, one.name === undefined ? null : namesOf(one.name), stubs);
    }
  } else if (ts.isNewExpression(node)) checkClass(node.expression, stubs);
  else if (ts.isExpressionWithTypeArguments(node)) {
    if (ts.isClassLike(node.parent.parent)) checkClass(node.expression, stubs);
  } else if (
    ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword
  ) checkClass(node.right, stubs);
}

/** What a pattern takes its names of: an expression where there is one, since that may be an import's name. */
function sourceOf(pattern: ts.ObjectBindingPattern): ts.Node {
  const { parent } = pattern;
  return ts.isVariableDeclaration(parent) ? parent.initializer ?? pattern : pattern;
}

/** Null for a name that is computed. */
function namesOf(name: ts.PropertyName | ts.BindingName): readonly string[] | null {
  return ts.isIdentifier(name) || ts.isStringLiteralLike(name) ? [name.text] : null;
}

/** The names that a key may be; null where its type does not tell. */
export function keysIn(type: ts.Type): readonly string[] | null {
  const parts = type.isUnion() ? type.types : [type];
  const names = parts.flatMap((part) => part.isStringLiteral() ? [part.value] : []);
  return names.length === parts.length ? names : null;
}

/** Reports at `place` what of `names`, or of all where it is null, no stub of what `of` is has. */
function checkTaken(
  of: ts.Node,
  place: ts.Node,
  names: readonly string[] | null,
  stubs: Stubs,
): void {
  const { checker, reporter } = stubs;
  const type = checker.getNonNullableType(checker.getTypeAtLocation(of));
  const symbol = type.getSymbol();
  if (symbol === undefined || isNamedByImport(of, checker)) return;
  if (symbol.flags & ts.SymbolFlags.ValueModule) {
    const taken = names ?? checker.getPropertiesOfType(type).map((one) => one.name);
    const lost = taken.find((name) => isServers(checker.getPropertyOfType(type, name), stubs));
    if (lost !== undefined) reportNoStub(lost, place, reporter);
    return;
  }
  const own = isClassItself(type, symbol) ? stubs.names.get(symbol) : undefined;
  if (own === undefined || names?.every((name) => own.has(name)) === true) return;
  reportBeyondStub(symbol.name, own, place, reporter);
}

/** Reports at an expression a class with backend functions: it can be called upon, and nothing else. */
function checkClass(node: ts.Expression, stubs: Stubs): void {
  const { checker, reporter } = stubs;
  const type = checker.getTypeAtLocation(node), symbol = type.getSymbol();
  if (symbol === undefined || isNamedByImport(node, checker)) return;
  const own = isClassItself(type, symbol) ? stubs.names.get(symbol) : undefined;
  if (own !== undefined) reportBeyondStub(symbol.name, own, node, reporter);
}

/** True for a class, false for an instance of it. */
function isClassItself(type: ts.Type, symbol: ts.Symbol): boolean {
  return (symbol.flags & ts.SymbolFlags.Class) !== 0 && !type.isClassOrInterface();
}

/** True for a value of a module with backend functions that no stub has. */
function isServers(member: ts.Symbol | undefined, { checker, names, isBoundary }: Stubs): boolean {
  if (member === undefined) return false;
  const target = member.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(member) : member;
  const [declared] = target.declarations ?? [];
  return declared !== undefined && (target.flags & ts.SymbolFlags.Value) !== 0 &&
    isBoundary(declared.getSourceFile().fileName) && !names.has(target);
}

/** True for a name of an import statement, and for what is taken of one. */
function isNamedByImport(node: ts.Node, checker: ts.TypeChecker): boolean {
  let at = node;
  while (ts.isPropertyAccessExpression(at) || ts.isParenthesizedExpression(at)) at = at.expression;
  const symbol = ts.isIdentifier(at) ? checker.getSymbolAtLocation(at) : undefined;
  return symbol !== undefined && (symbol.flags & ts.SymbolFlags.Alias) !== 0;
}
