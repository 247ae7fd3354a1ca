/** Values of every kind in a row: what comes back, and what is refused before it is stored. */
import assert from "node:assert/strict";
import { Random } from "../_internal/testing/random.ts";
import {
  RANDOM_TYPES,
  randomShape,
  randomValue,
  SHAPE_KINDS,
} from "../_internal/testing/random_shape.ts";
import type { Shape, ShapeTable } from "../_internal/shape.ts";
import { decodeValue, encodeValue, type Json } from "./row_codec.ts";

const string: Shape = { kind: "string" };
const number = (width: string): Shape => ({ kind: "number", width }) as Shape;
const bigint = (width: string): Shape => ({ kind: "bigint", width }) as Shape;
const typed = (element: string): Shape => ({ kind: "typed_array", element }) as Shape;
const union = (...shapes: Shape[]): Shape => ({
  kind: "union",
  variants: shapes.map((shape, i) => ({ id: i + 1, shape })),
});
const object = (
  fields: Readonly<Record<string, Shape>>,
  optional: readonly string[] = [],
): Shape => ({
  kind: "object",
  fields: Object.entries(fields).map(([name, shape], id) => ({
    ...{ name, id, shape, optional: optional.includes(name) },
  })),
});
const literal = (value: string): Shape => ({ kind: "literal", value });
const tree: Shape = {
  kind: "union",
  discriminator: "is",
  variants: [
    { id: 1, tag: "leaf", shape: object({ is: literal("leaf"), at: { kind: "date" } }) },
    {
      id: 2,
      tag: "node",
      shape: object({
        is: literal("node"),
        of: { kind: "array", element: { kind: "ref", name: "Tree" } },
      }),
    },
  ],
};
const TYPES: ShapeTable = { Tree: tree };
const pair: Shape = {
  kind: "tuple",
  elements: [{ shape: string, optional: false }, { shape: bigint("int64"), optional: true }],
};
const many: Shape = {
  ...pair,
  elements: [{ shape: string, optional: false }],
  rest: number("uint8"),
};
const maybe: Shape = { kind: "nullable", inner: string, null: true, undefined: false };
const lone = "\ud800";

/** A shape, values of it, and values that are none. */
const CASES: readonly (readonly [Shape, readonly unknown[], readonly unknown[]])[] = [
  [string, ["", "ü🔑", "'; --"], [5, null, undefined, "a\0b", lone, {}]],
  [{ kind: "string", pattern: "^id_" }, ["id_1"], ["1", ""]],
  [number("float64"), [0, 1.5, 1e308, -1e-300], [NaN, Infinity, "1", null, 1n]],
  [number("float32"), [0.5, 16777216], [NaN, "0.5"]],
  [number("int8"), [-128, 127], [128, -129, 0.5]],
  [number("uint8"), [0, 255], [-1, 256]],
  [number("uint32"), [4294967295], [4294967296, -1]],
  [bigint("int64"), [2n ** 63n - 1n, -(2n ** 63n)], [2n ** 63n, 5, "5"]],
  [bigint("uint64"), [0n, 2n ** 64n - 1n], [-1n, 2n ** 64n]],
  [bigint("big"), [10n ** 40n, -1n], [1, null]],
  [{ kind: "boolean" }, [true, false], [0, "true", null]],
  [{ kind: "null" }, [null], [undefined, 0]],
  [{ kind: "undefined" }, [undefined], [null, 0]],
  [literal("a"), ["a"], ["b", null]],
  [{ kind: "enum", values: ["a", 1, true], ids: [1, 2, 3] }, ["a", 1, true], ["1", false, null]],
  [{ kind: "date" }, [new Date(0), new Date(-8.64e15)], [new Date(NaN), 0, "1970-01-01"]],
  [{ kind: "bytes" }, [new Uint8Array(), new Uint8Array([0, 255])], [
    "AA==",
    [0],
    new Int8Array(1),
  ]],
  [typed("int8"), [new Int8Array([-1, 1])], [new Uint8Array(1), [1]]],
  [typed("int16"), [new Int16Array([-300])], [new Uint16Array(1)]],
  [typed("uint16"), [new Uint16Array([65535])], [new Int16Array(1)]],
  [typed("int32"), [new Int32Array([-70000])], [new Uint32Array(1)]],
  [typed("uint32"), [new Uint32Array([4294967295])], [new Int32Array(1)]],
  [typed("float32"), [new Float32Array([0.5, NaN])], [new Float64Array(1)]],
  [typed("float64"), [new Float64Array([0.1, -0])], [new Float32Array(1)]],
  [typed("int64"), [new BigInt64Array([-1n])], [new BigUint64Array(1)]],
  [typed("uint64"), [new BigUint64Array([2n ** 64n - 1n])], [new BigInt64Array(1)]],
  [{ kind: "array", element: string }, [[], ["a"]], [["a", 1], "a", { 0: "a" }]],
  [{ kind: "set", element: number("int8") }, [new Set([1, 2])], [[1], new Set(["a"])]],
  [
    { kind: "map", key: { kind: "date" }, value: string },
    [new Map([[new Date(0), "a"]]), new Map()],
    [{ a: "a" }, new Map([["a", "a"]]), new Map([[new Date(0), 1]])],
  ],
  [
    { kind: "record", value: bigint("int64") },
    [{}, { "": 1n, constructor: 2n }],
    [{ a: 1 }, [1n], null, { [lone]: 1n }],
  ],
  [pair, [["a"], ["a", 1n], ["a", undefined]], [[], ["a", 1], ["a", 1n, 2n], "a"]],
  [many, [["a"], ["a", 1, 2]], [[], ["a", "b"], ["a", 256]]],
  [maybe, [null, "a"], [undefined, 1]],
  [{ ...maybe, null: false, undefined: true } as Shape, [undefined, "a"], [null, 1]],
  [
    object({ a: string, b: { kind: "date" } }, ["b"]),
    [{ a: "x" }, { a: "x", b: new Date(1) }],
    [{}, { a: "x", c: 1 }, { a: 1 }, null, ["x"], { a: "x", b: null }],
  ],
  [union(string, number("float64")), ["a", 1], [true, null]],
  [union({ kind: "date" }, string, { kind: "bytes" }), [new Date(5), "1970", new Uint8Array(2)], [
    5,
  ]],
  [
    { kind: "ref", name: "Tree" },
    [{ is: "leaf", at: new Date(3) }, { is: "node", of: [{ is: "node", of: [] }] }],
    [{ is: "other" }, { is: "node" }, { is: "node", of: [{ is: "leaf" }] }, "leaf", null],
  ],
  [
    { kind: "unknown" },
    [null, true, "a", 1.5, [1, ["x"]], { a: { b: null } }],
    [1n, new Date(0), new Uint8Array(1), NaN, "\0", () => 1, [Symbol("x")], { a: lone }],
  ],
];

