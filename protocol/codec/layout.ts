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

/** A vtable that was read and checked. */
export interface ReadVtable {
  /** Its position. */
  vtable: number;
  /** Inline size it gives its tables. */
  inline: number;
  /** Offset per field id, 0 where absent. */
  readonly offsets: Uint16Array;
}

/** Vtables of one type that a reader keeps: rows with and without optional fields alternate. */
const KEPT = 8;

/** Offsets, sizes and the caches of one table type; index is the FlatBuffers field id. */
export class Layout {
  /** Message in which `mask`, `at` and `known` are valid. */
  writeEpoch: number = -1;
  /** Presence mask of the vtable at `at`. */
  mask = 0;
  /** The same, or its words joined where one number does not hold it. */
  key: number | string = 0;
  /** Position of the vtable written last. */
  at = 0;
  /** All vtables of this message by mask, once there are two. */
  known: Map<number | string, number> | null = null;
  /** Message in which `found`, `seen` and `vtables` are valid. */
  readEpoch: number = -1;
  /** How many vtables were read in this message. */
  seen = 0;
  /** The last few of them. */
  readonly vtables: ReadVtable[] = [];
  /** The one read last. */
  found: ReadVtable = { vtable: -1, inline: 0, offsets: new Uint16Array(0) };

  /**
   * Describes a table type.
   *
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
  ) {}

  /** The entry that the next vtable goes to; the oldest one gives way. */
  next(): ReadVtable {
    const i = this.seen++ % KEPT;
    return this.vtables[i] ??= {
      vtable: -1,
      inline: 0,
      offsets: new Uint16Array(this.sizes.length),
    };
  }
}
