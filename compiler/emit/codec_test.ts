import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import { jsonDecode, jsonEncode } from "../../_internal/json_codec.ts";
import type { Shape } from "../../_internal/shape.ts";
import { Random } from "../../_internal/testing/random.ts";
import {
  RANDOM_TYPES,
  randomShape,
  randomValue,
  SHAPE_KINDS,
} from "../../_internal/testing/random_shape.ts";
import { emitCodecModule } from "./codec.ts";
import { loadCodec, loadCodecs } from "./testing/load_codec.ts";

const string: Shape = { kind: "string" };
const number: Shape = { kind: "number", width: "float64" };

/** An object of required fields. */
function object(fields: Record<string, Shape>, optional: Record<string, Shape> = {}): Shape {
  const all = [...Object.entries(fields), ...Object.entries(optional)];
  return {
    kind: "object",
    fields: all.map(([name, shape], id) => ({ name, id, shape, optional: name in optional })),
  };
}

function refusal(work: () => unknown): KontractError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof KontractError, String(error));
    return error;
  }
  assert.fail("nothing was thrown");
}

for (const kind of SHAPE_KINDS) {
  Deno.test(`a value of kind ${kind} comes back equal, and its bytes are always the same`, async () => {
    const random = new Random(SHAPE_KINDS.indexOf(kind) + 1);
    const entries = Array.from({ length: 25 }, (_, i) => ({
      name: `s${i}`,
      shape: randomShape(random, 3, kind),
    }));
    const codecs = await loadCodecs(RANDOM_TYPES, entries);
    for (const { name, shape } of entries) {
      const { encode, decode } = codecs[name]!;
      for (let i = 0; i < 25; i++) {
        const value = randomValue(random, shape, RANDOM_TYPES);
        const bytes = encode(value);
        assert.deepStrictEqual(decode(bytes), value, JSON.stringify(shape));
        assert.deepStrictEqual(encode(value), bytes);
      }
    }
  });
}

Deno.test("the emitted text is the same for the same input and holds no eval", () => {
  const random = new Random(7);
  const entries = Array.from(
    { length: 30 },
    (_, i) => ({ name: `s${i}`, shape: randomShape(random) }),
  );
  const options = { types: RANDOM_TYPES, entries, runtime: "kontract/codec" };
  const text = emitCodecModule(options);
  assert.equal(emitCodecModule(structuredClone(options)), text);
  assert.doesNotMatch(text, /\beval\b|new Function/);
});

Deno.test("a value that breaks its shape is refused with its path and rule, and without the value", async () => {
  const user = object({ name: string, age: { kind: "number", width: "uint8" } });
  const { encode } = await loadCodec({
    kind: "tuple",
    elements: [{
      shape: object({ users: { kind: "array", element: user } }, {
        by: { kind: "record", value: user },
      }),
      optional: false,
    }],
  });
  const good = { name: "a", age: 1 };
  const error = refusal(() => encode([{ users: [good, { name: "s3cret", age: 256 }] }]));
  assert.equal(error.code, "VALIDATION");
  assert.equal(
    error.message,
    "'[0].users[1].age' must be an unsigned 8-bit integer: it is an integer.",
  );
  assert.deepEqual(error.data, {
    path: "[0].users[1].age",
    expected: "an unsigned 8-bit integer",
    found: "number",
  });
  const keyed = refusal(() => encode([{ users: [], by: { "a b": { name: 5, age: 1 } } }]));
  assert.equal(keyed.message, `'[0].by["a b"].name' must be a string: it is an integer.`);
  assert.equal(
    refusal(() => encode([{}])).message,
    "'[0].users' must be an array: it is undefined.",
  );
  assert.equal(refusal(() => encode(null)).message, "The value must be an array: it is null.");
});

