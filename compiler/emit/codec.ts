/**
 * Emits the codec of an app's shapes: an ES module of plain functions, one writer and one reader per
 * table, in FlatBuffers wire format. No `eval`, no reflection at run time, the same text for the same
 * input.
 *
 * A named type may stand in another module: then its functions are imported from there.
 *
 * A table is written parent first: presence mask, then the inline part, then its children behind it.
 * Errors collect their path while they unwind, so the good path carries nothing.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { outsideName, SlotEmitter } from "./codec_slots.ts";
import { TableEmitter } from "./codec_tables.ts";
import { type PlanEnum, type PlanTable, planWire, tablesFrom } from "./wire_plan.ts";

/** What is encoded or decoded. */
export interface CodecEntry {
  /** `[A-Za-z0-9_$]+`. */
  readonly name: string;
  readonly shape: Shape;
  /** The only direction that is needed; both where missing. */
  readonly only?: "encode" | "decode";
}

/** What {@link emitCodecModule} needs. */
export interface CodecModuleOptions {
  /** Named types. */
  readonly types: ShapeTable;
  readonly entries: readonly CodecEntry[];
  /** Named tables and enums whose code this module gives to others. */
  readonly shared?: readonly string[];
  /** Named tables and enums whose code stands elsewhere, with the specifier of its module. */
  readonly outside?: ReadonlyMap<string, string>;
  /** Specifier of `protocol/codec/mod.ts`. */
  readonly runtime: string;
}

/**
 * Text of a module that exports `encode_<name>` and `decode_<name>` for every entry.
 *
 * @throws {KontractError} `BUILD_FAILED` for a name or a shape that cannot be emitted.
 */
export function emitCodecModule(options: CodecModuleOptions): string {
  const { types, entries, shared = [], outside = new Map(), runtime } = options;
  for (const { name } of entries) {
    if (!/^[A-Za-z0-9_$]+$/.test(name)) {
      throw new KontractError("BUILD_FAILED", `'${name}' cannot be the name of a codec.`);
    }
  }
  const plan = planWire(types, entries, { named: shared, outside: new Set(outside.keys()) });
  const slots = new SlotEmitter(outside);
  const tables = new TableEmitter(slots, types);
  const named = [...plan.named.values()].filter(isTable);
  const from = (other: "encode" | "decode"): ReadonlySet<PlanTable> =>
    tablesFrom([
      ...named,
      ...plan.entries.filter((_, i) => entries[i]!.only !== other).map(({ root }) => root),
    ]);
  const written = from("decode"), read = from("encode");
  for (const table of plan.tables) {
    tables.table(table, { written: written.has(table), read: read.has(table) });
  }
  const functions = plan.entries.flatMap(({ name, root }, i) => [
    entries[i]!.only === "decode"
      ? ""
      : `export function encode_${name}(value) {\n  return ${slots.use("encodeWith")}(${
        slots.writer(root)
      }, value);\n}\n`,
    entries[i]!.only === "encode"
      ? ""
      : `export function decode_${name}(bytes) {\n  return ${slots.use("decodeWith")}(${
        slots.reader(root)
      }, bytes);\n}\n`,
  ]).filter((text) => text !== "");
  const given = [...plan.named].flatMap(([name, of]) =>
    isTable(of)
      ? [
        `${slots.writer(of)} as ${outsideName("w", name)}`,
        `${slots.reader(of)} as ${outsideName("r", name)}`,
      ]
      : (["E", "T"] as const).map((kind) =>
        `${slots.enumeration(of, kind)} as ${outsideName(kind, name)}`
      )
  );
  const exported = given.length === 0 ? [] : [`export { ${given.join(", ")} };\n`];
  return slots.text(runtime, [...functions, ...exported]);
}

function isTable(one: PlanTable | PlanEnum): one is PlanTable {
  return "fields" in one;
}
