/**
 * Shapes as plain JSON, for `POST /rpc/<name>`, REST, the console and curl: the same types as on the
 * binary wire, checked as strictly, interpreted instead of generated since this path is not the fast one.
 *
 * | shape | JSON |
 * |---|---|
 * | number | number; `"NaN"`, `"Infinity"`, `"-Infinity"`, `"-0"` where JSON has none |
 * | bigint | decimal string |
 * | date | ISO string |
 * | bytes, typed arrays | base64 of the bytes (little-endian) |
 * | map | array of pairs |
 * | set | array |
 * | file | `{ name, type, bytes }`, bytes in base64 |
 * | error | `{ code, message, data? }` |
 * | undefined | a missing key; elsewhere `null`, or `{ "$undefined": true }` where `null` has its own meaning |
 * | union without discriminator | the variant's JSON; `{ "$variant": id, "value": … }` where an earlier variant would take it |
 * | unknown | JSON as it is; `{ "$date": … }`, `$bigint`, `$bytes`, `$map`, `$set`, `$number`, `$undefined`, `$object` for the rest |
 *
 * Unknown keys and `__proto__` are refused. Both directions throw `VALIDATION` with `{ path, expected }`.
 *
 * @module
 */
import { isErrorCode, KontractError } from "./errors.ts";
import { jsonAny, unjsonAny } from "./json_value.ts";
import { atPath, Mismatch, must, numberFromJson, numberToJson, type Walk } from "./json_walk.ts";
import type { NumberWidth, Shape, ShapeField, ShapeTable, ShapeVariant } from "./shape.ts";

/**
 * Plain JSON → a checked value.
 *
 * @throws {KontractError} `VALIDATION` with data `{ path, expected }`.
 */
export function jsonDecode(shape: Shape, types: ShapeTable, value: unknown): unknown {
  return run((walk) => decode(walk, shape, value), types);
}

/**
 * A value → plain JSON that {@link jsonDecode} turns into an equal value. Properties that the shape does
 * not know are left out.
 *
 * @throws {KontractError} `VALIDATION` with data `{ path, expected }`.
 */
export function jsonEncode(shape: Shape, types: ShapeTable, value: unknown): unknown {
  return run((walk) => encode(walk, shape, value), types);
}

function run(work: (walk: Walk) => unknown, types: ShapeTable): unknown {
  try {
    return work({ types, depth: 0, tries: 0 });
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    const path = error.path.replace(/^\./, "");
    throw new KontractError(
      "VALIDATION",
      `${path === "" ? "The value" : `'${path}'`} must be ${error.expected}.`,
      { data: { path, expected: error.expected } },
    );
  }
}

function resolve(walk: Walk, shape: Shape): Exclude<Shape, { kind: "ref" }> {
  let steps = 0;
  while (shape.kind === "ref") {
    const target: Shape | undefined = Object.hasOwn(walk.types, shape.name)
      ? walk.types[shape.name]
      : undefined;
    if (target === undefined || ++steps > 1000) {
      throw new KontractError("INTERNAL", undefined, { cause: `no type '${shape.name}'` });
    }
    shape = target;
  }
  return shape;
}

/** Whether undefined, and null, are values of the shape, and what remains. */
function peel(walk: Walk, shape: Shape): { inner: Shape; null: boolean; undefined: boolean } {
  const flags = { inner: shape, null: false, undefined: false };
  for (;;) {
    const s = resolve(walk, flags.inner);
    if (s.kind === "null") flags.null = true;
    if (s.kind === "undefined") flags.undefined = true;
    if (s.kind !== "nullable") return flags;
    flags.null ||= s.null;
    flags.undefined ||= s.undefined;
    flags.inner = s.inner;
  }
}

function isEmpty(walk: Walk, shape: Shape): boolean {
  const { kind } = resolve(walk, shape);
  return kind === "null" || kind === "undefined";
}

// ---- JSON → value

function decode(walk: Walk, shape: Shape, json: unknown): unknown {
  if (++walk.depth > 256) throw new Mismatch("nested less deeply");
  try {
    return decodeShape(walk, resolve(walk, shape), json);
  } finally {
    walk.depth--;
  }
}