/** As PostgreSQL gives it back. */
const stored = (json: Json): Json => JSON.parse(JSON.stringify(json));

Deno.test("a value of each kind comes back as it was", () => {
  for (const [shape, values] of CASES) {
    for (const value of values) {
      const json = stored(encodeValue(shape, value, "field", TYPES));
      assert.deepEqual(decodeValue(shape, json, TYPES), value, JSON.stringify([shape, json]));
    }
  }
});

Deno.test("what is no value of its kind is VALIDATION, by the place it stands at", () => {
  for (const [n, [shape, , wrong]] of CASES.entries()) {
    for (const [at, value] of wrong.entries()) {
      const encode = (): Json =>
        encodeValue({ kind: "array", element: shape }, [value], "row.field", TYPES);
      assert.throws(
        encode,
        (error: Error & { code?: string; data?: { path?: string } }) =>
          error.code === "VALIDATION" && error.data?.path?.startsWith("row.field.0") === true,
        `case ${n}, value ${at}`,
      );
    }
  }
});

Deno.test("nesting without end is VALIDATION, and not the end of the stack", () => {
  let value: unknown = [];
  for (let i = 0; i < 100_000; i++) value = [value];
  const lists: ShapeTable = { L: { kind: "array", element: { kind: "ref", name: "L" } } };
  for (const shape of [{ kind: "unknown" }, { kind: "ref", name: "L" }] as const) {
    assert.throws(() => encodeValue(shape, value, "field", lists), { code: "VALIDATION" });
  }
});

const STORED = SHAPE_KINDS.filter((kind) => !["unknown", "error", "file", "stream"].includes(kind));

Deno.test("what was read and is stored again is the same JSON, for random shapes and values", () => {
  const random = new Random(7);
  let checked = 0;
  for (let run = 0; run < 1500; run++) {
    const shape = randomShape(random, 2, random.pick(STORED));
    const value = randomValue(random, shape, RANDOM_TYPES);
    let json: Json;
    try {
      json = stored(encodeValue(shape, value, "field", RANDOM_TYPES));
    } catch (error) {
      // Texts that PostgreSQL cannot hold are among the random ones, and errors and files.
      assert.equal((error as { code?: string }).code, "VALIDATION");
      continue;
    }
    checked++;
    const read = decodeValue(shape, json, RANDOM_TYPES);
    assert.deepEqual(stored(encodeValue(shape, read, "field", RANDOM_TYPES)), json);
  }
  assert.ok(checked > 500, `${checked} values were stored`);
});
