/**
 * Marks that mark nothing: `backend`, `defineMiddleware` and the decorators of tables where the compiler
 * does not look for them, or under a name that is a value of its own. A function would be no backend
 * function, a middleware guard nothing, a field have all rights, and nobody would see it.
 *
 * A mark may be imported under any name and by way of any module. It is called there, or stands in front
 * of what it marks; a variable, an argument or a property that holds it is an error.
 *
 * @module
 */
import ts from "typescript";
import { type AssignmentPattern, isAssignmentPattern } from "./assignment_pattern.ts";
import { keysIn } from "./dynamic_uses.ts";
import type { KontractSymbols } from "./kontract_symbols.ts";
import type { Reporter } from "./source_place.ts";
import { SyntaxPick } from "./syntax_pick.ts";
import { isWrapper, wrapped } from "./wrapped.ts";

/** What an app marks its declarations with. */
export const MARKS: ReadonlySet<string> = new Set([
  "backend",
  "defineMiddleware",
  "table",
  "perm",
  "primkey",
  "index",
]);

/** Those that are called in front of a class or a field. */
const DECORATORS: ReadonlySet<string> = new Set(["table", "perm", "primkey", "index"]);

/** Looks through a module; `taken` are the decorators' expressions and calls that were understood. */
export function lostMarks(
  source: ts.SourceFile,
  kontract: KontractSymbols,
  taken: ReadonlySet<ts.Node>,
  reporter: Reporter,
): void {
  const handles = handlesOf(source, kontract);
  if (handles !== null && handles.size === 0) return;
  const isHeld = (node: ts.Node): boolean => {
    const root = rootOf(node);
    return handles === null || root !== null && handles.has(root.text);
  };
  for (const node of CALLS.of(source)) {
    const expression = ts.isDecorator(node) ? node.expression : node;
    const isInDecorator = ts.isCallExpression(node) && ts.isDecorator(wrapped(node).parent);
    if (isInDecorator || taken.has(expression) || !isHeld(expression)) continue;
    const name = kontract.calleeName(expression);
    if (name !== null && MARKS.has(name)) lostCall(node, name, reporter);
  }
  for (const node of VALUES.of(source)) {
    if (!isHeld(node) || taken.has(node)) continue;
    const name = kontract.calleeName(node);
    if (name !== null && MARKS.has(name)) passedOn(node, name, reporter);
  }
  if (handles !== null && ![...handles].some((name) => isNamespace(name, source, kontract))) return;
  const check = (node: ts.Node, value: ts.Symbol | undefined): void => {
    const name = kontract.namesOfValue(value).find((one) => MARKS.has(one));
    if (name !== undefined) passedOn(node, name, reporter);
  };
  const { checker } = kontract;
  for (const node of VALUES.of(source)) {
    if (!isHeld(node) || isTakenApart(node)) continue;
    const type = checker.getTypeAtLocation(node), key = keyOf(node);
    if (type.symbol === undefined || !kontract.isNamespaceSymbol(type.symbol)) continue;
    const names = key === null ? null : keysIn(checker.getTypeAtLocation(key));
    const taken = names?.map((name) => type.getProperty(name)) ?? [type.symbol];
    for (const symbol of taken) check(node, symbol);
  }
  for (const node of IMPORTS.of(source)) {
    const [specifier] = node.arguments;
    const module = specifier && checker.getSymbolAtLocation(specifier);
    if (module === undefined) continue;
    for (const one of untypedTakers(node, module, kontract)) check(one, module);
  }
  for (const node of PATTERNS.of(source)) {
    const isBinding = ts.isObjectBindingPattern(node);
    const type = checker.getTypeAtLocation(isBinding ? node : node.right);
    for (const part of isBinding ? node.elements : node.left.properties) {
      // What a pattern inside of this one takes is looked at there.
      if (ts.isBindingElement(part) && ts.isObjectBindingPattern(part.name)) continue;
      const name = ts.isBindingElement(part) ? part.propertyName ?? part.name : part.name;
      const isRest = name === undefined ||
        ts.isBindingElement(part) && part.dotDotDotToken !== undefined;
      check(part, isRest ? type.symbol : kontract.memberTaken(name, type));
    }
  }
}

