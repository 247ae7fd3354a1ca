/**
 * Reads a middleware's handler for splicing: its text in pieces, with every place marked that changes
 * meaning when the text moves into a route's function.
 *
 * The result is plain data. A handler that cannot be moved without changing what it does gives null,
 * and is then called as a function: a handler must be an async function written in place with one
 * `next`, called at one place that runs at most once, and must not touch what belongs to its own
 * function or module (`this`, `arguments`, labels, `var`, module variables that it assigns).
 *
 * @module
 */
import ts from "typescript";
import { isWrapper } from "./wrapped.ts";

type NextForm = "tail" | "guarded" | "statement" | "expression";

/** Part of a handler's text. Lines and columns count from 0, in the author's file. */
export type HandlerPiece =
  | { readonly kind: "text"; readonly text: string; readonly line: number; readonly column: number }
  /** A name of the handler's module; `key` where it stands for `{ name }`. */
  | {
    readonly kind: "free";
    readonly name: string;
    readonly key: boolean;
    readonly line: number;
    readonly column: number;
  }
  /** `return value;`; settled: the value is no promise. */
  | {
    readonly kind: "return";
    readonly value: readonly HandlerPiece[] | null;
    readonly settled: boolean;
    /** True where it stands in a list of statements. */
    readonly listed: boolean;
  }
  /** The place of `await next()`. */
  | {
    readonly kind: "next";
    /**
     * `tail`: `return next();` where nothing of the handler runs afterwards. `guarded`: `return await
     * next();` inside a `try`. `statement`: a statement with `before` and `after` around the awaited
     * value. `expression`: anywhere else.
     */
    readonly form: NextForm;
    readonly before: readonly HandlerPiece[];
    readonly after: string;
    readonly listed: boolean;
    readonly line: number;
    readonly column: number;
  };

/** A handler that may be spliced. */
export interface InlineHandler {
  readonly pieces: readonly HandlerPiece[];
  /** Names of its module that it uses. */
  readonly free: readonly string[];
  /** Names that it declares, at any depth. */
  readonly locals: readonly string[];
  /** Names that it takes from the host. */
  readonly globals: readonly string[];
}

type Handler = ts.ArrowFunction | ts.FunctionExpression;

/** The handler as pieces, or null where it must be called. */
export function inlineHandler(
  node: ts.Expression | undefined,
  checker: ts.TypeChecker,
): InlineHandler | null {
  if (node === undefined || !(ts.isArrowFunction(node) || ts.isFunctionExpression(node))) {
    return null;
  }
  const isAsync = node.modifiers?.some((m) => m.kind === ts.SyntaxKind.AsyncKeyword) === true;
  const { fileName } = node.getSourceFile();
  if (!isAsync || node.asteriskToken !== undefined || !/\.m?ts$/.test(fileName)) return null;
  const [parameter, ...others] = node.parameters;
  if (others.length > 0 || ts.isFunctionExpression(node) && node.name !== undefined) return null;
  if (parameter !== undefined) {
    const plain = ts.isIdentifier(parameter.name) && parameter.initializer === undefined &&
      parameter.dotDotDotToken === undefined;
    if (!plain) return null;
  }
  const reader = new HandlerReader(node, checker);
  return reader.read();
}

/** Thrown inside this file only: the handler cannot be moved. */
class Immovable extends Error {}

class HandlerReader {
  readonly #node: Handler;
  readonly #checker: ts.TypeChecker;
  readonly #source: ts.SourceFile;
  readonly #next: ts.Symbol | undefined;
  readonly #free: Set<string> = new Set();
  readonly #locals: Set<string> = new Set();
  readonly #globals: Set<string> = new Set();
  #sites = 0;

  constructor(node: Handler, checker: ts.TypeChecker) {
    this.#node = node;
    this.#checker = checker;
    this.#source = node.getSourceFile();
    const name = node.parameters[0]?.name;
    this.#next = name === undefined ? undefined : checker.getSymbolAtLocation(name);
  }