function decodeShape(walk: Walk, s: Exclude<Shape, { kind: "ref" }>, json: unknown): unknown {
  switch (s.kind) {
    case "null":
    case "undefined":
    case "nullable":
      return decodeNullable(walk, s, json);
    case "string":
      must(typeof json === "string" && json.isWellFormed(), "a string");
      must(
        s.pattern === undefined || new RegExp(s.pattern, "s").test(json),
        `a string that matches ${s.pattern}`,
      );
      return json;
    case "number":
      return checkNumber(numberFromJson(json), s.width);
    case "boolean":
      must(typeof json === "boolean", "a boolean");
      return json;
    case "bigint":
      must(typeof json === "string" && /^-?\d{1,100000}$/.test(json), "a decimal string");
      return checkBigint(BigInt(json), s.width);
    case "literal":
    case "enum":
      return checkLiteral(s, typeof json === "string" && json !== "" ? unquote(s, json) : json);
    case "date": {
      must(typeof json === "string", "an ISO date string");
      const date = new Date(json);
      must(
        /^[+-]?\d{4,6}-\d\d-\d\d/.test(json) && !Number.isNaN(date.getTime()),
        "an ISO date string",
      );
      return date;
    }
    case "bytes":
      return fromBase64(json);
    case "typed_array": {
      const bytes = fromBase64(json);
      const type = TYPED[s.element];
      must(bytes.length % type.BYTES_PER_ELEMENT === 0, `base64 of a ${type.name}`);
      return new type(bytes.buffer);
    }
    case "array":
      return each(json, (item) => decode(walk, s.element, item));
    case "set": {
      const items = each(json, (item) => decode(walk, s.element, item));
      const set = new Set(items);
      must(set.size === items.length, "an array without repetitions");
      return set;
    }
    case "map": {
      const pairs = each(json, (pair): [unknown, unknown] => {
        must(Array.isArray(pair) && pair.length === 2, "a pair");
        return [decode(walk, s.key, pair[0]), decode(walk, s.value, pair[1])];
      });
      const map = new Map(pairs);
      must(map.size === pairs.length, "an array of pairs without repeated keys");
      return map;
    }
    case "record": {
      const record: Record<string, unknown> = {};
      for (const [key, item] of Object.entries(plain(json))) {
        record[key] = atPath(key, () => decode(walk, s.value, item));
      }
      return record;
    }
    case "object":
      return decodeObject(walk, s.fields, json);
    case "tuple":
      return decodeTuple(walk, s, json);
    case "union":
      return decodeUnion(walk, s, json);
    case "unknown":
      return unjsonAny(walk, json);
    case "file": {
      const part = decodeObject(walk, FILE_FIELDS, json) as {
        name: string;
        type: string;
        bytes: Uint8Array<ArrayBuffer>;
      };
      return s.of === "File"
        ? new File([part.bytes], part.name, { type: part.type })
        : new Blob([part.bytes], { type: part.type });
    }
    case "error": {
      const part = decodeObject(walk, errorFields(s.data), json) as {
        code: string;
        message: string;
        data?: unknown;
      };
      must(isErrorCode(part.code), "an error with a known code");
      return new KontractError(part.code, part.message, { data: part.data });
    }
    case "stream":
      throw new Mismatch("something other than a stream");
  }
}

function decodeNullable(walk: Walk, s: Shape, json: unknown): unknown {
  const flags = peel(walk, s);
  if (json === null && flags.null) return null;
  if (json === null && flags.undefined) return undefined;
  if (flags.null && flags.undefined && isUndefinedTag(json)) return undefined;
  if (isEmpty(walk, flags.inner)) throw new Mismatch("null");
  return decode(walk, flags.inner, json);
}

function isUndefinedTag(json: unknown): boolean {
  return typeof json === "object" && json !== null && "$undefined" in json &&
    Object.keys(json).length === 1;
}

function decodeObject(walk: Walk, fields: readonly ShapeField[], json: unknown): unknown {
  const source = plain(json);
  const value: Record<string, unknown> = {};
  for (const field of fields) {
    atPath(field.name, () => {
      if (Object.hasOwn(source, field.name)) {
        value[field.name] = decode(walk, field.shape, source[field.name]);
      } else if (!field.optional) {
        must(peel(walk, field.shape).undefined, "present");
        value[field.name] = undefined;
      }
    });
  }
  const known = new Set(fields.map((field) => field.name));
  for (const key of Object.keys(source)) {
    if (!known.has(key)) atPath(key, () => must(false, "left out: there is no such field"));
  }
  return value;
}

