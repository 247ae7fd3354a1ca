/**
 * Rows to plain JSON and back, by shape: what a value becomes depends on the declared type only, never
 * on the value, so nothing stored can pretend to be something else.
 *
 * `Date` is ISO text (see `date_text.ts`), `bigint` is decimal text, bytes and typed arrays are base64, a `Map` is an array of
 * pairs, a `Set` an array; a union whose variants are not told apart by JSON type or discriminator is
 * `[variant id, value]`. Everything is checked on the way in, as PostgreSQL would otherwise refuse it
 * (NUL and lone surrogates) or JSON would lose it (NaN, infinities).
 *
 * @module
 */
import type { Shape, ShapeField, ShapeTable, ShapeVariant } from "../_internal/shape.ts";
import { ValidationError } from "../_internal/error_classes.ts";
import { isStorableText } from "../_internal/storable_text.ts";
import { decodeDate, encodeDate } from "./date_text.ts";
import { bareShape } from "./field_kind.ts";

/** Plain JSON. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json;
}

const MAX_DEPTH = 64;

/** Context of a walk: named types and where we are, for messages. */
interface Walk {
  readonly types: ShapeTable;
  readonly path: string;
  readonly depth: number;
}

function fail(walk: Walk, rule: string): never {
  throw new ValidationError(`'${walk.path}' ${rule}.`, { data: { path: walk.path } });
}

function into(walk: Walk, part: string | number): Walk {
  if (walk.depth >= MAX_DEPTH) fail(walk, `is nested deeper than ${MAX_DEPTH} levels`);
  return { types: walk.types, path: `${walk.path}.${part}`, depth: walk.depth + 1 };
}

function text(value: unknown, walk: Walk): string {
  if (typeof value !== "string") fail(walk, "must be a string");
  if (!isStorableText(value)) fail(walk, "holds a NUL or half a surrogate pair");
  return value;
}

/** Checks and encodes one value; `path` names it in errors. */
export function encodeValue(shape: Shape, value: unknown, path: string, types: ShapeTable): Json {
  return encode(shape, value, { types, path, depth: 0 });
}

/** Decodes what {@link encodeValue} made. Stored data is trusted to have its shape. */
export function decodeValue(shape: Shape, value: Json, types: ShapeTable): unknown {
  return decode(shape, value, types, 0);
}

function encode(shape: Shape, value: unknown, walk: Walk): Json {
  switch (shape.kind) {
    case "string": {
      const checked = text(value, walk);
      if (shape.pattern !== undefined && !new RegExp(shape.pattern, "u").test(checked)) {
        fail(walk, "does not have the declared form");
      }
      return checked;
    }
    case "number":
      return encodeNumber(shape.width, value, walk);
    case "boolean":
      if (typeof value !== "boolean") fail(walk, "must be a boolean");
      return value;
    case "bigint":
      return encodeBigint(shape.width, value, walk);
    case "null":
      if (value !== null) fail(walk, "must be null");
      return null;
    case "undefined":
      if (value !== undefined) fail(walk, "must be undefined");
      return null;
    case "literal":
      if (value !== shape.value) fail(walk, `must be ${JSON.stringify(shape.value)}`);
      return shape.value;
    case "enum":
      if (!shape.values.some((allowed) => allowed === value)) {
        fail(walk, `must be one of ${shape.values.map((v) => JSON.stringify(v)).join(", ")}`);
      }
      return value as Json;
    case "date":
      if (!(value instanceof Date) || Number.isNaN(value.getTime())) fail(walk, "must be a date");
      return encodeDate(value);
    case "bytes":
      if (!(value instanceof Uint8Array)) fail(walk, "must be a Uint8Array");
      return value.toBase64();
    case "typed_array":
      if (!ArrayBuffer.isView(value) || value.constructor.name !== typedArrayName(shape.element)) {
        fail(walk, `must be a ${typedArrayName(shape.element)}`);
      }
      return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).toBase64();
    case "array":
      if (!Array.isArray(value)) fail(walk, "must be an array");
      return value.map((item, i) => encode(shape.element, item, into(walk, i)));
    case "tuple":
      return encodeTuple(shape, value, walk);
    case "record":
      return encodeRecord(shape.value, value, walk);
    case "map":
      if (!(value instanceof Map)) fail(walk, "must be a Map");
      return Array.from(value, ([k, v], i) => {
        const at = into(walk, i);
        return [encode(shape.key, k, at), encode(shape.value, v, at)];
      });
    case "set":
      if (!(value instanceof Set)) fail(walk, "must be a Set");
      return Array.from(value, (item, i) => encode(shape.element, item, into(walk, i)));
    case "object":
      return encodeObject(shape.fields, value, walk);
    case "union":
      return encodeUnion(shape, value, walk);
    case "nullable":
      if (value === null ? shape.null : value === undefined && shape.undefined) return null;
      return encode(shape.inner, value, walk);
    case "unknown":
      return encodePlain(value, walk);
    case "ref": {
      const target = walk.types[shape.name];
      return target === undefined ? encodePlain(value, walk) : encode(target, value, walk);
    }
    default:
      return fail(walk, "cannot be stored");
  }
}