/** What a namespace is asked for by a key that is not written out; null for any other use of it. */
function keyOf(node: ts.Node): ts.Expression | null {
  const top = wrapped(node), { parent } = top;
  return ts.isElementAccessExpression(parent) && parent.expression === top
    ? parent.argumentExpression
    : null;
}

/** Who gets `import(…)`, or what it resolves to, and does not say of what type that is. */
function untypedTakers(
  node: ts.Node,
  module: ts.Symbol,
  { checker }: KontractSymbols,
): readonly ts.Node[] {
  const top = wrapped(node), { parent } = top;
  if (ts.isCallExpression(parent) && parent.expression !== top) return [node];
  const then = ts.isPropertyAccessExpression(parent) && parent.name.text === "then"
    ? wrapped(parent).parent
    : undefined;
  if (then === undefined || !ts.isCallExpression(then)) return [];
  return then.arguments.slice(0, 1).filter((taker) => {
    const [parameter] = checker.getTypeAtLocation(taker).getCallSignatures()[0]?.parameters ?? [];
    return parameter !== undefined &&
      checker.getTypeOfSymbolAtLocation(parameter, taker).symbol !== module;
  });
}

/** True for a namespace of which names are taken here. */
function isTakenApart(node: ts.Node): boolean {
  const top = wrapped(node), { parent } = top;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === top;
  if (isAssignmentPattern(parent)) return parent.right === top;
  const { name } = parent as ts.Node & { readonly name?: ts.Node };
  return name !== undefined && ts.isObjectBindingPattern(name);
}

function lostCall(node: ts.Decorator | ts.CallExpression, name: string, reporter: Reporter): void {
  if (name === "backend") return reporter.error("KT2003", node, ...strayed(node));
  if (name === "defineMiddleware") {
    return reporter.error(
      "KT6001",
      node,
      "A middleware is an exported constant of its module, and here it would guard nothing.",
      "export const guarded = defineMiddleware({ … }, async (next) => await next());",
    );
  }
  if (!ts.isDecorator(node)) {
    reporter.error(
      "KT4001",
      node,
      `'${name}' stands in front of what it marks, as '@${name}(…)', and here it has no effect.`,
      "Write it out in each place; a constant may hold its arguments.",
    );
  } else if (name === "table" && !ts.isSourceFile(node.parent.parent)) {
    reporter.error(
      "KT4001",
      node,
      "A table is a class at the top level of a module, and here it would be lost.",
      `export class ${className(node.parent)} { … }`,
    );
  }
}

function passedOn(node: ts.Node, name: string, reporter: Reporter): void {
  reporter.error(
    name === "backend" ? "KT2003" : name === "defineMiddleware" ? "KT6001" : "KT4001",
    node,
    `'${name}' is passed on as a value here, and what it then marks would be lost.`,
    DECORATORS.has(name)
      ? `Write '@${name}' itself; it may have another name: import { ${name} as other } from "…".`
      : `Call '${name}' itself; it may have another name: import { ${name} as other } from "…".`,
  );
}

