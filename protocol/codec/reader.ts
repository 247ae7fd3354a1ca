/**
 * Reading half of the codec runtime: safe on any bytes.
 *
 * - Every access is inside the message: DataView bounds plus explicit checks before a loop or a copy.
 * - Offsets are unsigned, point forward and are at least 4, so no structure holds itself.
 * - A work budget of 2·bytes + 64 is spent per table, vector and string: sub-objects that are shared
 *   cannot amplify a small message.
 * - Nothing is allocated by a claimed length before the bytes are known to be there.
 * - Every failure is one `RAY_DECODE`.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { Layout } from "./layout.ts";
import { MAX_DEPTH } from "./writer.ts";

let bytes = new Uint8Array(0);
let view = new DataView(bytes.buffer);
let end = 0;
let budget = 0;
let depth = 0;
let epoch = 0;
/** The ASCII heap as one string, from `heapStart` to the end; Infinity where there is none. */
let heap = "";
let heapStart = Infinity;
/** Lists of names of this message by position: objects that share theirs pay for it once. */
const lists = new Map<number, readonly string[]>();
let listAt = -1;
let list: readonly string[] = [];
// Fatal decoding is several times slower in some hosts: decode leniently, and again where it replaced.
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const REPLACED = "\ufffd";
/** Below this many bytes, of a string or a whole heap, a call into the decoder costs more than a loop. */
const SMALL = 48;
/** Names that are quicker compared with each other than put into a set. */
const FEW = 8;

/** Decodes one message: `read` gets the root table's position. Throws `RAY_DECODE`. */
export function decodeWith<T>(read: (at: number) => T, message: Uint8Array): T {
  try {
    // A plain view: a Node Buffer's slice() would alias.
    bytes = (message.constructor === Uint8Array
      ? message
      : new Uint8Array(message.buffer, message.byteOffset, message.byteLength)) as typeof bytes;
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    end = bytes.length;
    budget = 2 * end + 64;
    depth = 0;
    epoch++;
    openHeap();
    return read(reference(0));
  } catch (error) {
    const cause = error instanceof Malformed ? error.why : error;
    throw new KontractError("RAY_DECODE", undefined, { cause });
  } finally {
    bytes = EMPTY;
    heap = "";
    listAt = -1;
    list = [];
    if (lists.size > 0) lists.clear();
  }
}

const EMPTY = new Uint8Array(0);

/** Decodes the ASCII heap in one call, where the hint of bytes 4–7 proves right: as many units as bytes and none replaced is ASCII. */
function openHeap(): void {
  heapStart = Infinity;
  const start = view.getUint32(4, true);
  const length = end - start;
  if (start < 8 || length < SMALL) return;
  heap = lenient.decode(bytes.subarray(start));
  if (heap.length === length && !heap.includes(REPLACED)) heapStart = start;
}

/** Bytes that are not a value; no stack is taken for them. */
class Malformed {
  constructor(readonly why: string) {}
}

/** Ends a decoding. */
export function bad(why = "tag"): never {
  throw new Malformed(why);
}

/** Ends a decoding where a required field is absent. */
export function missing(): never {
  throw new Malformed("a required field is missing");
}

/** Follows the offset at `at`. */
export function reference(at: number): number {
  const offset = view.getUint32(at, true);
  if (offset < 4) bad("offset");
  return at + offset;
}

/** Offsets of the fields of the table at `p`, checked; to be read before the next table is. */
export function fields(layout: Layout, p: number): Uint16Array {
  if ((budget -= 8) < 0) bad("budget");
  const vtable = p - view.getInt32(p, true);
  if (layout.readEpoch !== epoch) {
    layout.readEpoch = epoch;
    layout.seen = 0;
    load(layout, vtable);
  } else if (layout.found.vtable !== vtable) find(layout, vtable);
  const { found } = layout;
  if (p + found.inline > end) bad("table");
  return found.offsets;
}

