/**
 * Which identifiers mean Kontract's own exports: by symbol, through aliases, re-exports and
 * namespaces, never by spelling.
 *
 * @module
 */
import ts from "typescript";
import { unwrapped } from "./wrapped.ts";

/** Imports that make a module server-only. */
export const SERVER_ONLY_EXPORTS: ReadonlySet<string> = new Set([
  "env",
  "ctx",
  "secret",
  "defineMiddleware",
  "defineServer",
  "table",
]);

const known: WeakMap<ts.Program, KontractSymbols> = new WeakMap();

/** Those of a program; `entry` is the package's `mod.ts`. */
export function kontractSymbols(program: ts.Program, entry: string): KontractSymbols {
  let symbols = known.get(program);
  if (symbols === undefined) {
    symbols = new KontractSymbols(program.getTypeChecker(), program.getSourceFile(entry));
    known.set(program, symbols);
  }
  return symbols;
}

/** A decorator of Kontract's. */
export interface KontractDecorator {
  readonly name: string;
  readonly node: ts.Decorator;
  readonly call: ts.CallExpression | null;
}

/** Looks symbols up among the package's exports. */
export class KontractSymbols {
  readonly checker: ts.TypeChecker;
  #names: Map<ts.Symbol, string> = new Map();
  /** Several steps ask for those of one declaration. */
  readonly #decorators: Map<ts.Node, readonly KontractDecorator[]> = new Map();

  /** `entry` is the package's `mod.ts` in the program, if the app reaches it at all. */
  constructor(checker: ts.TypeChecker, entry: ts.SourceFile | undefined) {
    this.checker = checker;
    const module = entry === undefined ? undefined : checker.getSymbolAtLocation(entry);
    if (module === undefined) return;
    for (const symbol of checker.getExportsOfModule(module)) {
      this.#names.set(this.#target(symbol), symbol.name);
    }
  }

  /** Kontract's name for what `node` refers to, or null. */
  nameOf(node: ts.Node): string | null {
    const symbol = ts.isIdentifier(node) && ts.isShorthandPropertyAssignment(node.parent)
      ? this.checker.getShorthandAssignmentValueSymbol(node.parent)
      : this.checker.getSymbolAtLocation(node);
    return symbol === undefined ? null : this.nameOfSymbol(symbol);
  }

  /** Kontract's name for a symbol, or null. */
  nameOfSymbol(symbol: ts.Symbol): string | null {
    return this.#names.get(this.#target(symbol)) ?? null;
  }

  /** The decorator's or call's callee: `backend` in `@backend({})` and `@backend`. */
  calleeName(expression: ts.Expression): string | null {
    const callee = unwrapped(
      ts.isCallExpression(expression) ? expression.expression : expression,
    );
    if (ts.isPropertyAccessExpression(callee)) return this.nameOf(callee.name);
    if (ts.isElementAccessExpression(callee)) return this.nameOf(callee.argumentExpression);
    return this.nameOf(callee);
  }

  /** What a pattern takes of a value of `type` under a name; undefined where the name or the type does not tell. */
  memberTaken(name: ts.PropertyName | ts.BindingName, type: ts.Type): ts.Symbol | undefined {
    return ts.isIdentifier(name) || ts.isStringLiteralLike(name)
      ? type.getProperty(name.text)
      : undefined;
  }

  /** Kontract's names for a value: its own, or what it has as a namespace. */
  namesOfValue(symbol: ts.Symbol | undefined): readonly string[] {
    const own = symbol === undefined ? null : this.nameOfSymbol(symbol);
    return own === null ? this.namesIn(symbol) : [own];
  }

  /** Is `name` a namespace, of which Kontract's may be a part? */
  isNamespace(name: ts.Node): boolean {
    const symbol = this.checker.getSymbolAtLocation(name);
    return symbol !== undefined && this.isNamespaceSymbol(symbol);
  }

  /** The same of a symbol. */
  isNamespaceSymbol(symbol: ts.Symbol): boolean {
    return (this.#target(symbol).flags & ts.SymbolFlags.ValueModule) !== 0;
  }

  /** Kontract's names for what a module exports, and for what namespaces among its exports do. */
  namesIn(module: ts.Symbol | undefined, depth = 3): readonly string[] {
    const target = module === undefined ? undefined : this.#target(module);
    if (target === undefined || !this.isNamespaceSymbol(target) || depth === 0) return [];
    return this.checker.getExportsOfModule(target).flatMap((symbol) =>
      this.nameOfSymbol(symbol) ?? this.namesIn(symbol, depth - 1)
    );
  }

  /** The decorators of a declaration that are Kontract's. */
  decoratorsOf(node: ts.Node): readonly KontractDecorator[] {
    let found = this.#decorators.get(node);
    if (found === undefined) {
      const decorators = ts.canHaveDecorators(node) ? ts.getDecorators(node) ?? [] : [];
      found = decorators.flatMap((decorator) => {
        const name = this.calleeName(decorator.expression);
        const call = ts.isCallExpression(decorator.expression) ? decorator.expression : null;
        return name === null ? [] : [{ name, node: decorator, call }];
      });
      this.#decorators.set(node, found);
    }
    return found;
  }

  /** True for a decorator of this name that is nobody's: TypeScript says so. */
  hasUnknownDecorator(node: ts.Node, name: string): boolean {
    const decorators = ts.canHaveDecorators(node) ? ts.getDecorators(node) ?? [] : [];
    return decorators.some(({ expression }) =>
      ts.isIdentifier(expression) && expression.text === name &&
      this.checker.getSymbolAtLocation(expression) === undefined
    );
  }

  /** Does `node` name this member of an interface that Kontract exports? */
  isMember(node: ts.Node, type: string, member: string): boolean {
    const symbol = this.checker.getSymbolAtLocation(node);
    const owner = [...this.#names].find(([, name]) => name === type)?.[0];
    const declaration = owner?.members?.get(ts.escapeLeadingUnderscores(member))?.declarations?.[0];
    return declaration !== undefined && symbol?.declarations?.[0] === declaration;
  }

  #target(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(symbol) : symbol;
  }
}
