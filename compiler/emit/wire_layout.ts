/**
 * Inline layout of a table: where each field stands. Largest first into the first gap that fits, so a
 * table has no more padding than it must. The layout is free to change from build to build: readers
 * follow the vtable.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { PlanTable, Wire } from "./wire_plan.ts";

/** Arrays by FlatBuffers id, as the runtime's `Layout` takes them. */
export interface TableLayout {
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
  readonly bits: readonly number[];
  readonly size: number;
  readonly align: 4 | 8;
}

/** Lays a table out. */
export function layoutOf(table: PlanTable): TableLayout {
  const slots = slotsOf(table);
  const count = Math.max(0, ...slots.map((slot) => slot.id + 1));
  const offsets = new Array<number>(count).fill(0);
  const sizes = new Array<number>(count).fill(0);
  const bits = new Array<number>(count).fill(-1);
  const taken = new Set<number>([0, 1, 2, 3]);
  let size = 4;
  let bit = 0;
  for (const slot of [...slots].sort((a, b) => b.size - a.size || a.id - b.id)) {
    let at = slot.size;
    while (occupied(taken, at, slot.size)) at += slot.size;
    for (let i = 0; i < slot.size; i++) taken.add(at + i);
    offsets[slot.id] = at;
    sizes[slot.id] = slot.size;
    size = Math.max(size, at + slot.size);
  }
  for (const slot of slots) if (slot.absent) bits[slot.id] = bit++;
  if (size > 65532) {
    throw new KontractError("BUILD_FAILED", `Type '${table.name}' is too large for one table.`);
  }
  const align = slots.some((slot) => slot.size === 8) ? 8 : 4;
  return { offsets, sizes, bits, size: (size + 3) & ~3, align };
}

interface Slot {
  readonly id: number;
  readonly size: number;
  /** May be absent: has a bit in the presence mask. */
  readonly absent: boolean;
}

function slotsOf(table: PlanTable): Slot[] {
  if (table.kind === "union") {
    return [{ id: 0, size: 1, absent: false }, { id: 1, size: 4, absent: false }];
  }
  const all = table.rest === null ? table.fields : [...table.fields, table.rest];
  const slots: Slot[] = all.filter((field) => field.wire.kind !== "none").map((field) => ({
    id: field.id,
    size: sizeOfElement(field.wire),
    absent: field.null || field.undefined,
  }));
  if (all.some((field) => field.bit)) slots.unshift({ id: 0, size: 4, absent: true });
  return slots;
}

function occupied(taken: ReadonlySet<number>, at: number, size: number): boolean {
  for (let i = 0; i < size; i++) if (taken.has(at + i)) return true;
  return false;
}

/** Bytes of a wire type inside a vector or a table. */
export function sizeOfElement(wire: Wire): number {
  switch (wire.kind) {
    case "none":
      return 0;
    case "number":
      return Number(wire.width.replace(/\D+/, "")) / 8;
    case "boolean":
    case "literal":
      return 1;
    case "enum":
      return 2;
    case "date":
    case "int64":
    case "uint64":
      return 8;
    default:
      return 4;
  }
}