/** The names by which a module's text can reach marks; null where it imports as it runs. */
function handlesOf(
  source: ts.SourceFile,
  kontract: KontractSymbols,
): ReadonlySet<string> | null {
  if (/\bimport\s*\(/.test(source.text)) return null;
  const handles = new Set<string>();
  for (const statement of source.statements) {
    if (ts.isImportEqualsDeclaration(statement)) handles.add(statement.name.text);
    if (!ts.isImportDeclaration(statement)) continue;
    const { importClause: clause } = statement;
    const named = clause?.namedBindings;
    if (named !== undefined && ts.isNamespaceImport(named)) handles.add(named.name.text);
    const elements = named !== undefined && ts.isNamedImports(named) ? named.elements : [];
    for (const { name } of [...elements, ...clause?.name === undefined ? [] : [clause]]) {
      if (name === undefined) continue;
      const own = kontract.nameOf(name);
      if (own === null ? kontract.isNamespace(name) : MARKS.has(own)) handles.add(name.text);
    }
  }
  return handles;
}

function isNamespace(
  name: string,
  source: ts.SourceFile,
  kontract: KontractSymbols,
): boolean {
  const found = kontract.checker.resolveName(name, source, ts.SymbolFlags.Alias, false);
  return found !== undefined && kontract.isNamespaceSymbol(found);
}

/** The name that `K` is in `K.backend({})`. */
function rootOf(node: ts.Node): ts.Identifier | null {
  let at = node;
  while (!ts.isIdentifier(at)) {
    if (
      ts.isCallExpression(at) || ts.isPropertyAccessExpression(at) ||
      ts.isElementAccessExpression(at) || isWrapper(at)
    ) at = at.expression;
    else return null;
  }
  return at;
}

const CALLS: SyntaxPick<ts.Decorator | ts.CallExpression> = new SyntaxPick((node) =>
  ts.isDecorator(node) || ts.isCallExpression(node)
);

/** Names, and names of names, whose value goes somewhere. */
const VALUES: SyntaxPick<ts.Expression> = new SyntaxPick(
  (node): node is ts.Expression => {
    const isName = ts.isIdentifier(node) || ts.isPropertyAccessExpression(node) ||
      ts.isElementAccessExpression(node);
    return isName && isPassed(node);
  },
  (node) =>
    ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || ts.isExportAssignment(node) ||
    ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node),
);

const IMPORTS: SyntaxPick<ts.CallExpression> = new SyntaxPick((node): node is ts.CallExpression =>
  ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
);

const PATTERNS: SyntaxPick<ts.ObjectBindingPattern | AssignmentPattern> = new SyntaxPick((
  node,
): node is ts.ObjectBindingPattern | AssignmentPattern =>
  ts.isObjectBindingPattern(node) || isAssignmentPattern(node)
);

function isPassed(node: ts.Node): boolean {
  const top = wrapped(node), { parent } = top;
  // Of a mark itself: 'backend.call(…)'.
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === top;
  if (ts.isElementAccessExpression(parent)) {
    return parent.argumentExpression === top || !ts.isStringLiteralLike(parent.argumentExpression);
  }
  if (ts.isCallExpression(parent)) return parent.expression !== top;
  if (ts.isDecorator(parent)) return false;
  if (ts.isShorthandPropertyAssignment(parent)) return true;
  if (ts.isBindingElement(parent)) return parent.initializer === top;
  const named = parent as ts.Node & { readonly name?: ts.Node; readonly label?: ts.Node };
  return named.name !== node && named.label !== node;
}

function className(node: ts.Node): string {
  const held = node.parent;
  if (ts.isClassLike(node) && node.name !== undefined) return node.name.text;
  return ts.isVariableDeclaration(held) && ts.isIdentifier(held.name) ? held.name.text : "User";
}

/** What is wrong with a `backend` that stands at no declaration, and what to write if that is known. */
function strayed(node: ts.Node): readonly [message: string, hint: string] {
  const { parent } = node;
  if (ts.isDecorator(node) && ts.isClassDeclaration(parent)) {
    return [
      "@backend belongs on each static method that clients may call, not on their class.",
      SPELLED,
    ];
  }
  if (ts.isDecorator(node) && ts.isClassElement(parent) && ts.isSourceFile(parent.parent.parent)) {
    return ts.isMethodDeclaration(parent)
      ? ["A function has one @backend, and this is another.", "Put all options into one of them."]
      : ["@backend belongs on a static method with a plain name.", SPELLED];
  }
  if (ts.isExportAssignment(parent)) {
    return [
      "A backend function has a name, and a default export has none.",
      "export const createUser = backend({ … }, async (name: string) => { … });",
    ];
  }
  return [
    "A backend function is declared at the top level of a module, and here it would be lost.",
    SPELLED,
  ];
}

/** How a backend function is written, as a hint says it. */
export const SPELLED =
  "export class Users { @backend({ … }) static async createUser(name: string): Promise<User> { … } }";
