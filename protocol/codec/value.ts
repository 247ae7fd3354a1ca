/**
 * `unknown` on the wire: a table that says its own kind and holds others of itself. Ordinary FlatBuffers;
 * the schema is
 *
 * ```fbs
 * table Value { kind: ubyte; number: double; text: string; bytes: [ubyte]; items: [Value]; keys: [string]; }
 * ```
 *
 * Plain data only: undefined, null, booleans, numbers, strings, bigints, Date, Uint8Array, arrays, plain
 * objects, Map, Set. An object's keys stand in `keys`, its values in `items`; a Map's keys and values
 * alternate in `items`.
 *
 * @module
 */
import { atKey, Broken, no } from "./failure.ts";
import { Layout } from "./layout.ts";
import {
  bad,
  decodeWith,
  deeper,
  fields,
  getBigint,
  getBytes,
  getDate,
  getFloat64,
  getString,
  getUint8,
  lengthOf,
  missing,
  reference,
  setKey,
  shallower,
  toMap,
  toSet,
  vectorAt,
} from "./reader.ts";
import {
  down,
  encodeWith,
  open,
  putBigint,
  putBytes,
  putDate,
  putFloat64,
  putString,
  putTag,
  up,
  vector,
} from "./writer.ts";

/** Kinds on the wire; never renumbered. */
const KIND = {
  undefined: 1,
  null: 2,
  false: 3,
  true: 4,
  number: 5,
  string: 6,
  bigint: 7,
  date: 8,
  bytes: 9,
  array: 10,
  object: 11,
  map: 12,
  set: 13,
} as const;

/** Field that a kind needs beside `kind` itself; 0 for none. */
const FIELD = [undefined, 0, 0, 0, 0, 1, 2, 3, 1, 3, 4, 4, 4, 4] as const;

// One inline layout per group of kinds; ids 0 kind, 1 number, 2 text, 3 bytes, 4 items, 5 keys.
const SIZES = [1, 8, 4, 4, 4, 4];
const EMPTY = /* @__PURE__ */ new Layout([4], SIZES, [-1], 8, 4);
const NUMBER = /* @__PURE__ */ new Layout([4, 8], SIZES, [-1, -1], 16, 8);
const TEXT = /* @__PURE__ */ new Layout([8, 0, 4], SIZES, [-1, -1, -1], 12, 4);
const BYTES = /* @__PURE__ */ new Layout([8, 0, 0, 4], SIZES, [-1, -1, -1, -1], 12, 4);
const ITEMS = /* @__PURE__ */ new Layout([8, 0, 0, 0, 4], SIZES, [-1, -1, -1, -1, -1], 12, 4);
const KEYED = /* @__PURE__ */ new Layout(
  [12, 0, 0, 0, 4, 8],
  SIZES,
  [-1, -1, -1, -1, -1, -1],
  16,
  4,
);
const READ = /* @__PURE__ */ new Layout([0, 0, 0, 0, 0, 0], SIZES, [], 0, 4);

/**
 * Encodes any plain value. The bytes may lie in a buffer with others: copy them before their `buffer` is
 * used, posted or transferred. Throws `VALIDATION` for what is not plain data, too deep or cyclic.
 */
export function encodeValue(value: unknown): Uint8Array<ArrayBuffer> {
  return encodeWith(putValue, value);
}

/** Decodes what {@link encodeValue} made. Safe on any bytes; throws `RAY_DECODE`. */
export function decodeValue(bytes: Uint8Array): unknown {
  return decodeWith(getValue, bytes);
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
  down();
  if (Array.isArray(value)) putItems(value, value.length, KIND.array, slot);
  else if (value instanceof Set) putItems(value, value.size, KIND.set, slot);
  else if (value instanceof Map) putItems(flat(value), value.size * 2, KIND.map, slot);
  else putPlain(value, slot);
  up();
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

function putPlain(value: object, slot: number): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new Broken("plain data", "an instance of a class");
  }
  const names = Object.keys(value);
  const p = open(KEYED, 0, slot);
  putTag(p + 12, KIND.object);
  const keys = vector(p + 8, names.length, 4);
  const items = vector(p + 4, names.length, 4);
  let i = 0;
  try {
    for (; i < names.length; i++) {
      const name = names[i]!;
      if (name === "__proto__") throw new Broken("left out", "a key that reaches a prototype");
      putString(keys + 4 * i, name);
      putValue((value as Record<string, unknown>)[name], items + 4 * i);
    }
  } catch (error) {
    atKey(error, names[i]);
  }
}

/** Reads the Value table at `p`. */
export function getValue(p: number): unknown {
  const o = fields(READ, p);
  const number = p + o[1]!;
  const text = p + o[2]!;
  const bytes = p + o[3]!;
  const items = p + o[4]!;
  const keys = p + o[5]!;
  const kind = o[0] === 0 ? missing() : getUint8(p + o[0]!);
  const field = FIELD[kind];
  if (field === undefined || (field > 0 && o[field] === 0)) bad("kind");
  switch (kind) {
    case KIND.undefined:
      return undefined;
    case KIND.null:
      return null;
    case KIND.false:
      return false;
    case KIND.true:
      return true;
    case KIND.number:
      return getFloat64(number);
    case KIND.string:
      return getString(text);
    case KIND.bigint:
      return getBigint(bytes);
    case KIND.date:
      return getDate(number);
    case KIND.bytes:
      return getBytes(bytes);
    case KIND.array:
      return getItems(items);
    case KIND.object:
      return o[5] === 0 ? missing() : getPlain(keys, items);
    case KIND.map: {
      const flat = getItems(items);
      if (flat.length % 2 === 1) bad("map");
      const pairs: [unknown, unknown][] = [];
      for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]]);
      return toMap(pairs);
    }
    case KIND.set:
      return toSet(getItems(items));
    default:
      return bad("kind");
  }
}

function getItems(at: number): unknown[] {
  deeper();
  const v = vectorAt(at, 4);
  const end = v + 4 + 4 * lengthOf(v);
  const items: unknown[] = [];
  for (let i = v + 4; i < end; i += 4) items.push(getValue(reference(i)));
  shallower();
  return items;
}

function getPlain(keysAt: number, itemsAt: number): Record<string, unknown> {
  deeper();
  const keys = vectorAt(keysAt, 4);
  const items = vectorAt(itemsAt, 4);
  const count = lengthOf(keys);
  if (count !== lengthOf(items)) bad("keys");
  const record: Record<string, unknown> = {};
  for (let i = 4; i < 4 + 4 * count; i += 4) {
    setKey(record, getString(keys + i), getValue(reference(items + i)));
  }
  shallower();
  return record;
}