Deno.test("each kind refuses what is not of it", async () => {
  const wrong: readonly [Shape, readonly unknown[]][] = [
    [string, [1, null, undefined, {}, "\ud800", "x".repeat(200) + "\udfff"]],
    [{ kind: "string", pattern: "^a\\d$" }, ["b1", "a11", 3]],
    [number, ["1", null, 1n, undefined, { valueOf: () => 1 }]],
    [{ kind: "number", width: "int32" }, [1.5, NaN, 2 ** 31, "1"]],
    [{ kind: "number", width: "uint32" }, [-1, 2 ** 32, Infinity]],
    [{ kind: "number", width: "int8" }, [128, -129, 0.5]],
    [{ kind: "boolean" }, [0, 1, "true", null]],
    [{ kind: "bigint", width: "int64" }, [2n ** 63n, 1, "1"]],
    [{ kind: "bigint", width: "uint64" }, [-1n, 2n ** 64n]],
    [{ kind: "bigint", width: "big" }, [1, null]],
    [{ kind: "null" }, [undefined, 0, {}]],
    [{ kind: "undefined" }, [null, 0, {}]],
    [{ kind: "literal", value: "a" }, ["b", 0]],
    [{ kind: "enum", values: ["a", 1], ids: [1, 2] }, ["1", "b", undefined]],
    [{ kind: "date" }, [new Date(NaN), 0, "2020-01-01"]],
    [{ kind: "bytes" }, [[1], new ArrayBuffer(1), new Uint16Array(1)]],
    [{ kind: "typed_array", element: "int16" }, [new Uint16Array(1), [1]]],
    [{ kind: "array", element: string }, [["a", 1], "a", { length: 0 }, new Array(2)]],
    [{ kind: "set", element: string }, [["a"], new Set([1])]],
    [{ kind: "map", key: string, value: number }, [{}, new Map([[1, 1]]), new Map([["a", "b"]])]],
    [{ kind: "record", value: number }, [
      { a: "b" },
      [1],
      null,
      JSON.parse('{"__proto__": 1}'),
    ]],
    [object({ a: string }), [{}, { a: null }, null, "a", undefined]],
    [{ kind: "nullable", inner: string, null: true, undefined: false }, [undefined, 1]],
    [{ kind: "nullable", inner: string, null: false, undefined: true }, [null, 1]],
    [{ kind: "tuple", elements: [{ shape: string, optional: false }] }, [[], ["a", "b"], {}, [1]]],
    [{ kind: "unknown" }, [() => 1, Symbol("a"), new (class A {})(), new Date(NaN), "\udc00", {
      a: new ArrayBuffer(1),
    }, new DataView(new ArrayBuffer(1))]],
    [{ kind: "error" }, [new Error("x"), { code: "INTERNAL", message: "" }]],
    [
      { kind: "union", variants: [{ id: 1, shape: string }, { id: 2, shape: number }] },
      [true, null, {}],
    ],
  ];
  for (const [shape, values] of wrong) {
    const { encode } = await loadCodec(shape);
    for (const value of values) {
      assert.equal(refusal(() => encode(value)).code, "VALIDATION", JSON.stringify(shape));
    }
  }
});

Deno.test("a union without discriminator keeps every property of the variant it matches", async () => {
  const { encode, decode } = await loadCodec({
    kind: "union",
    variants: [
      { id: 1, shape: object({ a: string }) },
      { id: 2, shape: object({ a: string, b: number }) },
      { id: 7, shape: { kind: "array", element: string } },
      { id: 8, shape: { kind: "array", element: number } },
    ],
  });
  for (const value of [{ a: "x" }, { a: "x", b: 1 }, ["a"], [1, 2]]) {
    assert.deepStrictEqual(decode(encode(value)), value);
  }
  assert.equal(refusal(() => encode([1, "a"])).code, "VALIDATION");
});

Deno.test("properties that the type does not have stay behind", async () => {
  const { encode, decode } = await loadCodec(object({ name: string }));
  assert.deepStrictEqual(decode(encode({ name: "a", passwordHash: "s" })), { name: "a" });
});

Deno.test("a cycle, and nesting beyond the limit, end in VALIDATION", async () => {
  const { encode, decode } = await loadCodec({ kind: "ref", name: "Tree" }, RANDOM_TYPES);
  const cycle: { label: string; children: unknown[] } = { label: "a", children: [] };
  cycle.children.push(cycle, cycle);
  assert.match(refusal(() => encode(cycle)).message, /nested at most 64 deep/);
  const nest = (depth: number): unknown => {
    let tree: unknown = { label: "", children: [] };
    for (let i = 1; i < depth; i++) tree = { label: "", children: [tree] };
    return tree;
  };
  assert.deepStrictEqual(decode(encode(nest(64))), nest(64));
  assert.equal(refusal(() => encode(nest(65))).code, "VALIDATION");
});

