/**
 * Names of types: which get one, what it is, and the table of shapes by name.
 *
 * A name is the author's own (`User`); an instantiated generic adds its arguments (`Page_User`). Two
 * declarations of one name in different modules are told apart by a number that the lock keeps.
 *
 * @module
 */
import { join } from "node:path";
import ts from "typescript";
import type { Shape } from "../../_internal/shape.ts";
import { compareText } from "../diagnostic.ts";
import type { Lock } from "../lock.ts";
import { appPath } from "../project.ts";

/** A wanted name and the module that declares it. */
export interface WantedName {
  readonly name: string;
  readonly file: string;
}

/** Names given in one build. */
export class TypeNames {
  readonly #lock: Lock;
  readonly #root: string;
  readonly #program: ts.Program;
  readonly #names: Map<ts.Type, string> = new Map();
  readonly #shapes: Map<string, Shape> = new Map();
  readonly #used: Set<string> = new Set();
  /** Null where a shape has come since. */
  #table: Readonly<Record<string, Shape>> | null = null;

  /** Names come from and go to `lock`. */
  constructor(lock: Lock, root: string, program: ts.Program) {
    this.#program = program;
    this.#lock = lock;
    this.#root = root;
  }

  /** The name a type has by now; it counts as used. */
  get(type: ts.Type): string | undefined {
    const name = this.#names.get(type);
    if (name !== undefined) this.#used.add(name);
    return name;
  }

  /** A new name, before its body is known: the body may refer to it. */
  reserve(type: ts.Type, wanted: WantedName): string {
    const module = appPath({ root: this.#root }, wanted.file);
    const base = wanted.name.split("_")[0] ?? wanted.name;
    const name = this.#lock.typeName(wanted.name, module, (one) => this.#declares(one, base));
    this.#names.set(type, name);
    return name;
  }

  #declares(module: string, name: string): boolean {
    const source = this.#program.getSourceFile(join(this.#root, module));
    return source?.statements.some((statement) =>
      (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement) ||
        ts.isClassDeclaration(statement) || ts.isEnumDeclaration(statement)) &&
      statement.name?.text === name
    ) ?? false;
  }

  /** Puts the body in; what deserves no entry of its own is given back as it is. */
  define(type: ts.Type, name: string, shape: Shape): Shape {
    const worthy = ["object", "union", "enum", "record"].includes(shape.kind);
    if (!worthy && !this.#used.has(name)) {
      this.#names.delete(type);
      this.#lock.releaseName(name);
      return shape;
    }
    this.#shapes.set(name, shape);
    this.#table = null;
    return { kind: "ref", name };
  }

  /** The shape of a name, where its body is known by now. */
  shape(name: string): Shape | undefined {
    return this.#shapes.get(name);
  }

  /** All named shapes, by name. */
  get table(): Readonly<Record<string, Shape>> {
    return this.#table ??= Object.fromEntries(
      [...this.#shapes].sort(([a], [b]) => compareText(a, b)),
    );
  }
}

/** The name a type asks for, or null where it is anonymous. */
export function typeName(
  type: ts.Type,
  checker: ts.TypeChecker,
  isLibrary: (symbol: ts.Symbol) => boolean,
): WantedName | null {
  const alias = type.aliasSymbol;
  if (alias !== undefined && !isLibrary(alias)) {
    return withArguments(alias, type.aliasTypeArguments ?? [], checker, isLibrary);
  }
  const symbol = type.getSymbol();
  const nameable = ts.SymbolFlags.Interface | ts.SymbolFlags.Class | ts.SymbolFlags.Enum;
  if (symbol === undefined || !(symbol.flags & nameable) || isLibrary(symbol)) return null;
  const target = (type as ts.TypeReference).target;
  if (target === undefined) return withArguments(symbol, [], checker, isLibrary);
  const args = checker.getTypeArguments(type as ts.TypeReference);
  const own = args.slice(0, target.typeParameters?.length ?? 0);
  return withArguments(symbol, own, checker, isLibrary);
}

function withArguments(
  symbol: ts.Symbol,
  args: readonly ts.Type[],
  checker: ts.TypeChecker,
  isLibrary: (symbol: ts.Symbol) => boolean,
): WantedName | null {
  const file = symbol.declarations?.[0]?.getSourceFile().fileName;
  if (file === undefined || !/^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(symbol.name)) {
    return null;
  }
  const parts = [symbol.name];
  for (const arg of args) {
    const inner = typeName(arg, checker, isLibrary)?.name ?? primitiveName(arg, checker);
    if (inner === null) return null;
    parts.push(inner);
  }
  return { name: parts.join("_"), file };
}

function primitiveName(type: ts.Type, checker: ts.TypeChecker): string | null {
  const text = checker.typeToString(type);
  return /^[A-Za-z]\w*$/.test(text) ? text : null;
}
