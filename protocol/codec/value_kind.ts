/**
 * Kinds of a Value on the wire; see `value.ts`.
 *
 * @module
 */

/** Kinds on the wire; never renumbered. */
export const KIND = {
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
  packedArray: 14,
  packedObject: 15,
  typed: 16,
} as const;

/** In `kinds`: the next of `items`. */
export const ITEM = 0;

/** Inline size per field id: 0 kind, 1 number, 2 text, 3 bytes, 4 items, 5 keys, 6 kinds, 7 texts, 8 numbers. */
export const SIZES: readonly number[] = [1, 8, 4, 4, 4, 4, 4, 4, 4];

/** Typed arrays beside `Uint8Array`, by the name that travels. */
export const TYPED = {
  Int8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
};