/** Looks a vtable up among the last few of this message. */
function find(layout: Layout, vtable: number): void {
  const known = Math.min(layout.seen, layout.vtables.length);
  for (let i = 0; i < known; i++) {
    const one = layout.vtables[i]!;
    if (one.vtable === vtable) {
      layout.found = one;
      return;
    }
  }
  load(layout, vtable);
}

function load(layout: Layout, vtable: number): void {
  if (vtable < 0 || vtable + 4 > end || vtable & 1) bad("vtable");
  const size = view.getUint16(vtable, true);
  const inline = view.getUint16(vtable + 2, true);
  if (size < 4 || size & 1 || vtable + size > end || inline < 4) bad("vtable");
  const { sizes } = layout;
  const one = layout.next();
  one.vtable = vtable;
  one.inline = inline;
  for (let i = 0; i < sizes.length; i++) {
    const width = sizes[i]!;
    const at = width > 0 && 4 + 2 * i < size ? view.getUint16(vtable + 4 + 2 * i, true) : 0;
    if (at !== 0 && (at < 4 || at + width > inline)) bad("field");
    one.offsets[i] = at;
  }
  layout.found = one;
}

/** Follows the offset at `at` to a vector of elements of `size` bytes; returns the position of its length. */
export function vectorAt(at: number, size: number): number {
  const v = reference(at);
  const length = 4 + view.getUint32(v, true) * size;
  if (v + length > end || (budget -= length) < 0) bad("vector");
  return v;
}

/** Reads the names of an object: a vector of strings that differ, none of them `__proto__`. */
export function getNames(at: number): readonly string[] {
  const v = reference(at);
  if (v === listAt) return list;
  // One list alone needs no map.
  if (listAt >= 0) lists.set(listAt, list);
  list = lists.get(v) ?? readNames(vectorAt(at, 4));
  listAt = v;
  return list;
}

function readNames(v: number): readonly string[] {
  const names: string[] = [];
  const stop = v + 4 + 4 * lengthOf(v);
  for (let i = v + 4; i < stop; i += 4) {
    const name = getString(i);
    if (name === "__proto__" || (names.length < FEW && names.includes(name))) bad("key");
    names.push(name);
  }
  if (names.length > FEW && new Set(names).size < names.length) bad("key");
  return names;
}

/** Length of the vector at `v`. */
export function lengthOf(v: number): number {
  return view.getUint32(v, true);
}

/** Reads a string; UTF-8 must be valid, a byte order mark is kept. */
export function getString(at: number): string {
  const offset = view.getUint32(at, true);
  const p = at + offset;
  const length = view.getUint32(p, true);
  const start = p + 4;
  const stop = start + length;
  if (offset < 4 || stop >= end || (budget -= length + 4) < 0) bad("string");
  if (start >= heapStart) return heap.substring(start - heapStart, stop - heapStart);
  return length < SMALL ? shortText(start, stop) : longText(start, stop);
}

function longText(start: number, stop: number): string {
  const part = bytes.subarray(start, stop);
  const text = lenient.decode(part);
  return text.includes(REPLACED) ? fatal.decode(part) : text;
}

