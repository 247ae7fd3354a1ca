/**
 * Operations of Kontract's that nobody waits for: `env.storage.users.set(…);` as a statement, or a function
 * of the app that does one; a list of such promises; a function that gives one to who takes no result, as
 * `forEach` does.
 *
 * The call may end before the operation does, and then it is refused, or done and its error lost.
 * `void` before it says that this is meant. What goes anywhere else (into a variable, to a function, out of
 * this one) is taken to be awaited there.
 *
 * @module
 */
import ts from "typescript";
import type { Diagnostic } from "./diagnostic.ts";
import { Operations } from "./operations.ts";
import { placeOf } from "./source_place.ts";
import { SyntaxPick } from "./syntax_pick.ts";
import { unwrapped } from "./wrapped.ts";

/** What is said of a lost operation. */
type Words = readonly [message: string, hint: string];

/** Finds the lost operations of modules, with one checker. */
export class LostPromises {
  readonly #root: string;
  readonly #checker: ts.TypeChecker;
  readonly #operations: Operations;

  /** `isKontract` tells the package's own files. */
  constructor(root: string, checker: ts.TypeChecker, isKontract: (file: string) => boolean) {
    this.#root = root;
    this.#checker = checker;
    this.#operations = new Operations(checker, isKontract);
  }