/** Least and greatest number of each width that holds integers. */
export const INTEGER_RANGES: Readonly<Record<string, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
};

function encodeNumber(width: string, value: unknown, walk: Walk): number {
  if (typeof value !== "number" || !Number.isFinite(value)) fail(walk, "must be a finite number");
  const range = INTEGER_RANGES[width];
  if (range !== undefined && (!Number.isInteger(value) || value < range[0] || value > range[1])) {
    fail(walk, `must be an integer from ${range[0]} to ${range[1]}`);
  }
  return width === "float32" ? Math.fround(value) : value;
}

function encodeBigint(width: string, value: unknown, walk: Walk): string {
  if (typeof value !== "bigint") fail(walk, "must be a bigint");
  if (
    (width === "int64" && BigInt.asIntN(64, value) !== value) ||
    (width === "uint64" && BigInt.asUintN(64, value) !== value)
  ) fail(walk, `does not fit ${width}`);
  return value.toString();
}

function encodeTuple(
  shape: Extract<Shape, { kind: "tuple" }>,
  value: unknown,
  walk: Walk,
): readonly Json[] {
  const least = shape.elements.filter((element) => !element.optional).length;
  if (
    !Array.isArray(value) || value.length < least ||
    (shape.rest === undefined && value.length > shape.elements.length)
  ) fail(walk, "does not have the declared length");
  return value.map((item, i) => {
    const element = shape.elements[i];
    if (element?.optional === true && item === undefined) return null;
    return encode(element?.shape ?? shape.rest!, item, into(walk, i));
  });
}

function plainEntries(value: unknown, walk: Walk): readonly [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    fail(walk, "must be an object");
  }
  return Object.entries(value);
}

function encodeRecord(shape: Shape, value: unknown, walk: Walk): JsonObject {
  return fromPairs(
    plainEntries(value, walk).map(([key, item]) => [
      text(key, walk),
      encode(shape, item, into(walk, key)),
    ]),
  );
}

