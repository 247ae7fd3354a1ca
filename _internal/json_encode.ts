/**
 * Values of a shape → JSON, checked. See `json_codec.ts` for the mapping.
 *
 * @module
 */
import { KontractError } from "./errors.ts";
import { foundIn } from "./found.ts";
import { filePartsOf } from "./file_bytes.ts";
import { decode } from "./json_decode.ts";
import { knownNames, knownNodes } from "./known_nodes.ts";
import { type KnownNames, leastLost } from "./least_lost.ts";
import {
  attempt,
  checkBigint,
  checkLiteral,
  checkNumber,
  discriminator,
  each,
  errorFields,
  FILE_FIELDS,
  isAny,
  isEmpty,
  oneOf,
  ordered,
  peel,
  plain,
  resolve,
  TYPED,
} from "./json_shape.ts";
import { jsonAny } from "./json_value.ts";
import { atPath, Mismatch, must, numberToJson, refuse, type Walk } from "./json_walk.ts";
import type { Shape, ShapeField } from "./shape.ts";

/** Encodes one value. */
export function encode(walk: Walk, shape: Shape, value: unknown): unknown {
  if (++walk.depth > 256) throw new Mismatch("nested less deeply, and without cycles");
  try {
    return encodeShape(walk, resolve(walk, shape), value);
  } catch (error) {
    if (error instanceof Mismatch) error.found ??= foundIn(value);
    throw error;
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
      return encodeObject(walk, FILE_FIELDS, filePartsOf(value, refuse));
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
  const variants = ordered(walk, s);
  for (const i of leastLost(value, knownOf(walk, s, variants))) {
    const variant = variants[i]!;
    const found = attempt(walk, () => encode(walk, variant.shape, value));
    if (found === null) continue;
    const json = found.value;
    const taken = variants.slice(0, i).some((v) =>
      attempt(walk, () => decode(walk, v.shape, json)) !== null
    );
    const looksTagged = typeof json === "object" && json !== null && "$variant" in json;
    return taken || looksTagged ? { $variant: variant.id, value: json } : json;
  }
  throw new Mismatch("one of the union's types");
}

/** What a union's variants know, found once: a manifest's shapes stay as they are. */
const KNOWN: WeakMap<Shape, readonly KnownNames[]> = new WeakMap();

function knownOf(
  walk: Walk,
  union: Shape,
  variants: readonly { readonly shape: Shape }[],
): readonly KnownNames[] {
  let known = KNOWN.get(union);
  if (known === undefined) {
    known = knownNames(knownNodes(walk.types, variants.map(({ shape }) => shape)))
      .slice(0, variants.length);
    KNOWN.set(union, known);
  }
  return known;
}
