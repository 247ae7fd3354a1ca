/**
 * Writing half of the codec runtime: one scratch buffer in FlatBuffers wire format, filled parent
 * first; offsets that point to strings are patched at the end.
 *
 * - Bytes at and beyond `pos` are zero, always: gaps and padding never carry an earlier message.
 * - Short ASCII strings go to their own heap, appended last; bytes 4–7 of a message say where it starts.
 *   FlatBuffers leaves those bytes to the writer, so the message stays an ordinary one, and the reader
 *   checks the hint instead of believing it.
 * - State is per module and an encoding is synchronous. Re-entering it (a getter that encodes) is refused.
 * - Results are fresh and belong to the caller; small ones lie side by side in one buffer, since making a
 *   buffer costs more than filling it. None of its bytes is ever given out twice.
 *
 * One file, though long: everything here works on the same buffer, and module state that several files
 * share would be reached through calls.
 *
 * Format: https://flatbuffers.dev/internals/
 *
 * @module
 */
import { type KnownNames, leastLost } from "../../_internal/least_lost.ts";
import { KontractError } from "../../_internal/errors.ts";
import { Broken, no, validation } from "./failure.ts";
import type { Layout } from "./layout.ts";

/** Largest message, in bytes: bounds what a value that shares sub-objects can unfold to. */
export const MAX_BYTES: number = 64 << 20;
/** Deepest nesting of recursive types. Bounds the stack; a cycle runs into it. */
export const MAX_DEPTH: number = 64;
/** Attempts at variants of unions without discriminator. Bounds backtracking. */
const MAX_TRIES = 10_000;
/** Scratch kept between messages. */
const KEEP = 1 << 20;
/** Strings shorter than this may live in the ASCII heap: the length's four bytes are ASCII too. */
const SHORT = 128;
const HEADER = 8;
/** Lists of names that another object's are looked for among. */
const KEPT_LISTS = 8;
/** Results up to this length share a buffer of `POOL` bytes. */
const POOLED = 2048;
const POOL = 8192;

let pool = new Uint8Array(POOL);
let poolAt = 0;
let bytes = new Uint8Array(1 << 14);
let view = new DataView(bytes.buffer);
let pos = 0;
let heap = new Uint8Array(1 << 14);
let words = new Uint32Array(heap.buffer);
let heapEnd = 0;
let patches = new Int32Array(1 << 10);
let patchEnd = 0;
/** Lists of names of this message, each written once, and pairs of a slot and the number of its list. */
let lists: (readonly string[])[] = [];
let listSlots = new Int32Array(1 << 8);
let listSlotsEnd = 0;
let epoch = 0;
let depth = 0;
let tries = 0;
let busy = false;
const encoder = new TextEncoder();

/** Encodes one message: `write` puts the root table at slot 0. Throws `VALIDATION` or `TOO_LARGE`. */
export function encodeWith(
  write: (value: unknown, slot: number) => void,
  value: unknown,
): Uint8Array<ArrayBuffer> {
  if (busy) {
    throw new KontractError("VALIDATION", "A getter of a value being encoded encodes itself.");
  }
  busy = true;
  pos = HEADER;
  heapEnd =
    patchEnd =
    listSlotsEnd =
    depth =
    tries =
      0;
  epoch++;
  try {
    write(value, 0);
    return finish();
  } catch (error) {
    throw validation(error);
  } finally {
    release();
    busy = false;
  }
}

function finish(): Uint8Array<ArrayBuffer> {
  if (listSlotsEnd > 0) writeLists();
  if (heapEnd > 0) view.setUint32(4, pos, true);
  for (let i = 0; i < patchEnd; i += 2) {
    const slot = patches[i]!;
    view.setUint32(slot, pos + patches[i + 1]! - slot, true);
  }
  const out = allocate(pos + heapEnd);
  copy(bytes, pos, out, 0);
  copy(heap, heapEnd, out, pos);
  return out;
}

/** Behind all tables, since offsets point forward, and before the heap, which is ASCII. */
function writeLists(): void {
  const places = lists.map((names) => {
    const v = pos;
    need(v + 4 + 4 * names.length);
    pos = v + 4 + 4 * names.length;
    view.setUint32(v, names.length, true);
    for (let i = 0; i < names.length; i++) putString(v + 4 + 4 * i, names[i]);
    return v;
  });
  for (let i = 0; i < listSlotsEnd; i += 2) {
    const slot = listSlots[i]!;
    view.setUint32(slot, places[listSlots[i + 1]!]! - slot, true);
  }
}

