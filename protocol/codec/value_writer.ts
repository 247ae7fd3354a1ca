/**
 * Writes Values; see `value.ts`.
 *
 * @module
 */
import { atKey, Broken, no } from "./failure.ts";
import { Layout } from "./layout.ts";
import { KIND, SIZES, TYPED } from "./value_kind.ts";
import {
  down,
  encodeWith,
  open,
  putBigint,
  putBytes,
  putDate,
  putFloat64,
  putNames,
  putString,
  putTag,
  up,
  vector,
} from "./writer.ts";

// One inline layout per group of kinds. Of the packed ones texts, numbers and items may be absent: bits 0,
// 1 and 2.
const EMPTY = /* @__PURE__ */ new Layout([4], SIZES, [-1], 8, 4);
const NUMBER = /* @__PURE__ */ new Layout([4, 8], SIZES, [-1, -1], 16, 8);
const TEXT = /* @__PURE__ */ new Layout([8, 0, 4], SIZES, [-1, -1, -1], 12, 4);
const BYTES = /* @__PURE__ */ new Layout([8, 0, 0, 4], SIZES, [-1, -1, -1, -1], 12, 4);
const NAMED_BYTES = /* @__PURE__ */ new Layout([12, 0, 4, 8], SIZES, [-1, -1, -1, -1], 16, 4);
const ITEMS = /* @__PURE__ */ new Layout([8, 0, 0, 0, 4], SIZES, [-1, -1, -1, -1, -1], 12, 4);
const PACKED = /* @__PURE__ */ new Layout(
  [20, 0, 0, 0, 16, 0, 4, 8, 12],
  SIZES,
  [-1, -1, -1, -1, 2, -1, -1, 0, 1],
  24,
  4,
);
const KEYED = /* @__PURE__ */ new Layout(
  [12, 0, 0, 0, 4, 8],
  SIZES,
  [-1, -1, -1, -1, -1, -1],
  16,
  4,
);
const PACKED_KEYED = /* @__PURE__ */ new Layout(
  [24, 0, 0, 0, 16, 20, 4, 8, 12],
  SIZES,
  [-1, -1, -1, -1, 2, -1, -1, 0, 1],
  28,
  4,
);

/**
 * Encodes any plain value. The bytes may lie in a buffer with others: copy them before their `buffer` is
 * used, posted or transferred. Throws `VALIDATION` for what is not plain data, too deep or cyclic.
 */
export function encodeValue(value: unknown): Uint8Array<ArrayBuffer> {
  return encodeWith(putValue, value);
}

/** Writes a Value table and points `slot` to it. */
export function putValue(value: unknown, slot: number): void {
  switch (typeof value) {
    case "undefined":
      return putTag(open(EMPTY, 0, slot) + 4, KIND.undefined);
    case "boolean":
      return putTag(open(EMPTY, 0, slot) + 4, value ? KIND.true : KIND.false);
    case "number": {
      const p = open(NUMBER, 0, slot);
      putTag(p + 4, KIND.number);
      return putFloat64(p + 8, value);
    }
    case "string": {
      const p = open(TEXT, 0, slot);
      putTag(p + 8, KIND.string);
      return putString(p + 4, value);
    }
    case "bigint": {
      const p = open(BYTES, 0, slot);
      putTag(p + 8, KIND.bigint);
      return putBigint(p + 4, value);
    }
    case "object":
      return value === null ? putTag(open(EMPTY, 0, slot) + 4, KIND.null) : putObject(value, slot);
    default:
      no("plain data", value);
  }
}

function putObject(value: object, slot: number): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return putPlain(value, slot);
  if (Array.isArray(value)) return putArray(value, slot);
  if (value instanceof Date) {
    const p = open(NUMBER, 0, slot);
    putTag(p + 4, KIND.date);
    return putDate(p + 8, value);
  }
  if (value instanceof Uint8Array) {
    const p = open(BYTES, 0, slot);
    putTag(p + 8, KIND.bytes);
    return putBytes(p + 4, value);
  }
  if (ArrayBuffer.isView(value)) return putTyped(value, slot);
  down();
  if (value instanceof Set) putItems(value, value.size, KIND.set, slot);
  else if (value instanceof Map) putItems(flat(value), value.size * 2, KIND.map, slot);
  else throw new Broken("plain data", "an instance of a class");
  up();
}

