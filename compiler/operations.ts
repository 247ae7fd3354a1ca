/**
 * Which promises stand for operations of Kontract's: what `env.storage.users.set(…)` gives, and what a
 * function of the app gives that calls one, however far down.
 *
 * @module
 */
import ts from "typescript";
import { unwrapped } from "./wrapped.ts";

type Call = ts.CallExpression | ts.TaggedTemplateExpression;

/** Looks for operations with one checker. */
export class Operations {
  readonly #checker: ts.TypeChecker;
  readonly #isKontract: (file: string) => boolean;
  /** By a function's body; false while it is looked into, so that recursion ends. */
  readonly #bodies: Map<ts.Node, boolean> = new Map();

  /** `isKontract` tells the package's own files. */
  constructor(checker: ts.TypeChecker, isKontract: (file: string) => boolean) {
    this.#checker = checker;
    this.#isKontract = isKontract;
  }

  /** True for a call that gives the promise of an operation. */
  isPromised(node: Call): boolean {
    if (!this.isPromise(this.#checker.getTypeAtLocation(node))) return false;
    return this.#isOwn(node) || ts.isCallExpression(node) && this.runs(node.expression);
  }

  /** True for a function that may do an operation when it is called, written out there or named. */
  runs(callee: ts.Expression): boolean {
    return this.#bodiesOf(callee).some((body) =>
      !this.#isKontract(body.getSourceFile().fileName) && this.holds(body)
    );
  }

  /** True where something in `node` is the promise of an operation. */
  holds(node: ts.Node): boolean {
    const known = this.#bodies.get(node);
    if (known !== undefined) return known;
    this.#bodies.set(node, false);
    const found = this.#search(node);
    this.#bodies.set(node, found);
    return found;
  }

  /** True for the type of something that can be awaited. */
  isPromise(type: ts.Type): boolean {
    if (type.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) return false;
    const awaited = this.#checker.getAwaitedType(type);
    return awaited !== undefined && awaited !== type;
  }

  #isOwn(node: Call): boolean {
    const callee = ts.isCallExpression(node) ? node.expression : node.tag;
    if (!ts.isPropertyAccessExpression(callee)) return false;
    const member = this.#checker.getSymbolAtLocation(callee.name)?.valueDeclaration;
    return member !== undefined && this.#isKontract(member.getSourceFile().fileName);
  }

  #search(node: ts.Node): boolean {
    if (ts.isTypeNode(node)) return false;
    if (ts.isCallExpression(node) || ts.isTaggedTemplateExpression(node)) {
      if (this.isPromised(node)) return true;
      // `ids.map(save)`
      if (
        ts.isCallExpression(node) && node.arguments.some((one) => isName(one) && this.runs(one))
      ) {
        return true;
      }
    }
    return ts.forEachChild(node, (child) => this.#search(child)) === true;
  }

  /** The function that `callee` is; of `backend({}, async () => …)` and other wrappers what they wrap. */
  #bodiesOf(callee: ts.Expression): readonly ts.Node[] {
    const inner = unwrapped(callee);
    const made = isName(inner) ? this.#madeBy(inner) : inner;
    if (made === undefined) return [];
    if (ts.isFunctionLike(made)) return "body" in made && made.body ? [made.body as ts.Node] : [];
    if (!ts.isCallExpression(made)) return [];
    return made.arguments.flatMap((one) =>
      ts.isArrowFunction(one) || ts.isFunctionExpression(one) ? [one.body] : []
    );
  }

  #madeBy(name: ts.Identifier | ts.PropertyAccessExpression): ts.Node | undefined {
    const symbol = this.#checker.getSymbolAtLocation(ts.isIdentifier(name) ? name : name.name);
    const target = symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias
      ? this.#checker.getAliasedSymbol(symbol)
      : symbol;
    // Of overloads the one with a body.
    const found = target?.declarations?.find((one) => "body" in one && one.body !== undefined) ??
      target?.valueDeclaration;
    return found !== undefined &&
        (ts.isVariableDeclaration(found) || ts.isPropertyDeclaration(found))
      ? found.initializer
      : found;
  }
}

function isName(node: ts.Expression): node is ts.Identifier | ts.PropertyAccessExpression {
  return ts.isIdentifier(node) || ts.isPropertyAccessExpression(node);
}
