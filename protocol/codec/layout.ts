/**
 * The layout of one table type: where its fields stand when we write it, and where a message's vtable
 * says they stand when we read it.
 *
 * Every table of a type is written with the same inline layout, so a vtable depends on nothing but which
 * fields are present (a mask) and is written once per message and mask. A reader keeps the offsets of
 * the vtable it checked last: rows of one list share theirs.
 *
 * @module
 */

/** Offsets, sizes and the caches of one table type; index is the FlatBuffers field id. */
export class Layout {
  /** Message in which `mask`, `at` and `known` are valid. */
  writeEpoch = -1;
  /** Presence mask of the vtable at `at`. */
  mask = 0;
  /** Position of the vtable written last. */
  at = 0;
  /** All vtables of this message, by mask. */
  known: Map<number | string, number> = new Map();
  /** Message in which `vtable`, `found` and `inline` are valid. */
  readEpoch = -1;
  /** Position of the vtable read last. */
  vtable = 0;
  /** Its inline size. */
  inline = 0;
  /** Its checked offsets, 0 where absent. */
  readonly found: Uint16Array;

  /**
   * @param offsets Inline offset per field id; 0 for an id that is not in use.
   * @param sizes Inline size per field id; 0 for an id that is not in use.
   * @param bits Bit of the presence mask per field id; -1 for a field that is always there.
   * @param size Inline size of the table.
   * @param align Its alignment, 4 or 8.
   */
  constructor(
    readonly offsets: readonly number[],
    readonly sizes: readonly number[],
    readonly bits: readonly number[],
    readonly size: number,
    readonly align: number,
  ) {
    this.found = new Uint16Array(offsets.length);
  }
}
