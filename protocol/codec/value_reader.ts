/**
 * Reads Values; see `value.ts`.
 *
 * @module
 */
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
  getNames,
  getString,
  getUint8,
  lengthOf,
  missing,
  reference,
  shallower,
  toMap,
  toSet,
  vectorAt,
} from "./reader.ts";
import { ITEM, KIND, SIZES, TYPED } from "./value_kind.ts";

/** Field that a kind needs beside `kind` itself; 0 for none. */
const FIELD = [undefined, 0, 0, 0, 0, 1, 2, 3, 1, 3, 4, 4, 4, 4, 6, 6, 3] as const;

const READ = /* @__PURE__ */ new Layout([0, 0, 0, 0, 0, 0, 0, 0, 0], SIZES, [], 0, 4);

/** Decodes what {@link encodeValue} made. Safe on any bytes; throws `RAY_DECODE`. */
export function decodeValue(bytes: Uint8Array): unknown {
  return decodeWith(getValue, bytes);
}

/** Reads the Value table at `p`. */
export function getValue(p: number): unknown {
  const o = fields(READ, p);
  const kind = o[0] === 0 ? missing() : getUint8(p + o[0]!);
  const field = FIELD[kind];
  if (field === undefined || (field > 0 && o[field] === 0)) bad("kind");
  const at = p + o[field]!;
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
      return getFloat64(at);
    case KIND.string:
      return getString(at);
    case KIND.bigint:
      return getBigint(at);
    case KIND.date:
      return getDate(at);
    case KIND.bytes:
      return getBytes(at);
    case KIND.array:
      return getItems(at);
    case KIND.object:
      return o[5] === 0 ? missing() : getPlain(p + o[5]!, at);
    case KIND.map: {
      const flat = getItems(at);
      if (flat.length % 2 === 1) bad("map");
      const pairs: [unknown, unknown][] = [];
      for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]]);
      return toMap(pairs);
    }
    case KIND.set:
      return toSet(getItems(at));
    case KIND.packedArray: {
      const items: unknown[] = [];
      getPacked(p, o, items, null);
      return items;
    }
    case KIND.packedObject: {
      const record: Record<string, unknown> = {};
      getPacked(p, o, record, o[5] === 0 ? missing() : getNames(p + o[5]!));
      return record;
    }
    case KIND.typed:
      return o[2] === 0 ? missing() : getTyped(getString(p + o[2]!), getBytes(at));
    default:
      return bad("kind");
  }
}

/** Hosts are little-endian, as the wire is. */
function getTyped(name: string, { buffer, byteLength }: Uint8Array<ArrayBuffer>): unknown {
  if (!Object.hasOwn(TYPED, name)) bad("kind");
  const Typed = TYPED[name as keyof typeof TYPED];
  return byteLength % Typed.BYTES_PER_ELEMENT === 0 ? new Typed(buffer) : bad("bytes");
}

/** Elements of the packed table at `p`, whose fields are at `o` until another table is read. */
function getPacked(
  p: number,
  o: Uint16Array,
  into: unknown[] | Record<string, unknown>,
  names: readonly string[] | null,
): void {
  deeper();
  const kinds = vectorAt(p + o[6]!, 1);
  const length = lengthOf(kinds);
  if (names !== null && names.length !== length) bad("keys");
  // Of each: where the next element is, and where they end.
  let text = o[7] === 0 ? 0 : vectorAt(p + o[7]!, 4) + 4;
  let number = o[8] === 0 ? 0 : vectorAt(p + o[8]!, 8) + 4;
  let item = o[4] === 0 ? 0 : vectorAt(p + o[4]!, 4) + 4;
  const textEnd = text === 0 ? 0 : text + 4 * lengthOf(text - 4);
  const numberEnd = number === 0 ? 0 : number + 8 * lengthOf(number - 4);
  const itemEnd = item === 0 ? 0 : item + 4 * lengthOf(item - 4);
  // What is taken from behind an end is checked like any other bytes, and refused below.
  for (let i = 0; i < length; i++) {
    let value: unknown;
    switch (getUint8(kinds + 4 + i)) {
      case KIND.string:
        value = getString(text);
        text += 4;
        break;
      case KIND.number:
        value = getFloat64(number);
        number += 8;
        break;
      case ITEM:
        value = getValue(reference(item));
        item += 4;
        break;
      case KIND.true:
        value = true;
        break;
      case KIND.false:
        value = false;
        break;
      case KIND.null:
        value = null;
        break;
      case KIND.undefined:
        break;
      default:
        bad("kind");
    }
    if (names === null) (into as unknown[]).push(value);
    else (into as Record<string, unknown>)[names[i]!] = value;
  }
  if (text !== textEnd || number !== numberEnd || item !== itemEnd) bad("packed");
  shallower();
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
  const names = getNames(keysAt);
  const items = vectorAt(itemsAt, 4) + 4;
  if (names.length !== lengthOf(items - 4)) bad("keys");
  const record: Record<string, unknown> = {};
  for (let i = 0; i < names.length; i++) record[names[i]!] = getValue(reference(items + 4 * i));
  shallower();
  return record;
}