/** Eight units at a time where they are ASCII: the call costs more than the units. */
function shortText(start: number, stop: number): string {
  let text = "";
  let at = start;
  for (; at + 8 <= stop; at += 8) {
    const [a, b, c, d] = [bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!];
    const [e, f, g, h] = [bytes[at + 4]!, bytes[at + 5]!, bytes[at + 6]!, bytes[at + 7]!];
    if ((a | b | c | d | e | f | g | h) > 127) return longText(start, stop);
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  for (; at < stop; at++) {
    const unit = bytes[at]!;
    if (unit > 127) return longText(start, stop);
    text += String.fromCharCode(unit);
  }
  return text;
}

/** Reads a string that matches `pattern`. */
export function getPattern(at: number, pattern: RegExp): string {
  const value = getString(at);
  return pattern.test(value) ? value : bad("pattern");
}

/** Reads a double. */
export function getFloat64(at: number): number {
  return view.getFloat64(at, true);
}

/** Reads a float. */
export function getFloat32(at: number): number {
  return view.getFloat32(at, true);
}

/** Reads an int. */
export function getInt32(at: number): number {
  return view.getInt32(at, true);
}

/** Reads an unsigned int. */
export function getUint32(at: number): number {
  return view.getUint32(at, true);
}

/** Reads a short. */
export function getInt16(at: number): number {
  return view.getInt16(at, true);
}

/** Reads an unsigned short. */
export function getUint16(at: number): number {
  return view.getUint16(at, true);
}

/** Reads a byte. */
export function getInt8(at: number): number {
  return view.getInt8(at);
}

/** Reads an unsigned byte. */
export function getUint8(at: number): number {
  return view.getUint8(at);
}

/** Reads a boolean. */
export function getBoolean(at: number): boolean {
  return view.getUint8(at) !== 0;
}

/** Reads an enum's value. */
export function getEnum<T>(at: number, values: Readonly<Record<number, T>>): T {
  return values[view.getUint16(at, true)] ?? bad("enum");
}

/** Reads a Date. */
export function getDate(at: number): Date {
  const time = view.getFloat64(at, true);
  if (!Number.isInteger(time) || Math.abs(time) > 8.64e15) bad("date");
  return new Date(time);
}

/** Reads a signed 64-bit bigint. */
export function getInt64(at: number): bigint {
  return view.getBigInt64(at, true);
}

/** Reads an unsigned 64-bit bigint. */
export function getUint64(at: number): bigint {
  return view.getBigUint64(at, true);
}

/** Reads a bigint of any size. */
export function getBigint(at: number): bigint {
  const data = getBytes(at);
  let hex = "0x0";
  for (let i = data.length - 1; i >= 0; i--) hex += data[i]!.toString(16).padStart(2, "0");
  return BigInt.asIntN(data.length * 8, BigInt(hex));
}

/** Reads bytes: a copy that belongs to the caller. */
export function getBytes(at: number): Uint8Array<ArrayBuffer> {
  const v = vectorAt(at, 1);
  return bytes.slice(v + 4, v + 4 + view.getUint32(v, true));
}

/** Reads a typed array of class `type`: a copy. Hosts are little-endian, as the wire is. */
export function getTyped<T>(
  at: number,
  type: { new (buffer: ArrayBuffer): T; readonly BYTES_PER_ELEMENT: number },
): T {
  const size = type.BYTES_PER_ELEMENT;
  const v = vectorAt(at, size);
  return new type(bytes.slice(v + 4, v + 4 + view.getUint32(v, true) * size).buffer);
}

/** Enters a recursive table. */
export function deeper(): void {
  if (++depth > MAX_DEPTH) bad("depth");
}

/** Leaves it. */
export function shallower(): void {
  depth--;
}

/** A Set; an element that repeats is refused. */
export function toSet<T>(items: readonly T[]): Set<T> {
  const set = new Set(items);
  return set.size === items.length ? set : bad("set");
}

/** A Map; a key that repeats is refused. */
export function toMap<K, V>(pairs: readonly (readonly [K, V])[]): Map<K, V> {
  const map = new Map(pairs);
  return map.size === pairs.length ? map : bad("map");
}

/** A plain object; a key that repeats and `__proto__` are refused. */
export function toRecord<V>(pairs: readonly (readonly [string, V])[]): Record<string, V> {
  const record: Record<string, V> = {};
  for (const [key, value] of pairs) setKey(record, key, value);
  return record;
}

/** Sets a key that is not there yet. */
function setKey<V>(record: Record<string, V>, key: string, value: V): void {
  if (key === "__proto__" || Object.hasOwn(record, key)) bad("key");
  record[key] = value;
}