function allocate(length: number): Uint8Array<ArrayBuffer> {
  if (length > POOLED) return new Uint8Array(length);
  // A caller who transfers its result takes the whole buffer along: then it has no length.
  if (poolAt + length > pool.length) {
    pool = new Uint8Array(POOL);
    poolAt = 0;
  }
  const out = pool.subarray(poolAt, poolAt + length);
  // Aligned, as a buffer of its own would be.
  poolAt = (poolAt + length + 7) & ~7;
  return out;
}

/** Below some size a loop beats making a view. */
function copy(from: Uint8Array, length: number, to: Uint8Array, at: number): void {
  if (length > 64) to.set(from.subarray(0, length), at);
  else for (let i = 0; i < length; i++) to[at + i] = from[i]!;
}

function release(): void {
  if (bytes.length > KEEP) {
    bytes = new Uint8Array(1 << 14);
    view = new DataView(bytes.buffer);
  } else bytes.fill(0, 0, pos);
  if (heap.length > KEEP) {
    heap = new Uint8Array(1 << 14);
    words = new Uint32Array(heap.buffer);
  }
  if (patches.length > KEEP) patches = new Int32Array(1 << 10);
  if (lists.length > 0) lists = [];
  if (listSlots.length > KEEP) listSlots = new Int32Array(1 << 8);
}

/** Makes room up to `end`. */
function need(end: number): void {
  if (end <= bytes.length) return;
  if (end > MAX_BYTES) throw tooLarge();
  const old = bytes;
  bytes = new Uint8Array(Math.max(end, old.length * 2));
  bytes.set(old);
  view = new DataView(bytes.buffer);
}

function tooLarge(): KontractError {
  return new KontractError(
    "TOO_LARGE",
    `Cannot encode the value as it needs more than ${MAX_BYTES} bytes.`,
  );
}

/** Opens a table and points `slot` to it; returns its position. All of its inline bytes are zero. */
export function open(layout: Layout, mask: number, slot: number): number {
  const vtable = layout.writeEpoch === epoch && layout.mask === mask
    ? layout.at
    : vtableFor(layout, mask);
  const align = layout.align - 1;
  const p = (pos + align) & ~align;
  const end = p + layout.size;
  if (end > bytes.length) need(end);
  pos = end;
  view.setUint32(slot, p - slot, true);
  view.setInt32(p, p - vtable, true);
  return p;
}

/** {@link open} for a type with more optional fields than a mask has bits: 31 per word. */
export function openWide(layout: Layout, words: readonly number[], slot: number): number {
  vtableFor(layout, words);
  return open(layout, layout.mask, slot);
}

function vtableFor(layout: Layout, mask: number | readonly number[]): number {
  const key = typeof mask === "number" ? mask : mask.join();
  if (layout.writeEpoch !== epoch) {
    layout.writeEpoch = epoch;
    layout.known = null;
  } else if (layout.known === null) layout.known = new Map([[layout.key, layout.at]]);
  let at = layout.known?.get(key);
  if (at === undefined) {
    at = pos;
    writeVtable(layout, mask);
    layout.known?.set(key, at);
  }
  layout.mask = typeof mask === "number" ? mask : -1;
  layout.key = key;
  layout.at = at;
  return at;
}

function writeVtable(layout: Layout, mask: number | readonly number[]): void {
  const { offsets, bits } = layout;
  const size = 4 + 2 * offsets.length;
  const at = pos;
  need(at + size + 3);
  view.setUint16(at, size, true);
  view.setUint16(at + 2, layout.size, true);
  for (let i = 0; i < offsets.length; i++) {
    const bit = bits[i]!;
    const word = typeof mask === "number" ? mask : mask[Math.floor(bit / 31)] ?? 0;
    if (bit < 0 || (word >>> (bit % 31)) & 1) view.setUint16(at + 4 + 2 * i, offsets[i]!, true);
  }
  pos = (at + size + 3) & ~3;
}

/** Opens a vector of `count` elements of `size` bytes and points `slot` to it; returns its first element. */
export function vector(slot: number, count: number, size: number): number {
  let v = pos;
  if (size === 8 && (v & 7) === 0) v += 4;
  const end = v + 4 + count * size;
  if (end + 3 > bytes.length) need(end + 3);
  pos = (end + 3) & ~3;
  view.setUint32(slot, v - slot, true);
  view.setUint32(v, count, true);
  return v + 4;
}