Deno.test("a value that shares sub-objects until it is huge is TOO_LARGE, not out of memory", async () => {
  const { encode } = await loadCodec({ kind: "ref", name: "Tree" }, RANDOM_TYPES);
  let tree: unknown = { label: "x".repeat(1000), children: [] };
  for (let i = 0; i < 40; i++) tree = { label: "", children: [tree, tree] };
  assert.equal(refusal(() => encode(tree)).code, "TOO_LARGE");
  const { encode: list } = await loadCodec({ kind: "array", element: string });
  const sparse: string[] = [];
  sparse.length = 2 ** 32 - 1;
  assert.equal(refusal(() => list(sparse)).code, "TOO_LARGE");
});

Deno.test("without a discriminator a value goes as what loses least of it, on the wire and in JSON", async () => {
  const array: Shape = { kind: "array", element: string };
  const record: Shape = { kind: "record", value: number };
  const map: Shape = { kind: "map", key: string, value: string };
  const cases: readonly [Shape[], unknown[]][] = [
    [[object({}, { a: string }), object({}, { b: number })], [{ a: "x" }, { b: 1 }, {}]],
    [
      [object({ a: string }, { x: number, z: number }), object({ a: string }, { y: number })],
      [{ a: "a", y: 1 }, { a: "a", x: 1, z: 2 }, { a: "a" }],
    ],
    [[object({}, { a: string }), { kind: "date" }], [new Date(1), { a: "x" }, {}]],
    [[object({ length: number }), array], [["x"], [], { length: 1 }]],
    [[object({ size: number }), map], [new Map([["a", "b"]]), { size: 1 }]],
    [[object({ byteLength: number }), { kind: "bytes" }], [Uint8Array.of(1), { byteLength: 1 }]],
    [
      [object({}, { 0: string }), {
        kind: "tuple",
        elements: [{ shape: string, optional: false }],
      }],
      [
        ["a"],
        { 0: "a" },
      ],
    ],
    [[object({}, { a: string }), record], [{ b: 1 }, { a: "x" }]],
    [[record, array], [[], ["x"], { b: 1 }]],
    ...[
      [(one: Shape): Shape => one, (one: unknown): unknown => one],
      [
        (one: Shape): Shape => ({ kind: "array", element: one }),
        (one: unknown) => [{ a: "y" }, one],
      ],
      [(one: Shape): Shape => ({ kind: "record", value: one }), (one: unknown) => ({ k: one })],
      [
        (one: Shape): Shape => ({ kind: "nullable", inner: one, null: true, undefined: false }),
        (one: unknown) => one,
      ],
      [(one: Shape): Shape => object({ deep: one }), (one: unknown) => ({ deep: one })],
    ].map(([shape, value]): [Shape[], unknown[]] => [
      [
        object({ of: (shape as (one: Shape) => Shape)(object({ a: string })) }),
        object({ of: (shape as (one: Shape) => Shape)(object({ a: string }, { b: number })) }),
      ],
      [{ a: "x" }, { a: "x", b: 1 }].map((one) => ({
        of: (value as (one: unknown) => unknown)(one),
      })),
    ]),
  ];
  for (const [shapes, values] of cases) {
    for (const order of [shapes, shapes.toReversed()]) {
      const variants = order.map((shape, i) => ({ id: i + 1, shape }));
      const union: Shape = { kind: "union", variants };
      const { encode, decode } = await loadCodec(union);
      for (const value of values) {
        assert.deepStrictEqual(decode(encode(value)), value);
        assert.deepStrictEqual(jsonDecode(union, {}, jsonEncode(union, {}, value)), value);
      }
    }
  }
  const [x, y] = [object({}, { x: number }), object({}, { y: number })] as const;
  const { encode, decode } = await loadCodec({
    kind: "union",
    variants: [{ id: 1, shape: x }, { id: 2, shape: y }],
  });
  assert.deepStrictEqual(decode(encode({ x: undefined, y: 1 })), { y: 1 }, "undefined is no loss");
});

