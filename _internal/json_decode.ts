/**
 * JSON → values of a shape, checked. See `json_codec.ts` for the mapping.
 *
 * @module
 */
import { isErrorCode, KontractError } from "./errors.ts";
import { foundIn } from "./found.ts";
import { type FileParts, toBlob, toFile } from "./file_bytes.ts";
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
  unquote,
} from "./json_shape.ts";
import { unjsonAny } from "./json_value.ts";
import { atPath, Mismatch, must, numberFromJson, type Walk } from "./json_walk.ts";
import type { Shape, ShapeField } from "./shape.ts";

/** Decodes one value. */
export function decode(walk: Walk, shape: Shape, json: unknown): unknown {
  if (++walk.depth > 256) throw new Mismatch("nested less deeply");
  try {
    return decodeShape(walk, resolve(walk, shape), json);
  } catch (error) {
    if (error instanceof Mismatch) error.found ??= foundIn(json);
    throw error;
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
      const parts = decodeObject(walk, FILE_FIELDS, json) as FileParts;
      return s.of === "File" ? toFile(parts) : toBlob(parts);
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
        must(peel(walk, field.shape).undefined, "present", "missing");
        value[field.name] = undefined;
      }
    });
  }
  if (walk.lenient) return value;
  const known = new Set(fields.map((field) => field.name));
  for (const key of Object.keys(source)) {
    if (!known.has(key)) {
      atPath(key, () => must(false, "left out: there is no such field", "extra"));
    }
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
        must(
          element.optional || (!given && flags.undefined),
          "present",
          given ? "null" : "missing",
        );
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
  const { lenient } = walk;
  try {
    // A variant that knows every property is meant before one that would pass some over.
    for (const once of lenient ? [false, true] : [false]) {
      walk.lenient = once;
      for (const variant of ordered(walk, s)) {
        const found = attempt(walk, () => decode(walk, variant.shape, json));
        if (found !== null) return found.value;
      }
    }
  } finally {
    walk.lenient = lenient;
  }
  throw new Mismatch("one of the union's types");
}

function fromBase64(json: unknown): Uint8Array<ArrayBuffer> {
  must(typeof json === "string", "base64");
  try {
    return Uint8Array.fromBase64(json);
  } catch {
    throw new Mismatch("base64");
  }
}