  /** The operations of a module whose promise is dropped. */
  of(source: ts.SourceFile): readonly Diagnostic[] {
    const lost = LOSERS.of(source).flatMap((node) => this.#lostAt(node));
    return lost.map(([place, [message, hint]]) => {
      const start = place.getStart(source);
      const at = placeOf(this.#root, source, start, place.getEnd() - start);
      return { code: "KT2014", severity: "error", message, hint, ...at };
    });
  }

  /** What is lost by this very node. */
  #lostAt(node: Loser): readonly (readonly [place: ts.Node, words: Words])[] {
    if (ts.isExpressionStatement(node)) {
      return this.#droppedBy(node.expression)
        .map((one) => [one, this.#isList(one) ? LIST : DROPPED] as const);
    }
    if (ts.isAwaitExpression(node)) {
      const list = unwrapped(node.expression);
      const isLost = this.#isList(list) && this.#operations.holds(list);
      return isLost ? [[node, AWAITED_LIST]] : [];
    }
    if (ts.isArrowFunction(node) || ts.isFunctionExpression(node)) return this.#lostCallback(node);
    // What gives a result back may well take one from its function.
    return node.arguments.filter((one) => this.#isNamedCallback(one))
      .map((one) => [one, wordsOfCallback(one)]);
  }

  /** A function written out for someone who takes no result. */
  #lostCallback(
    node: ts.ArrowFunction | ts.FunctionExpression,
  ): readonly (readonly [place: ts.Node, words: Words])[] {
    const isAsync = node.modifiers?.some((one) => one.kind === ts.SyntaxKind.AsyncKeyword) === true;
    if (!isAsync && ts.isBlock(node.body) || node.asteriskToken !== undefined) return [];
    if (!this.#isForNothing(node)) return [];
    if (isAsync) return this.#operations.holds(node.body) ? [[node, wordsOfCallback(node)]] : [];
    return this.#droppedBy(node.body as ts.Expression)
      .map((one) => [one, wordsOfCallback(node)] as const);
  }

  /** True for `save` in `ids.forEach(save)`. */
  #isNamedCallback(node: ts.Expression): boolean {
    if (!ts.isIdentifier(node) && !ts.isPropertyAccessExpression(node)) return false;
    const [signature] = this.#checker.getTypeAtLocation(node).getCallSignatures();
    return signature !== undefined && this.#operations.isPromise(signature.getReturnType()) &&
      this.#isForNothing(node) && this.#operations.runs(node);
  }

  /** True for what is called by someone who takes no result. */
  #isForNothing(node: ts.Expression): boolean {
    // Who makes a promise by hand ends it by hand.
    const { parent } = node;
    if (ts.isNewExpression(parent)) return false;
    // To a browser's types they take any function, or a text.
    if (
      ts.isCallExpression(parent) && /^set(?:Timeout|Interval)$/.test(parent.expression.getText())
    ) {
      return true;
    }
    const wanted = this.#checker.getContextualType(node);
    if (wanted === undefined) return false;
    const signatures = (wanted.isUnion() ? wanted.types : [wanted])
      .flatMap((one) => one.getCallSignatures());
    return signatures.length > 0 &&
      signatures.every((one) => (one.getReturnType().flags & ts.TypeFlags.Void) !== 0);
  }

  #isList(node: ts.Expression): boolean {
    const type = this.#checker.getTypeAtLocation(node);
    if (!this.#checker.isArrayType(type) && !this.#checker.isTupleType(type)) return false;
    return this.#checker.getTypeArguments(type as ts.TypeReference)
      .some((one) => this.#operations.isPromise(one));
  }

  /** Operations whose promise is lost where the value of `node` is. */
  #droppedBy(node: ts.Expression): readonly ts.Expression[] {
    const each = (...parts: readonly ts.Expression[]): readonly ts.Expression[] =>
      parts.flatMap((part) => this.#droppedBy(part));
    const inner = unwrapped(node);
    if (inner !== node) return each(inner);
    if (ts.isConditionalExpression(node)) return each(node.whenTrue, node.whenFalse);
    if (ts.isBinaryExpression(node)) {
      const { kind } = node.operatorToken;
      if (kind === ts.SyntaxKind.CommaToken) return each(node.left, node.right);
      return CHOICES.has(kind) ? each(node.right) : [];
    }
    if (ts.isTaggedTemplateExpression(node)) return this.#operations.isPromised(node) ? [node] : [];
    if (!ts.isCallExpression(node) || isNothing(this.#checker.getTypeAtLocation(node))) return [];
    const chained = ts.isPropertyAccessExpression(node.expression) ? node.expression : null;
    const isLost = this.#operations.isPromised(node) ||
      chained !== null && this.#isLostChain(node, chained) ||
      this.#isList(node) && this.#operations.holds(node);
    return isLost ? [node] : [];
  }

  /** True for `….then(…)` and `Promise.all(…)` of operations. */
  #isLostChain(
    call: ts.CallExpression,
    { name, expression }: ts.PropertyAccessExpression,
  ): boolean {
    if (ts.isIdentifier(expression) && expression.text === "Promise") {
      return GATHERED.has(name.text) && call.arguments.some((one) => this.#operations.holds(one));
    }
    // Whoever gives a function for the failure has thought of it.
    const passes = name.text === "finally" || name.text === "then" && call.arguments.length < 2;
    if (!passes || !this.#operations.isPromise(this.#checker.getTypeAtLocation(call))) return false;
    return this.#droppedBy(expression).length > 0 ||
      call.arguments.some((one) => this.#operations.runs(one));
  }
}

type Loser =
  | ts.ExpressionStatement
  | ts.AwaitExpression
  | ts.ArrowFunction
  | ts.FunctionExpression
  | ts.CallExpression;

/** What may lose a promise, by its syntax. */
const LOSERS: SyntaxPick<Loser> = new SyntaxPick((node): node is Loser =>
  ts.isExpressionStatement(node) ||
  ts.isAwaitExpression(node) && mayBeList(unwrapped(node.expression)) ||
  ts.isArrowFunction(node) || ts.isFunctionExpression(node) ||
  ts.isCallExpression(node) && ts.isExpressionStatement(node.parent)
);

/** False for most of what is awaited, without a look at its type. */
function mayBeList(node: ts.Expression): boolean {
  if (!ts.isCallExpression(node)) return ts.isIdentifier(node) || ts.isArrayLiteralExpression(node);
  return ts.isPropertyAccessExpression(node.expression) && LISTED.has(node.expression.name.text);
}

function isNothing({ flags }: ts.Type): boolean {
  return (flags & (ts.TypeFlags.Void | ts.TypeFlags.Undefined | ts.TypeFlags.Any)) !== 0;
}

const LISTED: ReadonlySet<string> = new Set(["map", "flatMap", "filter"]);

const GATHERED: ReadonlySet<string> = new Set(["all", "allSettled", "any", "race"]);

const CHOICES: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
]);

const LOST = "the call may end before it is done, and its failure is lost.";
const DROPPED: Words = [
  `Nobody waits for this: ${LOST}`,
  "Write 'await' before it; or 'void', if it may be lost.",
];
const LIST: Words = [
  "Nobody waits for these promises: the call may end before they are done, and their failures are lost.",
  "Write 'await Promise.all(…)' around it.",
];
const AWAITED_LIST: Words = [
  "'await' does not wait for the promises in a list: the call may end before they are done.",
  "Write 'await Promise.all(…)'.",
];

function wordsOfCallback({ parent }: ts.Expression): Words {
  const callee = ts.isCallExpression(parent) ? parent.expression : null;
  const name = callee !== null && ts.isPropertyAccessExpression(callee) ? callee.name.text : null;
  if (name === "forEach") {
    return [
      `'forEach' waits for nothing: ${LOST}`,
      "Write 'for (const … of …) { await …; }' or 'await Promise.all(….map(…))'; or 'void' before it, if it " +
      "may be lost.",
    ];
  }
  return [
    `Who calls this function waits for nothing: ${LOST}`,
    "Do it where the call can wait for it; or write '() => void …', if it may be lost.",
  ];
}
