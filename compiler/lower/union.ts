/**
 * Unions: `null` and `undefined` lifted out, literals gathered, variants told apart.
 *
 * Order never matters: variants are known to the lock by their tag, their name or their structure.
 *
 * @module
 */
import ts from "typescript";
import type { Shape, ShapeVariant } from "../../_internal/shape.ts";
import { compareText } from "../diagnostic.ts";
import { extend, type Lowering, type Place } from "./mod.ts";

type Literal = string | number | boolean;

const NOTHING = ts.TypeFlags.Null | ts.TypeFlags.Undefined | ts.TypeFlags.Void;

/** The shape of a union type. */
export function lowerUnion(lowering: Lowering, type: ts.UnionType, place: Place): Shape {
  const isNull = type.types.some((t) => t.flags & ts.TypeFlags.Null);
  const isUndefined = type.types.some((t) =>
    t.flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Void)
  );
  if (!isNull && !isUndefined) return lowerVariants(lowering, type.types, place);
  // The checker gives a named union back by its name here, where filtering by hand would lose it.
  const bare = lowering.checker.getNonNullableType(type);
  const rest = bare.isUnion() ? bare.types.filter((t) => !(t.flags & NOTHING)) : [];
  const inner: Shape = bare.flags & (ts.TypeFlags.Never | ts.TypeFlags.Void)
    ? { kind: isNull ? "null" : "undefined" }
    : bare.isUnion() && rest.length < bare.types.length
    ? lowerVariants(lowering, rest, place)
    : lowering.lower(bare, place);
  if (inner.kind === "null" || inner.kind === "undefined") {
    return { kind: "nullable", inner: { kind: "null" }, null: isNull, undefined: isUndefined };
  }
  return { kind: "nullable", inner, null: isNull, undefined: isUndefined };
}

function lowerVariants(lowering: Lowering, types: readonly ts.Type[], place: Place): Shape {
  const literals: Literal[] = [];
  const others: Shape[] = [];
  for (const type of types) {
    const value = literalOf(type, lowering.checker);
    if (value !== null) literals.push(value);
    else others.push(lowering.lower(type, extend(place, variantStep(type, lowering.checker))));
  }
  const gathered = gather(lowering, literals, place);
  const shapes = gathered === null ? others : [...others, gathered];
  const distinct = new Map(shapes.map((shape) => [variantKey(shape), shape]));
  if (distinct.size === 1) return [...distinct.values()][0]!;
  return tagged(lowering, [...distinct.values()], place);
}

/** A step of the path that tells variants of a union apart for a reader and for the lock. */
function variantStep(type: ts.Type, checker: ts.TypeChecker): string {
  const name = type.aliasSymbol?.name ?? type.getSymbol()?.name;
  if (name !== undefined && /^[A-Za-z]\w*$/.test(name)) {
    return name.startsWith("__") ? objectStep(type, checker) : `<${name}>`;
  }
  return objectStep(type, checker);
}

function objectStep(type: ts.Type, checker: ts.TypeChecker): string {
  const tags = checker.getPropertiesOfType(type).flatMap((property) => {
    const value = literalOf(checker.getTypeOfSymbol(property), checker);
    return value === null || property.name.startsWith("__@") ? [] : [`${property.name}=${value}`];
  });
  return `<${tags.sort(compareText).join(",")}>`;
}

function literalOf(type: ts.Type, checker: ts.TypeChecker): Literal | null {
  if (type.isStringLiteral() || type.isNumberLiteral()) return type.value;
  if (type.flags & ts.TypeFlags.BooleanLiteral) return checker.typeToString(type) === "true";
  return null;
}

