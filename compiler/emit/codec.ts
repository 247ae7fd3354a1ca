/**
 * Emits the codec of an app's shapes: an ES module of plain functions, one writer and one reader per
 * table, in FlatBuffers wire format. No `eval`, no reflection at run time, the same text for the same
 * input.
 *
 * A table is written parent first: presence mask, then the inline part, then its children behind it.
 * Errors collect their path while they unwind, so the good path carries nothing.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { SlotEmitter } from "./codec_slots.ts";
import { TableEmitter } from "./codec_tables.ts";
import { planWire } from "./wire_plan.ts";

/** What {@link emitCodecModule} needs. */
export interface CodecModuleOptions {
  /** Named types. */
  readonly types: ShapeTable;
  /** What is encoded and decoded, by exported name (`[A-Za-z0-9_$]+`). */
  readonly entries: readonly { readonly name: string; readonly shape: Shape }[];
  /** Specifier of `protocol/codec/mod.ts`. */
  readonly runtime: string;
}

/**
 * Text of a module that exports `encode_<name>` and `decode_<name>` for every entry.
 *
 * @throws {KontractError} `BUILD_FAILED` for a name or a shape that cannot be emitted.
 */
export function emitCodecModule(options: CodecModuleOptions): string {
  for (const { name } of options.entries) {
    if (!/^[A-Za-z0-9_$]+$/.test(name)) {
      throw new KontractError("BUILD_FAILED", `'${name}' cannot be the name of a codec.`);
    }
  }
  const plan = planWire(options.types, options.entries);
  const slots = new SlotEmitter();
  const tables = new TableEmitter(slots);
  for (const planEnum of plan.enums) tables.enumeration(planEnum);
  for (const table of plan.tables) tables.table(table);
  const entries = plan.entries.map(({ name, root }) =>
    `export function encode_${name}(value) {\n  return ${slots.use("encodeWith")}(${
      slots.writer(root)
    }, value);\n}\nexport function decode_${name}(bytes) {\n  return ${slots.use("decodeWith")}(${
      slots.reader(root)
    }, bytes);\n}\n`
  );
  return slots.text(options.runtime, entries);
}
