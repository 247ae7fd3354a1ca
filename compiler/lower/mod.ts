/**
 * Checker types → {@link Shape}: the one place that looks at TypeScript types.
 *
 * A {@link Lowering} belongs to one build. Named object types, unions and enums become entries of its
 * table and are pointed to by `ref`; recursion goes through names only. What cannot cross is reported
 * at the syntax node that the caller gives (a parameter, a return type, a field) with the path inside
 * the type, and lowers to `unknown` so that the rest is still checked.
 *
 * @module
 */
import ts from "typescript";
import type { NumberWidth, Shape, ShapeField } from "../../_internal/shape.ts";
import type { KontractSymbols } from "../kontract_symbols.ts";
import type { Lock } from "../lock.ts";
import type { Reporter } from "../source_place.ts";
import { escapedText, TEMPLATE_PARTS } from "../template_text.ts";
import { builtin, WIDTHS } from "./builtins.ts";
import { docOf } from "./docs.ts";
import { typeName, TypeNames } from "./names.ts";
import { type Refusal, type RefusalKind, REFUSALS } from "./refusal.ts";
import { lowerUnion } from "./union.ts";

/** Where a type stands: for messages and for ids. */
export interface Place {
  /** Node that a problem is reported at. */
  readonly node: ts.Node;
  /** Who takes or returns it: `'createUser' cannot take`. */
  readonly subject: string;
  /** Path inside, `user.address.street`. */
  readonly path: string;
  /** Owner of ids in the lock. */
  readonly owner: string;
  readonly depth: number;
}

const MAX_DEPTH = 64;
const UNKNOWN: Shape = { kind: "unknown" };

/** Lowers the types of one build. */
export class Lowering {
  readonly checker: ts.TypeChecker;
  readonly lock: Lock;
  readonly kontract: KontractSymbols;
  readonly names: TypeNames;
  readonly #program: ts.Program;
  readonly #reporter: Reporter;
  readonly #tables: ReadonlySet<ts.Symbol>;
  readonly #active: Set<ts.Type> = new Set();
  /** Many routes give the same, and TypeScript looks at it anew each time. */
  readonly #awaited: Map<ts.Type, ts.Type> = new Map();
  /** Node whose type was given up as endless. */
  #given: ts.Node | null = null;

  /** `tables` are the symbols of table classes: the only classes whose instances may cross. */
  constructor(options: {
    readonly program: ts.Program;
    readonly kontract: KontractSymbols;
    readonly lock: Lock;
    readonly reporter: Reporter;
    readonly tables: ReadonlySet<ts.Symbol>;
  }) {
    this.#program = options.program;
    this.checker = options.kontract.checker;
    this.kontract = options.kontract;
    this.lock = options.lock;
    this.#reporter = options.reporter;
    this.#tables = options.tables;
    this.names = new TypeNames(options.lock, options.reporter.root, options.program);
  }