function decodeTuple(walk: Walk, s: Extract<Shape, { kind: "tuple" }>, json: unknown): unknown[] {
  must(Array.isArray(json), "an array");
  must(
    s.rest !== undefined || json.length <= s.elements.length,
    `an array of at most ${s.elements.length}`,
  );
  const value: unknown[] = [];
  s.elements.forEach((element, i) => {
    atPath(i, () => {
      const flags = peel(walk, element.shape);
      const given = i < json.length;
      if (
        given && !(json[i] === null && element.optional && !flags.null && !isAny(walk, flags.inner))
      ) {
        value[i] = flags.null && isUndefinedTag(json[i]) && element.optional
          ? undefined
          : decode(walk, element.shape, json[i]);
      } else {
        must(element.optional || (!given && flags.undefined), "present");
        value[i] = undefined;
      }
    });
  });
  let least = s.elements.length;
  while (least > 0 && s.elements[least - 1]!.optional) least--;
  if (json.length <= s.elements.length) {
    while (value.length > least && value.at(-1) === undefined) value.pop();
  }
  for (let i = s.elements.length; i < json.length; i++) {
    value[i] = atPath(i, () => decode(walk, s.rest!, json[i]));
  }
  return value;
}

function isAny(walk: Walk, shape: Shape): boolean {
  return resolve(walk, shape).kind === "unknown";
}

function decodeUnion(walk: Walk, s: Extract<Shape, { kind: "union" }>, json: unknown): unknown {
  const tag = discriminator(s);
  if (tag !== null) {
    const given = plain(json)[tag];
    const variant = s.variants.find((v) => v.tag === given);
    if (variant === undefined) {
      return atPath(tag, () => must(false, oneOf(s.variants.map((v) => v.tag))));
    }
    return decode(walk, variant.shape, json);
  }
  if (typeof json === "object" && json !== null && "$variant" in json) {
    const { $variant: id, value } = plain(json);
    const variant = s.variants.find((v) => v.id === id);
    must(variant !== undefined && Object.keys(json).length === 2, "a variant of the union");
    return decode(walk, variant.shape, value);
  }
  for (const variant of ordered(walk, s)) {
    const found = attempt(walk, () => decode(walk, variant.shape, json));
    if (found !== null) return found.value;
  }
  throw new Mismatch("one of the union's types");
}

// ---- value → JSON

function encode(walk: Walk, shape: Shape, value: unknown): unknown {
  if (++walk.depth > 256) throw new Mismatch("nested less deeply, and without cycles");
  try {
    return encodeShape(walk, resolve(walk, shape), value);
  } finally {
    walk.depth--;
  }
}