/** Writes a string. Lone surrogates are refused: they have no UTF-8. */
export function putString(slot: number, value: unknown): void {
  if (typeof value !== "string") no("a string", value);
  const length = value.length;
  if (length < SHORT) {
    const at = heapEnd;
    if (at + length + 8 > heap.length) growHeap();
    const into = heap;
    const start = at + 4;
    const last = (start + length) >> 2;
    words[at >> 2] = length;
    words[last] = 0; // the zero at its end and what fills the word
    let i = 0;
    let all = 0;
    for (; i < length; i++) {
      const unit = value.charCodeAt(i);
      all |= unit;
      into[start + i] = unit;
    }
    if (all < 128) {
      heapEnd = (last + 1) << 2;
      if (patchEnd + 2 > patches.length) patches = grown(patches);
      patches[patchEnd++] = slot;
      patches[patchEnd++] = at;
      return;
    }
  }
  putText(slot, value);
}

/** A long string, or one that is not ASCII: in place. */
function putText(slot: number, value: string): void {
  if (!value.isWellFormed()) {
    throw new Broken("well-formed UTF-16", "a string with a lone surrogate", "string");
  }
  const at = pos;
  if (value.length > MAX_BYTES) throw tooLarge();
  need(at + 8 + value.length * 3);
  const { written } = encoder.encodeInto(value, bytes.subarray(at + 4));
  view.setUint32(slot, at - slot, true);
  view.setUint32(at, written, true);
  pos = (at + 4 + written + 4) & ~3;
}

function growHeap(): void {
  if (heap.length >= MAX_BYTES) throw tooLarge();
  const old = heap;
  heap = new Uint8Array(old.length * 2);
  words = new Uint32Array(heap.buffer);
  heap.set(old);
}

function grown(pairs: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const more = new Int32Array(pairs.length * 2);
  more.set(pairs);
  return more;
}

/**
 * Points `slot` to a vector of these strings, which slots with the same ones share. True where they are
 * new in this message: the caller checks them then.
 */
export function putNames(slot: number, names: readonly string[]): boolean {
  const known = findNames(names);
  if (listSlotsEnd + 2 > listSlots.length) listSlots = grown(listSlots);
  listSlots[listSlotsEnd++] = slot;
  listSlots[listSlotsEnd++] = known < 0 ? lists.push(names) - 1 : known;
  return known < 0;
}

/** Among the lists made last: rows of a list are alike, and what nobody shares must not cost a search. */
function findNames(names: readonly string[]): number {
  const { length } = names;
  next: for (let i = lists.length - 1; i >= 0 && i >= lists.length - KEPT_LISTS; i--) {
    const list = lists[i]!;
    if (list.length !== length) continue;
    for (let j = 0; j < length; j++) {
      if (list[j] !== names[j]) continue next;
    }
    return i;
  }
  return -1;
}

/** Writes a string that matches `pattern`. */
export function putPattern(slot: number, value: unknown, pattern: RegExp): void {
  if (typeof value !== "string" || !pattern.test(value)) {
    no(`a string that matches ${pattern.source}`, value);
  }
  putString(slot, value);
}

/** Writes a double. */
export function putFloat64(at: number, value: unknown): void {
  if (typeof value !== "number") no("a number", value);
  view.setFloat64(at, value, true);
}

/** Writes a float; the value is rounded to it. */
export function putFloat32(at: number, value: unknown): void {
  if (typeof value !== "number") no("a number", value);
  view.setFloat32(at, value, true);
}

/** Writes an int. */
export function putInt32(at: number, value: unknown): void {
  if (typeof value !== "number" || (value | 0) !== value) no("a 32-bit integer", value);
  view.setInt32(at, value, true);
}

/** Writes an unsigned int. */
export function putUint32(at: number, value: unknown): void {
  if (typeof value !== "number" || value >>> 0 !== value) no("an unsigned 32-bit integer", value);
  view.setUint32(at, value, true);
}

/** Writes a short. */
export function putInt16(at: number, value: unknown): void {
  if (typeof value !== "number" || (value << 16) >> 16 !== value) no("a 16-bit integer", value);
  view.setInt16(at, value, true);
}

/** Writes an unsigned short. */
export function putUint16(at: number, value: unknown): void {
  if (typeof value !== "number" || (value & 65535) !== value) {
    no("an unsigned 16-bit integer", value);
  }
  view.setUint16(at, value, true);
}

/** Writes a byte. */
export function putInt8(at: number, value: unknown): void {
  if (typeof value !== "number" || (value << 24) >> 24 !== value) no("an 8-bit integer", value);
  bytes[at] = value;
}

/** Writes an unsigned byte. */
export function putUint8(at: number, value: unknown): void {
  if (typeof value !== "number" || (value & 255) !== value) no("an unsigned 8-bit integer", value);
  bytes[at] = value;
}

/** Writes a boolean. */
export function putBoolean(at: number, value: unknown): void {
  if (typeof value !== "boolean") no("a boolean", value);
  bytes[at] = value ? 1 : 0;
}

