/**
 * Fuzz of generated decoders. `KONTRACT_LONG=1` runs 10⁶ mutations per kind of shape; the normal run is
 * a short one with the same seeds.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import type { Shape } from "../../_internal/shape.ts";
import { mutate } from "../../_internal/testing/mutate.ts";
import { Random } from "../../_internal/testing/random.ts";
import {
  RANDOM_TYPES,
  randomShape,
  randomValue,
  SHAPE_KINDS,
} from "../../_internal/testing/random_shape.ts";
import { loadCodec, loadCodecs, type LoadedCodec } from "./testing/load_codec.ts";

const LONG = Deno.env.get("KONTRACT_LONG") === "1";
const MUTATIONS = LONG ? 1_000_000 : 20_000;
const SHAPES = 20;
const VALUES = 10;

/** Decodes; the only failure allowed is RAY_DECODE. True where a value came out. */
function survives({ encode, decode }: LoadedCodec, bytes: Uint8Array, what: string): boolean {
  let value: unknown;
  try {
    value = decode(bytes);
  } catch (error) {
    if (error instanceof KontractError && error.code === "RAY_DECODE") return false;
    throw new Error(`${what}: ${bytes.toHex()}`, { cause: error });
  }
  // The decoder is the type check: whatever it lets through is a value of the type.
  try {
    encode(value);
  } catch (error) {
    throw new Error(`${what} decodes to no value of its type: ${bytes.toHex()}`, { cause: error });
  }
  return true;
}

for (const kind of SHAPE_KINDS) {
  Deno.test(`${MUTATIONS} mutated messages of kind ${kind} give a value of the type or RAY_DECODE`, async () => {
    const random = new Random(900 + SHAPE_KINDS.indexOf(kind));
    const entries = Array.from({ length: SHAPES }, (_, i) => ({
      name: `s${i}`,
      shape: randomShape(random, 3, kind),
    }));
    const codecs = await loadCodecs(RANDOM_TYPES, entries);
    for (const { name, shape } of entries) {
      const codec = codecs[name]!;
      for (let v = 0; v < VALUES; v++) {
        const bytes = codec.encode(randomValue(random, shape, RANDOM_TYPES));
        for (let i = 0; i < MUTATIONS / SHAPES / VALUES; i++) {
          survives(codec, mutate(random, bytes), JSON.stringify(shape));
        }
      }
    }
  });
}

Deno.test("every prefix of a message, and every single bit flip, is survived", async () => {
  const shape: Shape = { kind: "ref", name: "Tree" };
  const codec = await loadCodec(shape, RANDOM_TYPES);
  const value = { label: "é", children: [{ label: "a", children: [] }], parent: null };
  const bytes = codec.encode(value);
  for (let n = 0; n < bytes.length; n++) {
    // Only padding may be cut without loss.
    if (survives(codec, bytes.subarray(0, n), "prefix")) {
      assert.deepStrictEqual(codec.decode(bytes.subarray(0, n)), value);
    }
  }
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    survives(codec, flipped, "bit flip");
  }
});

Deno.test("a message of a few kilobytes whose lists share their items cannot multiply", async () => {
  const codec = await loadCodec({ kind: "ref", name: "Lists" }, RANDOM_TYPES);
  // A box table per level; its vector's elements all point to the next level's table.
  const levels = 40;
  const fan = 16;
  const size = 8 + 8 + levels * (8 + 4 + 4 * fan) + 64;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const tableAt = (level: number): number => 16 + level * (8 + 4 + 4 * fan);
  view.setUint32(0, tableAt(0), true);
  view.setUint16(8, 8, true); // vtable: size 8, inline 8, field 1 at 4
  view.setUint16(10, 8, true);
  view.setUint16(14, 4, true);
  for (let level = 0; level < levels; level++) {
    const table = tableAt(level);
    const vector = table + 8;
    view.setInt32(table, table - 8, true);
    view.setUint32(table + 4, 4, true);
    view.setUint32(vector, level === levels - 1 ? 0 : fan, true);
    for (let i = 0; i < fan; i++) {
      const slot = vector + 4 + 4 * i;
      view.setUint32(slot, tableAt(level + 1) - slot, true);
    }
  }
  assert.equal(survives(codec, bytes, "shared"), false);
  view.setUint32(tableAt(2) + 8, 0, true); // only two levels: 1 + 16 lists, well within the budget
  assert.equal(survives(codec, bytes, "shared"), true);
});

Deno.test("a claimed length costs nothing before its bytes are there", async () => {
  for (
    const shape of [
      { kind: "bytes" },
      { kind: "array", element: { kind: "number", width: "float64" } },
      { kind: "string" },
      { kind: "bigint", width: "big" },
      { kind: "typed_array", element: "float64" },
    ] satisfies Shape[]
  ) {
    const codec = await loadCodec(shape);
    const value = {
      bytes: new Uint8Array(3),
      array: [1],
      string: "é",
      bigint: 5n,
      typed_array: new Float64Array(1),
    }[shape.kind];
    const bytes = codec.encode(value);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at + 4 <= bytes.length; at += 4) {
      for (const claim of [0xffffffff, 0x7fffffff, 0x20000000, bytes.length]) {
        const before = view.getUint32(at, true);
        view.setUint32(at, claim, true);
        survives(codec, bytes, shape.kind);
        view.setUint32(at, before, true);
      }
    }
  }
});