function encodeShape(walk: Walk, s: Exclude<Shape, { kind: "ref" }>, value: unknown): unknown {
  switch (s.kind) {
    case "null":
    case "undefined":
    case "nullable": {
      const flags = peel(walk, s);
      if (value === null && flags.null) return null;
      if (value === undefined && flags.undefined) {
        return flags.null ? { $undefined: true } : null;
      }
      must(!isEmpty(walk, flags.inner), flags.null ? "null" : "undefined");
      return encode(walk, flags.inner, value);
    }
    case "string":
      must(typeof value === "string" && value.isWellFormed(), "a string");
      must(
        s.pattern === undefined || new RegExp(s.pattern, "s").test(value),
        `a string that matches ${s.pattern}`,
      );
      return value;
    case "number":
      must(typeof value === "number", "a number");
      return numberToJson(checkNumber(value, s.width));
    case "boolean":
      must(typeof value === "boolean", "a boolean");
      return value;
    case "bigint":
      must(typeof value === "bigint", "a bigint");
      return checkBigint(value, s.width).toString();
    case "literal":
    case "enum": {
      const found = checkLiteral(s, value);
      return typeof found === "number" ? numberToJson(found) : found;
    }
    case "date":
      must(value instanceof Date && !Number.isNaN(value.getTime()), "a valid Date");
      return value.toISOString();
    case "bytes":
      must(value instanceof Uint8Array, "a Uint8Array");
      return value.toBase64();
    case "typed_array": {
      const type = TYPED[s.element];
      must(value instanceof type, `a ${type.name}`);
      return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).toBase64();
    }
    case "array":
      return each(value, (item) => encode(walk, s.element, item));
    case "set":
      must(value instanceof Set, "a Set");
      return each([...value], (item) => encode(walk, s.element, item));
    case "map":
      must(value instanceof Map, "a Map");
      return each([...value], (pair) => {
        const [key, item] = pair as [unknown, unknown];
        return [encode(walk, s.key, key), encode(walk, s.value, item)];
      });
    case "record": {
      const json: Record<string, unknown> = {};
      for (const [key, item] of Object.entries(plain(value))) {
        must(key.isWellFormed(), "well-formed");
        json[key] = atPath(key, () => encode(walk, s.value, item));
      }
      return json;
    }
    case "object":
      return encodeObject(walk, s.fields, value);
    case "tuple":
      return encodeTuple(walk, s, value);
    case "union":
      return encodeUnion(walk, s, value);
    case "unknown":
      return jsonAny(walk, value);
    case "file":
      must(!(value instanceof Blob), "a file whose bytes were read");
      return encodeObject(walk, FILE_FIELDS, value);
    case "error":
      must(value instanceof KontractError, "a KontractError");
      return encodeObject(walk, errorFields(s.data), value);
    case "stream":
      throw new Mismatch("something other than a stream");
  }
}

function encodeObject(walk: Walk, fields: readonly ShapeField[], value: unknown): unknown {
  must(typeof value === "object" && value !== null, "an object");
  const json: Record<string, unknown> = {};
  for (const { name, shape, optional } of fields) {
    atPath(name, () => {
      const item = name in Object.prototype && !Object.hasOwn(value, name)
        ? undefined
        : (value as Record<string, unknown>)[name];
      const leave = item === undefined &&
        (optional || (peel(walk, shape).undefined && !isAny(walk, shape)));
      if (!leave) json[name] = encode(walk, shape, item);
    });
  }
  return json;
}

function encodeTuple(walk: Walk, s: Extract<Shape, { kind: "tuple" }>, value: unknown): unknown[] {
  must(Array.isArray(value), "an array");
  must(
    s.rest !== undefined || value.length <= s.elements.length,
    `an array of at most ${s.elements.length}`,
  );
  const json: unknown[] = [];
  const count = Math.max(value.length, s.elements.length);
  for (let i = 0; i < count; i++) {
    const element = s.elements[i];
    atPath(i, () => {
      if (element === undefined) json[i] = encode(walk, s.rest!, value[i]);
      else if (value[i] === undefined && element.optional) {
        const nullish = peel(walk, element.shape);
        json[i] = nullish.null || isAny(walk, nullish.inner) ? { $undefined: true } : null;
      } else json[i] = encode(walk, element.shape, value[i]);
    });
  }
  if (value.length <= s.elements.length) {
    while (
      json.length > 0 && s.elements[json.length - 1]!.optional &&
      value[json.length - 1] === undefined
    ) {
      json.pop();
    }
  }
  return json;
}

function encodeUnion(walk: Walk, s: Extract<Shape, { kind: "union" }>, value: unknown): unknown {
  const tag = discriminator(s);
  if (tag !== null) {
    must(typeof value === "object" && value !== null, "an object");
    const given = (value as Record<string, unknown>)[tag];
    const variant = s.variants.find((v) => v.tag === given);
    if (variant === undefined) {
      return atPath(tag, () => must(false, oneOf(s.variants.map((v) => v.tag))));
    }
    return encode(walk, variant.shape, value);
  }
  const earlier: ShapeVariant[] = [];
  for (const variant of ordered(walk, s)) {
    const found = attempt(walk, () => encode(walk, variant.shape, value));
    if (found === null) {
      earlier.push(variant);
      continue;
    }
    const json = found.value;
    const taken = earlier.some((v) => attempt(walk, () => decode(walk, v.shape, json)) !== null);
    const looksTagged = typeof json === "object" && json !== null && "$variant" in json;
    return taken || looksTagged ? { $variant: variant.id, value: json } : json;
  }
  throw new Mismatch("one of the union's types");
}

// ---- shared