  /** The shape of `type`. */
  lower(type: ts.Type, place: Place): Shape {
    if (place.node === this.#given) return UNKNOWN;
    if (place.depth > MAX_DEPTH) {
      // Each level may branch: going on elsewhere in a type without end could take for ever.
      this.#given = place.node;
      return this.refuse("deep", { ...place, path: `${place.path.slice(0, 60)}…` });
    }
    const simple = this.#primitive(type, place);
    if (simple !== null) return simple;
    if (type.isUnion()) return this.#named(type, place, (at) => lowerUnion(this, type, at));
    if (type.isIntersection()) {
      const branded = this.#brand(type, place);
      if (branded !== null) return branded;
    }
    if (type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) {
      return this.#object(type, place);
    }
    if (type.flags & ts.TypeFlags.NonPrimitive) return this.refuse("object", place);
    return this.refuse("generic", place);
  }

  /** What is there once a promise is awaited. */
  awaited(type: ts.Type): ts.Type {
    let found = this.#awaited.get(type);
    if (found === undefined) {
      this.#awaited.set(type, found = this.checker.getAwaitedType(type) ?? type);
    }
    return found;
  }

  /** Reports why a type cannot cross. */
  refuse(kind: RefusalKind, place: Place): Shape {
    const { reason, hint, stored = hint }: Refusal = REFUSALS[kind];
    const what = place.path === "" ? "its result" : `'${place.path}'`;
    const at = place.subject.startsWith("Table ") ? stored : hint;
    const message = `${place.subject} ${what}: ${reason}.`;
    if (kind === "unresolved") this.#reporter.follows("KT3001", place.node, message, at);
    else this.#reporter.error("KT3001", place.node, message, at);
    return UNKNOWN;
  }

  #primitive(type: ts.Type, place: Place): Shape | null {
    const flags = type.flags;
    if (flags & ts.TypeFlags.Any) {
      return this.refuse(isUnresolved(type) ? "unresolved" : "any", place);
    }
    if (flags & ts.TypeFlags.Unknown) return UNKNOWN;
    if (flags & ts.TypeFlags.Boolean) return { kind: "boolean" };
    if (flags & ts.TypeFlags.BooleanLiteral) {
      return { kind: "literal", value: this.checker.typeToString(type) === "true" };
    }
    if (type.isStringLiteral() || type.isNumberLiteral()) {
      return { kind: "literal", value: type.value };
    }
    if (flags & ts.TypeFlags.String) return { kind: "string" };
    if (flags & ts.TypeFlags.Number) return { kind: "number", width: "float64" };
    if (flags & ts.TypeFlags.BigIntLiteral) return this.refuse("bigintLiteral", place);
    if (flags & ts.TypeFlags.BigIntLike) return { kind: "bigint", width: "big" };
    if (flags & ts.TypeFlags.Null) return { kind: "null" };
    if (flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Void)) return { kind: "undefined" };
    if (flags & ts.TypeFlags.ESSymbolLike) return this.refuse("symbol", place);
    if (flags & ts.TypeFlags.Never) {
      return this.refuse(place.path.endsWith("[]") ? "emptyArray" : "never", place);
    }
    if (flags & ts.TypeFlags.TemplateLiteral) {
      const pattern = templatePattern(type as ts.TemplateLiteralType);
      if (pattern === null) return this.refuse("caseMapping", place);
      return { kind: "string", pattern: `^${pattern}$` };
    }
    if (flags & ts.TypeFlags.StringMapping) return this.refuse("caseMapping", place);
    if (flags & ts.TypeFlags.EnumLike && !type.isUnion()) {
      return { kind: "number", width: "float64" };
    }
    return null;
  }

  /** `number & { readonly [width]?: "int32" }`, and any author's own brand over a primitive. */
  #brand(type: ts.IntersectionType, place: Place): Shape | null {
    const base = type.types.find((t) =>
      t.flags & (ts.TypeFlags.StringLike | ts.TypeFlags.NumberLike | ts.TypeFlags.BigIntLike |
        ts.TypeFlags.BooleanLike)
    );
    if (base === undefined) return null;
    const shape = this.lower(base, place);
    const width = brandWidth(type, this.checker);
    if (width === null) return shape;
    if (shape.kind === "number" && WIDTHS.has(width)) {
      return { kind: "number", width: width as NumberWidth };
    }
    if (shape.kind === "bigint" && (width === "int64" || width === "uint64")) {
      return { kind: "bigint", width };
    }
    return shape;
  }

  /** Lowers through the type's name, if it has one: a `ref`, and an entry in the table. */
  #named(type: ts.Type, place: Place, body: (place: Place) => Shape): Shape {
    const known = this.names.get(type);
    if (known !== undefined) return { kind: "ref", name: known };
    const wanted = typeName(type, this.checker, (symbol) => this.isLibrary(symbol));
    if (wanted === null) {
      if (this.#active.has(type)) {
        return this.refuse(isGeneric(type) ? "namelessArgument" : "unnamedCycle", place);
      }
      this.#active.add(type);
      const shape = body({ ...place, depth: place.depth + 1 });
      this.#active.delete(type);
      return shape;
    }
    const name = this.names.reserve(type, wanted);
    const shape = body({ ...place, owner: name, depth: place.depth + 1 });
    return this.names.define(type, name, shape);
  }

  #object(type: ts.Type, place: Place): Shape {
    if (type.getConstructSignatures().length > 0) return this.refuse("class", place);
    if (type.getCallSignatures().length > 0) return this.refuse("function", place);
    if (this.checker.isTupleType(type)) {
      return this.#guarded(type, place, (at) => this.#tuple(type as ts.TupleTypeReference, at));
    }
    const symbol = type.getSymbol();
    if (symbol !== undefined && !symbol.name.startsWith("__") && this.isLibrary(symbol)) {
      return this.#guarded(type, place, (at) => this.#builtin(symbol.name, type, at));
    }
    if (this.#isError(type)) return { kind: "error" };
    if (
      symbol !== undefined && symbol.flags & ts.SymbolFlags.Class && !this.#tables.has(symbol)
    ) return this.refuse("class", place);
    return this.#named(type, place, (at) => this.#fields(type, at));
  }

  /** Array-like types have no name of their own: they may recur only through a named one. */
  #guarded(type: ts.Type, place: Place, body: (place: Place) => Shape): Shape {
    if (type.aliasSymbol !== undefined && this.names.get(type) !== undefined) {
      return { kind: "ref", name: this.names.get(type) ?? "" };
    }
    if (this.#active.has(type)) return this.refuse("unnamedCycle", place);
    this.#active.add(type);
    const shape = body({ ...place, depth: place.depth + 1 });
    this.#active.delete(type);
    return shape;
  }

  #builtin(name: string, type: ts.Type, place: Place): Shape {
    const found = builtin(name);
    const argument = (index: number): ts.Type =>
      this.checker.getTypeArguments(type as ts.TypeReference)[index] ??
        this.checker.getUnknownType();
    const inside = (index: number, mark: string): Shape =>
      this.lower(argument(index), extend(place, mark));
    switch (found.is) {
      case "refused":
        return this.refuse(found.why, place);
      case "typed_array":
        return { kind: "typed_array", element: found.element };
      case "file":
        return { kind: "file", of: found.of };
      case "array":
        return { kind: "array", element: inside(0, "[]") };
      case "set":
        return { kind: "set", element: inside(0, "<element>") };
      case "map":
        return this.#map(inside(0, "<key>"), inside(1, "<value>"), place);
      case "stream":
        return this.refuse("stream", place);
      default:
        return { kind: found.is };
    }
  }

  #map(key: Shape, value: Shape, place: Place): Shape {
    const resolved = key.kind === "ref" ? this.names.shape(key.name) ?? key : key;
    const fits = ["string", "number", "bigint", "boolean", "literal", "enum"].includes(
      resolved.kind,
    );
    return fits ? { kind: "map", key, value } : this.refuse("mapKey", place);
  }

  #tuple(type: ts.TupleTypeReference, place: Place): Shape {
    const args = this.checker.getTypeArguments(type);
    const flags = type.target.elementFlags;
    const elements: { shape: Shape; optional: boolean }[] = [];
    let rest: Shape | undefined;
    for (const [i, argument] of args.entries()) {
      const flag = flags[i] ?? ts.ElementFlags.Required;
      const at = extend(place, `[${i}]`);
      if (flag & ts.ElementFlags.Variable) {
        if (flag & ts.ElementFlags.Variadic) return this.refuse("generic", at);
        if (i < args.length - 1) return this.refuse("restInside", at);
        rest = this.lower(argument, at);
      } else {
        const optional = (flag & ts.ElementFlags.Optional) !== 0;
        elements.push({ shape: this.lowerMember(argument, optional, at), optional });
      }
    }
    return { kind: "tuple", elements, ...(rest === undefined ? {} : { rest }) };
  }

  /** Lowers the type of an optional member without its `undefined`. */
  lowerMember(type: ts.Type, optional: boolean, place: Place): Shape {
    const shape = this.lower(type, place);
    if (!optional || shape.kind !== "nullable") return shape;
    return shape.null ? { ...shape, undefined: false } : shape.inner;
  }

  #fields(type: ts.Type, place: Place): Shape {
    const properties = this.checker.getPropertiesOfType(type);
    const indexes = this.checker.getIndexInfosOfType(type);
    if (indexes.length > 0) {
      const index = indexes[0]!;
      if (properties.length > 0) return this.refuse("index", place);
      if (!(index.keyType.flags & ts.TypeFlags.StringLike) || indexes.length > 1) {
        return this.refuse("numberIndex", place);
      }
      if (!(index.keyType.flags & ts.TypeFlags.String)) return this.refuse("keyPattern", place);
      // The usual way to say that an object is empty.
      if (index.type.flags & ts.TypeFlags.Never) return { kind: "object", fields: [] };
      return { kind: "record", value: this.lower(index.type, extend(place, "<value>")) };
    }
    const fields: Omit<ShapeField, "id">[] = [];
    for (const property of properties) {
      const field = this.#field(property, place);
      if (field !== null) fields.push(field);
    }
    return { kind: "object", fields: this.withIds(place.owner, fields) };
  }

  #field(property: ts.Symbol, place: Place): Omit<ShapeField, "id"> | null {
    const name = property.name;
    const at = extend(place, `.${name}`);
    if (name.startsWith("__@")) {
      this.refuse("key", extend(place, ".[symbol]"));
      return null;
    }
    const declaration = property.valueDeclaration;
    if (
      declaration !== undefined && (name.startsWith("__#") ||
        ts.getCombinedModifierFlags(declaration) &
          (ts.ModifierFlags.Private | ts.ModifierFlags.Protected))
    ) {
      this.refuse("privateMember", at);
      return null;
    }
    if (ts.unescapeLeadingUnderscores(property.escapedName) === "__proto__") {
      this.refuse("proto", at);
      return null;
    }
    const optional = (property.flags & ts.SymbolFlags.Optional) !== 0;
    const type = this.checker.getTypeOfSymbolAtLocation(property, place.node);
    const doc = docOf(property, this.checker);
    const shape = this.lowerMember(type, optional, at);
    return { name, shape, optional, ...(doc === "" ? {} : { doc }) };
  }

  /** Fields with their ids from the lock, in wire order. */
  withIds(owner: string, fields: readonly Omit<ShapeField, "id">[]): readonly ShapeField[] {
    const names = fields.map((field) => field.name);
    const ids = this.lock.ids(owner, names, 0);
    return fields.map((field, i) => ({ ...field, id: ids[i]! })).sort((a, b) => a.id - b.id);
  }

  /**
   * True for a symbol of TypeScript's, Deno's or the DOM's libraries. What a package adds to it does
   * not make it another: React's types declare an empty `Blob`.
   */
  isLibrary(symbol: ts.Symbol): boolean {
    return (symbol.declarations ?? []).map((d) => d.getSourceFile()).some((file) =>
      this.#program.isSourceFileDefaultLibrary(file) || file.fileName.startsWith("/kontract-lib/")
    );
  }

  #isError(type: ts.Type): boolean {
    const symbol = type.getSymbol();
    if (symbol === undefined) return false;
    if (symbol.name === "Error" && this.isLibrary(symbol)) return true;
    return type.isClassOrInterface() &&
        (this.checker.getBaseTypes(type) ?? []).some((base) => this.#isError(base)) ||
      isReferenceTo(type) && type.target !== type && this.#isError(type.target);
  }
}