/** Makes an own property, whatever its name; without a list of pairs for each row that is read. */
export function setOwn(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== "__proto__") object[name] = value;
  else {
    Object.defineProperty(object, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
}

/** An object whose own properties are these, `__proto__` included. */
export function fromPairs(pairs: readonly (readonly [string, Json])[]): JsonObject {
  return Object.fromEntries(pairs);
}

function encodeObject(fields: readonly ShapeField[], value: unknown, walk: Walk): JsonObject {
  const entries = new Map(plainEntries(value, walk));
  const pairs: [string, Json][] = [];
  for (const field of fields) {
    // A class instance may inherit a getter; own properties and accessors both count.
    const item = entries.has(field.name)
      ? entries.get(field.name)
      : (value as Record<string, unknown>)[field.name];
    entries.delete(field.name);
    if (item === undefined && field.optional) continue;
    pairs.push([field.name, encode(field.shape, item, into(walk, field.name))]);
  }
  for (const [name, item] of entries) {
    if (item !== undefined) fail(into(walk, name), "is not declared");
  }
  return fromPairs(pairs);
}

/** JSON types a shape may take, or null where an encoding hides the type. */
function jsonTypes(shape: Shape, types: ShapeTable): readonly string[] | null {
  const bare = bareShape(shape, types);
  switch (bare.kind) {
    case "string":
      return ["string"];
    case "number":
      return ["number"];
    case "boolean":
      return ["boolean"];
    case "literal":
      return [typeof bare.value];
    case "enum":
      return [...new Set(bare.values.map((value) => typeof value))];
    default:
      return null;
  }
}

/** True where each JSON type belongs to one variant at most, or to variants that check alike. */
export function isPlainUnion(variants: readonly ShapeVariant[], types: ShapeTable): boolean {
  return variants.every((variant) => jsonTypes(variant.shape, types) !== null);
}

function encodeUnion(shape: Extract<Shape, { kind: "union" }>, value: unknown, walk: Walk): Json {
  const found = shape.discriminator === undefined
    ? shape.variants.find((variant) => accepts(variant.shape, value, walk))
    : shape.variants.find((variant) =>
      typeof value === "object" && value !== null &&
      (value as Record<string, unknown>)[shape.discriminator!] === variant.tag
    );
  if (found === undefined) fail(walk, "fits no variant of its union");
  const encoded = encode(found.shape, value, walk);
  if (shape.discriminator !== undefined || isPlainUnion(shape.variants, walk.types)) return encoded;
  return [found.id, encoded];
}

function accepts(shape: Shape, value: unknown, walk: Walk): boolean {
  try {
    encode(shape, value, walk);
    return true;
  } catch (error) {
    if (error instanceof ValidationError) return false;
    throw error;
  }
}

/** `unknown`: JSON and nothing else. */
function encodePlain(value: unknown, walk: Walk): Json {
  if (value === null || value === undefined || typeof value === "boolean") return value ?? null;
  if (typeof value === "string") return text(value, walk);
  if (typeof value === "number") return encodeNumber("float64", value, walk);
  if (Array.isArray(value)) return value.map((item, i) => encodePlain(item, into(walk, i)));
  if (typeof value !== "object" || ArrayBuffer.isView(value) || value instanceof Date) {
    fail(walk, "must be plain JSON");
  }
  return fromPairs(
    plainEntries(value, walk).filter(([, item]) => item !== undefined)
      .map(([key, item]) => [text(key, walk), encodePlain(item, into(walk, key))]),
  );
}

function decode(shape: Shape, value: Json, types: ShapeTable, depth: number): unknown {
  if (depth > MAX_DEPTH) return value;
  const next = (inner: Shape, item: Json): unknown => decode(inner, item, types, depth + 1);
  switch (shape.kind) {
    case "nullable":
      if (value === null) return shape.null ? null : undefined;
      return next(shape.inner, value);
    case "undefined":
      return undefined;
    case "date":
      return decodeDate(value as string);
    case "bigint":
      return BigInt(value as string);
    case "bytes":
      return Uint8Array.fromBase64(value as string);
    case "typed_array":
      return decodeTypedArray(shape.element, value as string);
    case "array":
      return (value as readonly Json[]).map((item) => next(shape.element, item));
    case "set":
      return new Set((value as readonly Json[]).map((item) => next(shape.element, item)));
    case "map":
      return new Map(
        (value as readonly (readonly Json[])[]).map((pair) => [
          next(shape.key, pair[0]!),
          next(shape.value, pair[1]!),
        ]),
      );
    case "tuple":
      return (value as readonly Json[]).map((item, i) => {
        const element = shape.elements[i];
        if (element?.optional === true && item === null) return undefined;
        return next(element?.shape ?? shape.rest!, item);
      });
    case "record":
      return Object.fromEntries(
        Object.entries(value as JsonObject).map(([key, item]) => [key, next(shape.value, item)]),
      );
    case "object":
      return Object.fromEntries(
        shape.fields.filter((field) => Object.hasOwn(value as JsonObject, field.name))
          .map((field) => [field.name, next(field.shape, (value as JsonObject)[field.name]!)]),
      );
    case "union":
      return decodeUnion(shape, value, types, depth);
    case "ref": {
      const target = types[shape.name];
      return target === undefined ? value : next(target, value);
    }
    default:
      return value;
  }
}

function decodeUnion(
  shape: Extract<Shape, { kind: "union" }>,
  value: Json,
  types: ShapeTable,
  depth: number,
): unknown {
  if (shape.discriminator !== undefined) {
    const tag = (value as JsonObject)[shape.discriminator];
    const variant = shape.variants.find((candidate) => candidate.tag === tag);
    return variant === undefined ? value : decode(variant.shape, value, types, depth + 1);
  }
  if (isPlainUnion(shape.variants, types)) return value;
  const [id, inner] = value as readonly Json[];
  const variant = shape.variants.find((candidate) => candidate.id === id);
  return variant === undefined ? inner : decode(variant.shape, inner!, types, depth + 1);
}

function typedArrayName(element: string): string {
  if (element === "int64") return "BigInt64Array";
  if (element === "uint64") return "BigUint64Array";
  return `${element.replace("uint", "Uint").replace("int", "Int").replace("float", "Float")}Array`
    .replace("UInt", "Uint");
}

function decodeTypedArray(element: string, value: string): unknown {
  const { buffer } = Uint8Array.fromBase64(value);
  switch (element) {
    case "float64":
      return new Float64Array(buffer);
    case "float32":
      return new Float32Array(buffer);
    case "int8":
      return new Int8Array(buffer);
    case "int16":
      return new Int16Array(buffer);
    case "uint16":
      return new Uint16Array(buffer);
    case "int32":
      return new Int32Array(buffer);
    case "uint32":
      return new Uint32Array(buffer);
    case "int64":
      return new BigInt64Array(buffer);
    default:
      return new BigUint64Array(buffer);
  }
}