/** Writes the presence of a literal. */
export function putLiteral(at: number, value: unknown, literal: string | number | boolean): void {
  if (value !== literal) no(JSON.stringify(literal), value);
  bytes[at] = 1;
}

/** Writes an enum's tag. */
export function putEnum(at: number, value: unknown, tags: ReadonlyMap<unknown, number>): void {
  const tag = tags.get(value);
  if (tag === undefined) no(oneOf([...tags.keys()]), value);
  view.setUint16(at, tag, true);
}

/** The rule of an enum in words; cut where there are many. */
function oneOf(values: readonly unknown[]): string {
  const shown = values.slice(0, 8).map((value) => JSON.stringify(value)).join(", ");
  return `one of ${shown}${values.length > 8 ? ", …" : ""}`;
}

/** Writes a Date as milliseconds. An invalid Date is refused. */
export function putDate(at: number, value: unknown): void {
  const time = value instanceof Date ? value.getTime() : NaN;
  if (time !== time) no("a valid Date", value);
  view.setFloat64(at, time, true);
}

/** Writes a signed 64-bit bigint. */
export function putInt64(at: number, value: unknown): void {
  if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) {
    no("a 64-bit bigint", value);
  }
  view.setBigInt64(at, value, true);
}

/** Writes an unsigned 64-bit bigint. */
export function putUint64(at: number, value: unknown): void {
  if (typeof value !== "bigint" || BigInt.asUintN(64, value) !== value) {
    no("an unsigned 64-bit bigint", value);
  }
  view.setBigUint64(at, value, true);
}

/** Writes a bigint of any size as two's complement, little-endian, as few bytes as hold its sign. */
export function putBigint(slot: number, value: unknown): void {
  if (typeof value !== "bigint") no("a bigint", value);
  const magnitude = value < 0n ? ~value : value;
  const digits = magnitude.toString(16).length;
  const size = (digits >> 1) + 1;
  const hex = BigInt.asUintN(size * 8, value).toString(16).padStart(size * 2, "0");
  const v = vector(slot, size, 1);
  for (let i = 0; i < size; i++) {
    bytes[v + i] = parseInt(hex.slice((size - i - 1) * 2, (size - i) * 2), 16);
  }
}

/** Writes bytes. */
export function putBytes(slot: number, value: unknown): void {
  if (!(value instanceof Uint8Array)) no("a Uint8Array", value);
  const v = vector(slot, value.length, 1);
  bytes.set(value, v);
}

/** Writes a typed array of class `type`. */
export function putTyped(
  slot: number,
  value: unknown,
  type: {
    new (): ArrayBufferView & { readonly length: number };
    readonly BYTES_PER_ELEMENT: number;
  },
): void {
  if (!(value instanceof type)) no(`a ${type.name}`, value);
  const v = vector(slot, value.length, type.BYTES_PER_ELEMENT);
  bytes.set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength), v);
}

/** Writes bits that the caller computed (`_nulls`). */
export function putBits(at: number, value: number): void {
  view.setUint32(at, value, true);
}

/** Writes a byte that the caller computed (a union's tag). */
export function putTag(at: number, value: number): void {
  bytes[at] = value;
}

/** Enters a recursive table. */
export function down(): void {
  if (++depth > MAX_DEPTH) {
    throw new Broken(`nested at most ${MAX_DEPTH} deep`, "deeper, or holds itself");
  }
}

/** Leaves it. */
export function up(): void {
  depth--;
}

/**
 * {@link attempt}, those first that lose least of the value: for variants of which an earlier one may take
 * what is meant for a later.
 */
export function attemptLeastLost(
  value: unknown,
  slot: number,
  writers: readonly ((value: unknown, slot: number) => void)[],
  known: readonly KnownNames[],
): number {
  const order = leastLost(value, known);
  const found = attempt(value, slot, order.map((i) => writers[i]!));
  return order[found] ?? -1;
}

/** Tries each writer in turn and keeps the first that accepts the value; -1 where none does. */
export function attempt(
  value: unknown,
  slot: number,
  writers: readonly ((value: unknown, slot: number) => void)[],
): number {
  const mark = [pos, heapEnd, patchEnd, listSlotsEnd, depth] as const;
  const known = lists.length;
  for (let i = 0; i < writers.length; i++) {
    if (++tries > MAX_TRIES) {
      throw new KontractError(
        "VALIDATION",
        `Cannot tell the variants of a union apart in ${MAX_TRIES} attempts: give it a discriminator.`,
      );
    }
    try {
      writers[i]!(value, slot);
      return i;
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      bytes.fill(0, mark[0], pos);
      [pos, heapEnd, patchEnd, listSlotsEnd, depth] = mark;
      lists.length = known;
      epoch++; // vtables written during the attempt are gone
    }
  }
  return -1;
}