Deno.test("variants that hold themselves are told apart by what is deep in them, in bounded time", async () => {
  const tree = (name: string, more: Record<string, Shape>): Shape =>
    object({ children: { kind: "array", element: { kind: "ref", name } } }, more);
  const types = { Plain: tree("Plain", {}), Named: tree("Named", { name: string }) };
  const union: Shape = {
    kind: "union",
    variants: [{ id: 1, shape: { kind: "ref", name: "Plain" } }, {
      id: 2,
      shape: { kind: "ref", name: "Named" },
    }],
  };
  const { encode, decode } = await loadCodec(union, types);
  const value = { children: [{ children: [] }, { children: [{ children: [], name: "deep" }] }] };
  assert.deepStrictEqual(decode(encode(value)), value);
  assert.deepStrictEqual(jsonDecode(union, types, jsonEncode(union, types, value)), value);
  const cycle: { children: unknown[] } = { children: [] };
  cycle.children.push(cycle);
  assert.equal(refusal(() => encode(cycle)).code, "VALIDATION");
  assert.equal(refusal(() => jsonEncode(union, types, cycle)).code, "VALIDATION");
});

Deno.test("backtracking over union variants is bounded", async () => {
  const node = (leaf: Shape): Shape => object({ next: { kind: "ref", name: "Any" } }, { leaf });
  const types = {
    Any: {
      kind: "union",
      variants: [{ id: 1, shape: node(string) }, { id: 2, shape: node(number) }, {
        id: 3,
        shape: { kind: "boolean" },
      }],
    },
  } as const satisfies Record<string, Shape>;
  const { encode } = await loadCodec({ kind: "ref", name: "Any" }, types);
  let value: unknown = "neither";
  for (let i = 0; i < 30; i++) value = { next: value };
  assert.match(refusal(() => encode(value)).message, /discriminator/);
});

Deno.test("a message never carries bytes of an earlier one", async () => {
  const { encode, decode } = await loadCodec(
    object({ a: string }, { b: { kind: "bytes" }, c: number, d: { kind: "boolean" } }),
  );
  const before = encode({ a: "x" });
  encode({ a: "é".repeat(50), b: new Uint8Array(500).fill(0xaa), c: -1.1, d: true });
  refusal(() => encode({ a: "é".repeat(300), b: 3 }));
  assert.deepStrictEqual(encode({ a: "x" }), before);
  assert.deepStrictEqual(decode(before), { a: "x" });
});

Deno.test("a getter that encodes while its object is encoded is refused, and nothing breaks", async () => {
  const { encode, decode } = await loadCodec(object({ a: string, b: string }));
  const sly = {
    a: "x",
    get b(): string {
      encode({ a: "1", b: "2" });
      return "y";
    },
  };
  assert.equal(refusal(() => encode(sly)).code, "VALIDATION");
  const throwing = {
    a: "x",
    get b(): string {
      throw new TypeError("inner");
    },
  };
  assert.equal(refusal(() => encode(throwing)).code, "VALIDATION");
  assert.deepStrictEqual(decode(encode({ a: "x", b: "y" })), { a: "x", b: "y" });
});

Deno.test("bytes and typed arrays are copies on both sides", async () => {
  const { encode, decode } = await loadCodec(object({ a: { kind: "bytes" } }));
  const source = Uint8Array.of(1, 2, 3);
  const message = encode({ a: source });
  source[0] = 9;
  const first = decode(message) as { a: Uint8Array };
  first.a[1] = 9;
  message.fill(0, message.length - 2);
  assert.deepStrictEqual([...first.a], [1, 9, 3]);
});