function putTyped(value: ArrayBufferView, slot: number): void {
  const name = (value as Float64Array)[Symbol.toStringTag];
  if (!Object.hasOwn(TYPED, name)) throw new Broken("plain data", "an instance of a class");
  const p = open(NAMED_BYTES, 0, slot);
  putTag(p + 12, KIND.typed);
  putString(p + 4, name);
  putBytes(p + 8, new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
}

function* flat(map: ReadonlyMap<unknown, unknown>): Generator<unknown> {
  for (const [key, value] of map) {
    yield key;
    yield value;
  }
}

function putItems(items: Iterable<unknown>, count: number, kind: number, slot: number): void {
  const p = open(ITEMS, 0, slot);
  putTag(p + 8, kind);
  const v = vector(p + 4, count, 4);
  let i = 0;
  try {
    for (const item of items) {
      if (i === count) throw new Broken("left alone while it is encoded", "growing");
      putValue(item, v + 4 * i);
      i++;
    }
  } catch (error) {
    atKey(error, kind === KIND.map ? i >> 1 : i);
  }
}

function putArray(value: readonly unknown[], slot: number): void {
  down();
  // Looked at twice below: what a getter of an element does to the array must not matter.
  putPacked([...value], null, slot);
  up();
}

function putPlain(value: object, slot: number): void {
  down();
  const names = Object.keys(value);
  const values = Object.values(value);
  if (values.length !== names.length) {
    throw new Broken("left alone while it is encoded", "changing");
  }
  putPacked(values, names, slot);
  up();
}

/** Elements of an array, or of an object with `names`. */
function putPacked(
  values: readonly unknown[],
  names: readonly string[] | null,
  slot: number,
): void {
  const { length } = values;
  let [texts, numbers, items] = [0, 0, 0];
  for (let i = 0; i < length; i++) {
    const value = values[i];
    switch (typeof value) {
      case "string":
        texts++;
        break;
      case "number":
        numbers++;
        break;
      case "boolean":
      case "undefined":
        break;
      default:
        if (value !== null) items++;
    }
  }
  if (items === length) return putTables(values, names, slot);
  const mask = (texts > 0 ? 1 : 0) | (numbers > 0 ? 2 : 0) | (items > 0 ? 4 : 0);
  const p = open(names === null ? PACKED : PACKED_KEYED, mask, slot);
  putTag(p + (names === null ? 20 : 24), names === null ? KIND.packedArray : KIND.packedObject);
  if (names !== null && putNames(p + 20, names)) names.forEach(checkName);
  const kinds = vector(p + 4, length, 1);
  let text = texts > 0 ? vector(p + 8, texts, 4) : 0;
  let number = numbers > 0 ? vector(p + 12, numbers, 8) : 0;
  let item = items > 0 ? vector(p + 16, items, 4) : 0;
  let i = 0;
  try {
    for (; i < length; i++) {
      const value = values[i];
      switch (typeof value) {
        case "string":
          putTag(kinds + i, KIND.string);
          putString(text, value);
          text += 4;
          break;
        case "number":
          putTag(kinds + i, KIND.number);
          putFloat64(number, value);
          number += 8;
          break;
        case "boolean":
          putTag(kinds + i, value ? KIND.true : KIND.false);
          break;
        case "undefined":
          putTag(kinds + i, KIND.undefined);
          break;
        default:
          if (value === null) putTag(kinds + i, KIND.null);
          else { // its kind stays 0, the next of the items
            putValue(value, item);
            item += 4;
          }
      }
    }
  } catch (error) {
    atKey(error, names === null ? i : names[i]);
  }
}

/** The unpacked form, of elements that need a table each in any case. */
function putTables(
  values: readonly unknown[],
  names: readonly string[] | null,
  slot: number,
): void {
  const p = open(names === null ? ITEMS : KEYED, 0, slot);
  putTag(p + (names === null ? 8 : 12), names === null ? KIND.array : KIND.object);
  if (names !== null && putNames(p + 8, names)) names.forEach(checkName);
  const items = vector(p + 4, values.length, 4);
  let i = 0;
  try {
    for (; i < values.length; i++) putValue(values[i], items + 4 * i);
  } catch (error) {
    atKey(error, names === null ? i : names[i]);
  }
}

function checkName(name: string): void {
  try {
    if (name === "__proto__") throw new Broken("left out", "a key that reaches a prototype");
    if (!name.isWellFormed()) throw new Broken("well-formed UTF-16", "a key with a lone surrogate");
  } catch (error) {
    atKey(error, name);
  }
}