function gather(lowering: Lowering, literals: readonly Literal[], place: Place): Shape | null {
  if (literals.length === 0) return null;
  if (literals.length === 2 && literals.every((v) => typeof v === "boolean")) {
    return { kind: "boolean" };
  }
  if (literals.length === 1) return { kind: "literal", value: literals[0]! };
  const ids = lowering.lock.ids(place.owner, literals.map((v) => JSON.stringify(v)), 1);
  const pairs = literals.map((value, i) => ({ value, id: ids[i]! })).sort((a, b) => a.id - b.id);
  return { kind: "enum", values: pairs.map((p) => p.value), ids: pairs.map((p) => p.id) };
}

function tagged(lowering: Lowering, shapes: readonly Shape[], place: Place): Shape {
  const discriminator = discriminatorOf(lowering, shapes);
  const keys = shapes.map((shape) => {
    if (discriminator === null) return `|${variantKey(shape)}`;
    return `|${JSON.stringify(tagOf(lowering, shape, discriminator))}`;
  });
  const ids = lowering.lock.ids(place.owner, keys, 1);
  const variants = shapes.map((shape, i): ShapeVariant => {
    const tag = discriminator === null ? null : tagOf(lowering, shape, discriminator);
    return { id: ids[i]!, shape, ...(tag === null ? {} : { tag }) };
  }).sort((a, b) => a.id - b.id);
  return { kind: "union", ...(discriminator === null ? {} : { discriminator }), variants };
}

/** A property that is another literal in each variant; well-known names first, then by name. */
function discriminatorOf(lowering: Lowering, shapes: readonly Shape[]): string | null {
  const first = shapes[0];
  const object = first === undefined ? null : objectOf(lowering, first);
  if (object === null) return null;
  const rank = (name: string): string => `${["kind", "type", "tag"].includes(name) ? 0 : 1}${name}`;
  const names = object.map((field) => field.name).sort((a, b) => compareText(rank(a), rank(b)));
  return names.find((name) => {
    const tags = shapes.map((shape) => tagOf(lowering, shape, name));
    return !tags.includes(null) && new Set(tags).size === tags.length;
  }) ?? null;
}

function tagOf(lowering: Lowering, shape: Shape, name: string): Literal | null {
  const field = objectOf(lowering, shape)?.find((one) => one.name === name);
  return field?.shape.kind === "literal" && !field.optional ? field.shape.value : null;
}

function objectOf(lowering: Lowering, shape: Shape) {
  const body = shape.kind === "ref" ? lowering.names.shape(shape.name) : shape;
  return body?.kind === "object" ? body.fields : null;
}

/** What a variant is, apart from ids: the same text for the same structure. */
function variantKey(shape: Shape): string {
  switch (shape.kind) {
    case "ref":
      return shape.name;
    case "string":
      return shape.pattern ?? "string";
    case "number":
      return shape.width;
    case "bigint":
      return shape.width === "big" ? "bigint" : shape.width;
    case "literal":
      return JSON.stringify(shape.value);
    case "array":
      return `${variantKey(shape.element)}[]`;
    case "set":
      return `Set<${variantKey(shape.element)}>`;
    case "map":
      return `Map<${variantKey(shape.key)},${variantKey(shape.value)}>`;
    case "record":
      return `Record<${variantKey(shape.value)}>`;
    case "nullable":
      return `${variantKey(shape.inner)}?${Number(shape.null)}${Number(shape.undefined)}`;
    case "typed_array":
      return `${shape.element}Array`;
    case "file":
      return shape.of;
    case "tuple":
      return `[${
        shape.elements.map((e) => variantKey(e.shape) + (e.optional ? "?" : "")).join(",")
      }${shape.rest === undefined ? "" : `,...${variantKey(shape.rest)}`}]`;
    case "object": {
      const fields = shape.fields.map((f) =>
        `${f.name}${f.optional ? "?" : ""}:${variantKey(f.shape)}`
      );
      return `{${fields.sort(compareText).join(";")}}`;
    }
    case "union":
      return shape.variants.map((v) => variantKey(v.shape)).sort(compareText).join("|");
    default:
      return shape.kind;
  }
}