/** True for `Tree<Item>`, of an interface as of an alias. */
function isGeneric(type: ts.Type): boolean {
  return type.aliasTypeArguments !== undefined ||
    (isReferenceTo(type) && (type.target as ts.GenericType).typeParameters !== undefined);
}

function isReferenceTo(type: ts.Type): type is ts.TypeReference {
  return (type as ts.TypeReference).target !== undefined;
}

/** True for the type of what TypeScript has an error for. */
export function isUnresolved(type: ts.Type): boolean {
  return (type as { intrinsicName?: string }).intrinsicName === "error";
}

/** A place one step further inside. */
export function extend(place: Place, step: string): Place {
  const path = place.path === "" ? step.replace(/^\./, "") : place.path + step;
  return { ...place, path, owner: place.owner + step, depth: place.depth + 1 };
}

function brandWidth(type: ts.Type, checker: ts.TypeChecker): string | null {
  for (const property of checker.getPropertiesOfType(type)) {
    if (!property.name.startsWith("__@width@")) continue;
    const value = checker.getNonNullableType(checker.getTypeOfSymbol(property));
    if (value.isStringLiteral()) return value.value;
  }
  return null;
}

/** The texts of a template literal as a regular expression; null where that cannot say it. */
function templatePattern(type: ts.TemplateLiteralType): string | null {
  const part = (t: ts.Type): string | null => {
    if (t.isUnion()) {
      const parts = t.types.map(part);
      return parts.includes(null) ? null : `(?:${parts.join("|")})`;
    }
    if (t.isStringLiteral() || t.isNumberLiteral()) return escapedText(String(t.value));
    if (t.flags & ts.TypeFlags.TemplateLiteral) return templatePattern(t as ts.TemplateLiteralType);
    if (t.flags & ts.TypeFlags.BigInt) return TEMPLATE_PARTS.bigint;
    if (t.flags & ts.TypeFlags.Number) return TEMPLATE_PARTS.number;
    return t.flags & ts.TypeFlags.StringMapping ? null : TEMPLATE_PARTS.string;
  };
  const parts = type.types.map(part);
  if (parts.includes(null)) return null;
  return type.texts.map((text, i) => escapedText(text) + (parts[i] ?? "")).join("");
}
