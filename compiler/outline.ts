/**
 * A module without the insides of its functions: while outlines are equal, an app declares the same.
 *
 * Blank is the body of a function whose result type is written out and that has no query (`exec`). Of a body the outline keeps, in order,
 * every name that may be one of the module's own or imported ones with what is taken of it and the kind of
 * syntax around it, decorators and dynamic imports: what could make a body matter to routes, tables, middleware and the border
 * between server and client stays. What types a body gets wrong is found elsewhere (`file_keys.ts`).
 *
 * @module
 */
import ts from "typescript";
import type { SourceSpan } from "../_internal/manifest.ts";
import { digest } from "./digest.ts";
import { authorText } from "./shadow.ts";
import type { TextRange } from "./erased_exports.ts";

/** A module's outline. */
export interface Outline {
  /** Equal for equal outlines. */
  readonly key: string;
  /** The bodies, by place. */
  readonly bodies: readonly TextRange[];
}

const outlines: WeakMap<ts.SourceFile, Outline> = new WeakMap();

/** The outline of a parsed module. */
export function outlineOf(source: ts.SourceFile): Outline {
  let known = outlines.get(source);
  if (known === undefined) outlines.set(source, known = makeOutline(source));
  return known;
}

function makeOutline(source: ts.SourceFile): Outline {
  const names = moduleNames(source);
  const text = authorText(source);
  const bodies: TextRange[] = [];
  const parts: string[] = [];
  let at = 0;
  const visit = (node: ts.Node): void => {
    const body = bodyOf(node);
    if (body === undefined) return ts.forEachChild(node, visit);
    // Parameters and decorators before the body may hold functions too: they stay as they are.
    const start = body.getStart(source), end = body.getEnd();
    bodies.push({ start, end });
    parts.push(text.slice(at, start), traces(body, names, source));
    at = end;
  };
  visit(source);
  parts.push(text.slice(at));
  return { key: digest(parts, 32), bodies };
}

function bodyOf(node: ts.Node): ts.Block | undefined {
  const typed = (ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node) ||
    ts.isFunctionExpression(node) || ts.isArrowFunction(node)) && node.type !== undefined;
  if (!typed || node.body === undefined || !ts.isBlock(node.body)) return undefined;
  return node.body.getText().includes("exec") ? undefined : node.body;
}

/** What a body says that an app's declarations may depend on. */
function traces(body: ts.Block, names: ReadonlySet<string>, source: ts.SourceFile): string {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && names.has(node.text)) {
      const whole = qualified(node);
      found.push(`${whole.getText(source)}:${whole.parent.kind}`);
    } else if (
      ts.isDecorator(node) ||
      ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
    ) found.push(node.getText(source));
    ts.forEachChild(node, visit);
  };
  visit(body);
  return found.join("\n");
}

/** `errors.NotFound` for `errors`. */
function qualified(node: ts.Node): ts.Node {
  const { parent } = node;
  const longer = ts.isPropertyAccessExpression(parent) && parent.expression === node ||
    ts.isQualifiedName(parent) && parent.left === node;
  return longer ? qualified(parent) : node;
}

/** Names that a module imports or declares at its top. */
function moduleNames(source: ts.SourceFile): ReadonlySet<string> {
  const names = new Set<string>();
  const add = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) names.add(node.text);
    else if (ts.isImportClause(node) || ts.isNamedImports(node) || isPattern(node)) {
      ts.forEachChild(node, add);
    } else if (ts.isImportSpecifier(node) || ts.isNamespaceImport(node)) add(node.name);
    else if (ts.isBindingElement(node)) add(node.name);
  };
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) {
      if (statement.importClause !== undefined) add(statement.importClause);
    } else if (ts.isVariableStatement(statement)) {
      for (const one of statement.declarationList.declarations) add(one.name);
    } else {
      const { name } = statement as { readonly name?: ts.Node };
      if (name !== undefined) add(name);
    }
  }
  return names;
}

function isPattern(node: ts.Node): node is ts.BindingPattern {
  return ts.isObjectBindingPattern(node) || ts.isArrayBindingPattern(node);
}

/** Where a place outside of all bodies has gone, between two texts with equal outlines. */
export function movedSpan(
  span: SourceSpan,
  before: ts.SourceFile,
  after: ts.SourceFile,
): SourceSpan {
  const from = outlineOf(before).bodies, to = outlineOf(after).bodies;
  const start = before.getPositionOfLineAndCharacter(span.line - 1, span.column - 1);
  let position = start;
  for (const [i, body] of from.entries()) {
    if (body.end > start) break;
    position = start - body.end + to[i]!.end;
  }
  const { line, character } = after.getLineAndCharacterOfPosition(position);
  return { ...span, line: line + 1, column: character + 1 };
}