Deno.test("files travel as name, type and bytes", async () => {
  const { encode, decode } = await loadCodec({ kind: "file", of: "File" });
  const file = decode(
    encode({ name: "a.txt", type: "text/plain", bytes: Uint8Array.of(104, 105) }),
  );
  assert.ok(file instanceof File);
  assert.equal(file.name, "a.txt");
  assert.equal(file.type, "text/plain");
  assert.equal(await file.text(), "hi");
  const { readFiles } = await import(new URL("../../protocol/codec/mod.ts", import.meta.url).href);
  await readFiles({ deep: [new Map([["file", file]])] });
  assert.equal(await (decode(encode(file)) as File).text(), "hi");
});

Deno.test("what is no file is refused in the same words on the wire and in JSON", async () => {
  const shape: Shape = { kind: "file", of: "File" };
  const { encode } = await loadCodec(shape);
  const cases = [
    [new File(["x"], "b"), "a file whose bytes were read", "object"],
    [{ name: "a.txt" }, "a file whose bytes were read", "object"],
    [undefined, "a file", "missing"],
    ["text", "a file", "string"],
  ] as const;
  for (const [value, expected, found] of cases) {
    for (const work of [encode, (one: unknown) => jsonEncode(shape, {}, one)]) {
      const { code, data } = refusal(() => work(value));
      assert.deepEqual([code, data], ["VALIDATION", { path: "", expected, found }]);
    }
  }
});

Deno.test("old and new builds talk: fields come and go, the rest stays", async () => {
  const field = (name: string, id: number, shape: Shape, optional = false) => ({
    name,
    id,
    shape,
    optional,
  });
  const before = await loadCodec({
    kind: "object",
    fields: [field("a", 0, string), field("b", 1, number, true)],
  });
  const after = await loadCodec({
    kind: "object",
    fields: [
      field("a", 0, string),
      field("z", 2, { kind: "nullable", inner: string, null: true, undefined: false }, true),
      field("c", 3, { kind: "array", element: string }, true),
    ],
  });
  assert.deepStrictEqual(after.decode(before.encode({ a: "x", b: 1 })), { a: "x" });
  assert.deepStrictEqual(before.decode(after.encode({ a: "x", z: null, c: ["y"] })), { a: "x" });
  const strict = await loadCodec({
    kind: "object",
    fields: [field("a", 0, string), field("b", 1, number)],
  });
  assert.equal(refusal(() => strict.decode(before.encode({ a: "x" }))).code, "RAY_DECODE");
  const roles = (
    values: string[],
    ids: number[],
  ): Promise<{ encode(v: unknown): Uint8Array; decode(b: Uint8Array): unknown }> =>
    loadCodec({ kind: "enum", values, ids });
  const [old, renewed] = [await roles(["a", "b"], [1, 2]), await roles(["b", "c"], [2, 3])];
  assert.equal(renewed.decode(old.encode("b")), "b");
  assert.equal(refusal(() => renewed.decode(old.encode("a"))).code, "RAY_DECODE");
  assert.equal(refusal(() => old.decode(renewed.encode("c"))).code, "RAY_DECODE");
});

Deno.test("arguments may gain optional parameters on either side", async () => {
  const required = { shape: string, optional: false };
  const optional = { shape: number, optional: true };
  const one = await loadCodec({ kind: "tuple", elements: [required] });
  const two = await loadCodec({ kind: "tuple", elements: [required, optional] });
  assert.deepStrictEqual(two.decode(one.encode(["a"])), ["a"]);
  assert.deepStrictEqual(one.decode(two.encode(["a", 1])), ["a"]);
});

Deno.test("what cannot be emitted is a build error", () => {
  const emit = (shape: Shape, name = "it"): KontractError =>
    refusal(() => emitCodecModule({ types: {}, entries: [{ name, shape }], runtime: "r" }));
  const variants = [{ id: 256, shape: string }];
  for (
    const shape of [
      { kind: "stream", element: string },
      { kind: "ref", name: "Nowhere" },
      { kind: "ref", name: "toString" },
      { kind: "union", variants },
      { kind: "enum", values: ["a"], ids: [65536] },
      object(JSON.parse('{"__proto__": {"kind": "string"}}')),
    ] satisfies Shape[]
  ) assert.equal(emit(shape).code, "BUILD_FAILED");
  assert.equal(emit(string, "a-b").code, "BUILD_FAILED");
});