  read(): InlineHandler | null {
    try {
      const { body } = this.#node;
      const pieces = ts.isBlock(body) ? this.#list(body) : [this.#returned(body, true)];
      if (this.#sites > 1) return null;
      if ([...this.#locals].some((name) => name.startsWith("$k"))) return null;
      const sorted = (names: ReadonlySet<string>): readonly string[] => [...names].sort();
      return {
        pieces,
        free: sorted(this.#free),
        locals: sorted(this.#locals),
        globals: sorted(this.#globals),
      };
    } catch (error) {
      if (error instanceof Immovable) return null;
      throw error;
    }
  }

  #list(block: ts.Block): HandlerPiece[] {
    return this.#range(block.getStart(this.#source) + 1, block.getEnd() - 1, block.statements);
  }

  /** The text from `start` to `end` with `nodes` inside it taken apart. */
  #range(start: number, end: number, nodes: readonly ts.Node[]): HandlerPiece[] {
    const out: HandlerPiece[] = [];
    let at = start;
    for (const node of nodes) {
      const from = node.getStart(this.#source);
      if (from > at) out.push(this.#text(at, from));
      out.push(...this.#piecesOf(node));
      at = node.getEnd();
    }
    if (end > at) out.push(this.#text(at, end));
    return out;
  }

  #piecesOf(node: ts.Node): HandlerPiece[] {
    this.#refuse(node);
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return this.#asIs(node);
    if (ts.isReturnStatement(node) && this.#ownerOf(node) === this.#node) {
      return [this.#returned(node.expression, isListed(node))];
    }
    const statement = this.#nextStatement(node);
    if (statement !== null) return [statement];
    if (ts.isAwaitExpression(node) && this.#isNext(node.expression)) {
      return [this.#site(node, "expression", [], "")];
    }
    if (ts.isIdentifier(node)) return [this.#identifier(node)];
    const children: ts.Node[] = [];
    ts.forEachChild(node, (child) => {
      children.push(child);
    });
    if (children.length === 0) return this.#asIs(node);
    // Modifiers and tokens come in the order of the text, but not always in that of the properties.
    children.sort((a, b) => a.pos - b.pos);
    return this.#range(node.getStart(this.#source), node.getEnd(), children);
  }

  #returned(expression: ts.Expression | undefined, listed: boolean): HandlerPiece {
    if (expression === undefined) return { kind: "return", value: null, settled: true, listed };
    const awaited = ts.isAwaitExpression(expression) ? expression.expression : null;
    if (this.#isNext(awaited ?? expression)) {
      const guarded = this.#inTry(expression);
      // `return next()` leaves a try block before the rest has run: only the function form does that.
      if (guarded && awaited === null) throw new Immovable();
      return this.#site(expression, guarded ? "guarded" : "tail", [], "", listed);
    }
    const settled = awaited !== null || ts.isStringLiteralLike(expression) ||
      ts.isNumericLiteral(expression);
    return { kind: "return", value: this.#piecesOf(expression), settled, listed };
  }

  /** `await next();`, `const x = await next();` and `x = await next();` */
  #nextStatement(node: ts.Node): HandlerPiece | null {
    if (ts.isExpressionStatement(node)) {
      const { expression } = node;
      if (this.#isAwaitedNext(expression)) {
        return this.#site(expression, "statement", [], ";", isListed(node));
      }
      if (
        ts.isBinaryExpression(expression) && ts.isIdentifier(expression.left) &&
        expression.operatorToken.kind === ts.SyntaxKind.EqualsToken &&
        this.#isAwaitedNext(expression.right)
      ) {
        const left = this.#piecesOf(expression.left);
        const before = [...left, this.#text(expression.left.getEnd(), expression.right.getStart())];
        return this.#site(expression.right, "statement", before, ";", isListed(node));
      }
    }
    if (!ts.isVariableStatement(node) || !isListed(node)) return null;
    const [declaration, ...others] = node.declarationList.declarations;
    const value = declaration?.initializer;
    if (declaration === undefined || others.length > 0 || value === undefined) return null;
    if (!ts.isIdentifier(declaration.name) || !this.#isAwaitedNext(value)) return null;
    this.#refuse(node.declarationList);
    this.#locals.add(declaration.name.text);
    const before = [this.#text(node.getStart(this.#source), value.getStart(this.#source))];
    return this.#site(value, "statement", before, ";", true);
  }

  #site(
    node: ts.Node,
    form: NextForm,
    before: readonly HandlerPiece[],
    after: string,
    listed = true,
  ): HandlerPiece {
    this.#sites++;
    for (let at = node.parent; at !== this.#node; at = at.parent) {
      if (ts.isFunctionLike(at) || ts.isIterationStatement(at, false) || ts.isClassLike(at)) {
        throw new Immovable();
      }
    }
    const { line, character } = this.#source.getLineAndCharacterOfPosition(node.getStart());
    return { kind: "next", form, before, after, listed, line, column: character };
  }

  #isAwaitedNext(node: ts.Expression): boolean {
    return ts.isAwaitExpression(node) && this.#isNext(node.expression);
  }

  #isNext(node: ts.Expression): boolean {
    return ts.isCallExpression(node) && ts.isIdentifier(node.expression) &&
      node.arguments.length === 0 && node.questionDotToken === undefined &&
      this.#next !== undefined &&
      this.#checker.getSymbolAtLocation(node.expression) === this.#next;
  }

  #ownerOf(node: ts.Node): ts.Node {
    let at = node.parent;
    while (!ts.isFunctionLike(at) && !ts.isClassStaticBlockDeclaration(at)) at = at.parent;
    return at;
  }

  /** True where something of the handler runs after `node` has given its value. */
  #inTry(node: ts.Node): boolean {
    for (let at = node.parent; at !== this.#node; at = at.parent) {
      if (ts.isTryStatement(at)) return true;
    }
    return false;
  }

  #identifier(node: ts.Identifier): HandlerPiece {
    const { parent } = node;
    if (isPropertyName(node)) return this.#asIs(node)[0]!;
    const key = ts.isShorthandPropertyAssignment(parent) && parent.name === node;
    const symbol = key
      ? this.#checker.getShorthandAssignmentValueSymbol(parent)
      : this.#checker.getSymbolAtLocation(node);
    if (node.text === "arguments" || node.text === "eval" || symbol === this.#next) {
      throw new Immovable();
    }
    const [first] = symbol?.declarations ?? [];
    if (first === undefined || first.getSourceFile() !== this.#source) {
      this.#globals.add(node.text);
      return this.#asIs(node)[0]!;
    }
    if (first.getStart() >= this.#node.getStart() && first.getEnd() <= this.#node.getEnd()) {
      this.#locals.add(node.text);
      return this.#asIs(node)[0]!;
    }
    // A name that another module imports cannot be assigned there.
    if (isAssigned(node)) throw new Immovable();
    this.#free.add(node.text);
    const { line, character } = this.#source.getLineAndCharacterOfPosition(node.getStart());
    return { kind: "free", name: node.text, key, line, column: character };
  }

  #refuse(node: ts.Node): void {
    const { kind } = node;
    if (
      kind === ts.SyntaxKind.ThisKeyword || kind === ts.SyntaxKind.SuperKeyword ||
      kind === ts.SyntaxKind.ImportKeyword || kind === ts.SyntaxKind.MetaProperty ||
      ts.isLabeledStatement(node) || ts.isEnumDeclaration(node) || ts.isModuleDeclaration(node)
    ) {
      throw new Immovable();
    }
    if (!ts.isVariableDeclarationList(node)) return;
    const scope = node.flags & ts.NodeFlags.BlockScoped;
    if (scope !== ts.NodeFlags.Let && scope !== ts.NodeFlags.Const) throw new Immovable();
  }

  #asIs(node: ts.Node): HandlerPiece[] {
    return [this.#text(node.getStart(this.#source), node.getEnd())];
  }

  #text(start: number, end: number): HandlerPiece {
    const { line, character } = this.#source.getLineAndCharacterOfPosition(start);
    return { kind: "text", text: this.#source.text.slice(start, end), line, column: character };
  }
}

function isListed(node: ts.Statement): boolean {
  const { parent } = node;
  return ts.isBlock(parent) || ts.isCaseOrDefaultClause(parent);
}

/** A name after a dot, before a colon, or of a member: it refers to nothing outside. */
function isPropertyName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isBindingElement(parent)) return parent.propertyName === node;
  if (ts.isQualifiedName(parent)) return true;
  return (ts.isPropertyAssignment(parent) || ts.isMethodDeclaration(parent) ||
    ts.isPropertyDeclaration(parent) || ts.isGetAccessor(parent) || ts.isSetAccessor(parent)) &&
    parent.name === node;
}

/** True where the name, or a pattern that holds it, gets a value. */
function isAssigned(name: ts.Identifier): boolean {
  let node: ts.Node = name;
  for (let at = node.parent;; node = at, at = at.parent) {
    if (ts.isBinaryExpression(at)) {
      const { kind } = at.operatorToken;
      const assigns = kind >= ts.SyntaxKind.FirstAssignment &&
        kind <= ts.SyntaxKind.LastAssignment;
      if (at.left === node && assigns) return true;
      return false;
    }
    if (ts.isPrefixUnaryExpression(at) || ts.isPostfixUnaryExpression(at)) {
      return at.operator === ts.SyntaxKind.PlusPlusToken ||
        at.operator === ts.SyntaxKind.MinusMinusToken;
    }
    if (ts.isForInStatement(at) || ts.isForOfStatement(at)) return at.initializer === node;
    const goesOn = isWrapper(at) || ts.isArrayLiteralExpression(at) ||
      ts.isObjectLiteralExpression(at) || ts.isSpreadElement(at) || ts.isSpreadAssignment(at) ||
      ts.isShorthandPropertyAssignment(at) ||
      ts.isPropertyAssignment(at) && at.initializer === node;
    if (!goesOn) return false;
  }
}