/** The discriminator, where every variant has a tag. */
function discriminator(s: Extract<Shape, { kind: "union" }>): string | null {
  return s.discriminator !== undefined && s.variants.every((v) => v.tag !== undefined)
    ? s.discriminator
    : null;
}

/** Order in which variants are tried: wider objects first, as on the binary wire. */
function ordered(walk: Walk, s: Extract<Shape, { kind: "union" }>): ShapeVariant[] {
  const weight = (v: ShapeVariant): number => {
    const target = resolve(walk, v.shape);
    return target.kind === "object" ? target.fields.length : 0;
  };
  return [...s.variants].sort((a, b) => weight(b) - weight(a) || a.id - b.id);
}

function attempt(walk: Walk, work: () => unknown): { readonly value: unknown } | null {
  if (++walk.tries > 10_000) {
    throw new KontractError(
      "VALIDATION",
      "Cannot tell the variants of a union apart in 10000 attempts: give it a discriminator.",
    );
  }
  const { depth } = walk;
  try {
    return { value: work() };
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    walk.depth = depth;
    return null;
  }
}

const INTEGERS: Readonly<Partial<Record<NumberWidth, readonly [number, number]>>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
};

function checkNumber(value: number, width: NumberWidth): number {
  const range = INTEGERS[width];
  if (range !== undefined) {
    const [low, high] = range;
    must(
      Number.isInteger(value) && value >= low && value <= high,
      `an integer from ${low} to ${high}`,
    );
    return value + 0;
  }
  return width === "float32" ? Math.fround(value) : value;
}

function checkBigint(value: bigint, width: "big" | "int64" | "uint64"): bigint {
  if (width === "int64") must(BigInt.asIntN(64, value) === value, "a 64-bit bigint");
  if (width === "uint64") must(BigInt.asUintN(64, value) === value, "an unsigned 64-bit bigint");
  return value;
}

type Literals = Extract<Shape, { kind: "literal" | "enum" }>;

function checkLiteral(s: Literals, value: unknown): unknown {
  const values: readonly unknown[] = s.kind === "literal" ? [s.value] : s.values;
  must(values.includes(value), oneOf(values));
  return value;
}

/** A number literal that JSON cannot say arrives as a string. */
function unquote(s: Literals, json: string): unknown {
  const values: readonly unknown[] = s.kind === "literal" ? [s.value] : s.values;
  if (values.includes(json)) return json;
  return values.find((value) => typeof value === "number" && numberToJson(value) === json) ?? json;
}

function oneOf(values: readonly unknown[]): string {
  const shown = values.slice(0, 8).map((value) => JSON.stringify(value)).join(", ");
  return `one of ${shown}${values.length > 8 ? ", …" : ""}`;
}

function each<T>(items: unknown, work: (item: unknown) => T): T[] {
  must(Array.isArray(items), "an array");
  return Array.from(items, (item: unknown, i) => atPath(i, () => work(item)));
}

/** A plain object without `__proto__`. */
function plain(json: unknown): Record<string, unknown> {
  must(typeof json === "object" && json !== null && !Array.isArray(json), "an object");
  must(!Object.hasOwn(json, "__proto__"), "free of a key '__proto__'");
  return json as Record<string, unknown>;
}

function fromBase64(json: unknown): Uint8Array<ArrayBuffer> {
  must(typeof json === "string", "base64");
  try {
    return Uint8Array.fromBase64(json);
  } catch {
    throw new Mismatch("base64");
  }
}

const TYPED = {
  float64: Float64Array,
  float32: Float32Array,
  int8: Int8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
} as const;

const FILE_FIELDS: readonly ShapeField[] = [
  { name: "name", id: 0, shape: { kind: "string" }, optional: false },
  { name: "type", id: 1, shape: { kind: "string" }, optional: false },
  { name: "bytes", id: 2, shape: { kind: "bytes" }, optional: false },
];

function errorFields(data: Shape | undefined): readonly ShapeField[] {
  const fields: ShapeField[] = [
    { name: "code", id: 0, shape: { kind: "string" }, optional: false },
    { name: "message", id: 1, shape: { kind: "string" }, optional: false },
  ];
  if (data !== undefined) fields.push({ name: "data", id: 2, shape: data, optional: true });
  return fields;
}
