import assert from "node:assert/strict";
import { Builder } from "flatbuffers";
import { KontractError } from "../../_internal/errors.ts";
import { mutate } from "../../_internal/testing/mutate.ts";
import { Random } from "../../_internal/testing/random.ts";
import { randomPlain } from "../../_internal/testing/random_shape.ts";
import { no } from "./failure.ts";
import { decodeValue, encodeValue, putValue } from "./value.ts";
import { attempt, encodeWith } from "./writer.ts";

const MUTATIONS = Deno.env.get("KONTRACT_LONG") === "1" ? 1_000_000 : 20_000;

function refusal(value: unknown): KontractError {
  try {
    encodeValue(value);
  } catch (error) {
    assert.ok(error instanceof KontractError, String(error));
    return error;
  }
  assert.fail("nothing was thrown");
}

Deno.test("every kind of plain value comes back equal", () => {
  const values: unknown[] = [
    undefined,
    null,
    true,
    false,
    0,
    -0,
    NaN,
    Infinity,
    -1.5e300,
    "",
    "héllo 🎉",
    "\ufeffbom",
    "x".repeat(500),
    0n,
    -1n,
    127n,
    128n,
    -128n,
    -129n,
    255n,
    2n ** 300n,
    -(2n ** 300n),
    new Date(0),
    new Date(-8.64e15),
    new Uint8Array(0),
    Uint8Array.of(1, 255),
    new Float64Array(0),
    Float32Array.of(1.5, NaN, -0).subarray(1),
    Int8Array.of(-1),
    BigUint64Array.of(2n ** 64n - 1n),
    [Uint16Array.of(1, 65535), { a: Float64Array.of(-0) }],
    [],
    [undefined, null, [1, [2]]],
    {},
    { a: undefined, "": 1, constructor: 2, toString: "x" },
    new Map<unknown, unknown>([[1, "a"], [null, { b: 2 }]]),
    new Set([1, "1", NaN]),
  ];
  for (const value of [...values, values]) {
    assert.deepStrictEqual(decodeValue(encodeValue(value)), value);
  }
  const random = new Random(3);
  for (let i = 0; i < 2000; i++) {
    const value = randomPlain(random, false, 4);
    const bytes = encodeValue(value);
    assert.deepStrictEqual(decodeValue(bytes), value);
    assert.deepStrictEqual(encodeValue(value), bytes);
  }
});

Deno.test("what is not plain data is refused with its path", () => {
  class Row {}
  const cases: readonly [unknown, string][] = [
    [{ a: [() => 1] }, "a[0]"],
    [new Map([["k", Symbol("s")]]), "[0]"],
    [{ "a b": new Row() }, '["a b"]'],
    [["ok", "\ud800"], "[1]"],
    [{ "\udfff": 1 }, '["\\udfff"]'],
    [new Date(NaN), ""],
    [{ a: new DataView(new ArrayBuffer(8)) }, "a"],
    [new Uint8ClampedArray(1), ""],
    [JSON.parse('{"x": {"__proto__": 1}}'), "x.__proto__"],
    [[new Error("x")], "[0]"],
  ];
  for (const [value, path] of cases) {
    const error = refusal(value);
    assert.equal(error.code, "VALIDATION");
    assert.equal((error.data as { path: string }).path, path);
  }
});

Deno.test("64 levels are accepted, 65 and cycles are not", () => {
  const nest = (depth: number): unknown => {
    let value: unknown = [new Date(0), new Uint8Array(1)];
    for (let i = 1; i < depth; i++) value = i % 2 ? { a: value } : [value];
    return value;
  };
  assert.deepStrictEqual(decodeValue(encodeValue(nest(64))), nest(64));
  assert.equal(refusal(nest(65)).code, "VALIDATION");
  const cycle: unknown[] = [];
  cycle.push(cycle, cycle);
  assert.equal(refusal(cycle).code, "VALIDATION");
  let shared: unknown = ["x".repeat(1000)];
  for (let i = 0; i < 40; i++) shared = [shared, shared];
  assert.equal(refusal(shared).code, "TOO_LARGE");
});

Deno.test(`${MUTATIONS} mutated values decode to plain data or RAY_DECODE`, () => {
  const random = new Random(11);
  for (let v = 0; v < 40; v++) {
    const bytes = encodeValue(randomPlain(random, false, 4));
    for (let i = 0; i < MUTATIONS / 40; i++) {
      const mutated = mutate(random, bytes);
      let value: unknown;
      try {
        value = decodeValue(mutated);
      } catch (error) {
        assert.ok(error instanceof KontractError && error.code === "RAY_DECODE", String(error));
        continue;
      }
      encodeValue(value);
    }
  }
});

Deno.test("random bytes, empty bytes and views into larger buffers are survived", () => {
  const random = new Random(12);
  for (let i = 0; i < 3000; i++) {
    const bytes = Uint8Array.from(random.list(64, () => random.oneIn(2) ? 0 : random.below(256)));
    try {
      decodeValue(bytes);
    } catch (error) {
      assert.ok(error instanceof KontractError && error.code === "RAY_DECODE");
    }
  }
  assert.throws(() => decodeValue(new Uint8Array(0)), {
    code: "RAY_DECODE",
    message: /reload the page if it is of another build/,
  });
  const message = encodeValue({ a: [1, "x"] });
  const large = new Uint8Array(message.length + 14);
  large.set(message, 7);
  assert.deepStrictEqual(decodeValue(large.subarray(7, 7 + message.length)), { a: [1, "x"] });
});

Deno.test("one wrong byte in a string's UTF-8 is RAY_DECODE, also where all other strings are ASCII", () => {
  const text = encodeValue(["plain", "text", "here"]);
  const at = text.findIndex((byte, i) => byte === 0x70 && text[i + 1] === 0x6c);
  text[at] = 0xff;
  assert.throws(() => decodeValue(text), { code: "RAY_DECODE" });
});

Deno.test("messages that share a buffer share none of its bytes", () => {
  const made = Array.from({ length: 200 }, (_, n) => {
    const value = { n, text: "x".repeat(n % 90) };
    return { value, bytes: encodeValue(value) };
  });
  assert.ok(new Set(made.map(({ bytes }) => bytes.buffer)).size < made.length);
  for (const { value, bytes } of made) {
    assert.deepEqual(decodeValue(bytes), value);
    bytes.fill(255);
  }
});

Deno.test("a small message whose buffer is transferred takes none that come later with it", () => {
  const { buffer } = encodeValue("gone");
  structuredClone(buffer, { transfer: [buffer] });
  assert.equal(decodeValue(encodeValue("later")), "later");
});

Deno.test("short strings that are not ASCII are read like long ones", () => {
  const texts = ["é", "aé", "aaaaaaaaé", "ééééééééé", "aaaaaaa\u{1f600}", "\ufeff", "\u0000\u007f"];
  for (const text of texts) assert.equal(decodeValue(encodeValue(text)), text);
  const bytes = encodeValue("éé");
  bytes[bytes.indexOf(0xc3)] = 0xff;
  assert.throws(() => decodeValue(bytes), { code: "RAY_DECODE" });
});

/** A Value table as any writer may build it; vectors that are missing are left out. */
interface Parts {
  readonly kind: number;
  readonly keys?: readonly string[];
  readonly kinds?: readonly number[];
  readonly texts?: readonly string[];
  readonly numbers?: readonly number[];
  readonly items?: readonly Parts[];
}

function built(parts: Parts): Uint8Array {
  const builder = new Builder();
  const write = ({ kind, keys, kinds, texts, numbers, items }: Parts): number => {
    const offsets = (list: readonly number[] | undefined): number => {
      if (list === undefined) return 0;
      builder.startVector(4, list.length, 4);
      for (const offset of list.toReversed()) builder.addOffset(offset);
      return builder.endVector();
    };
    const places = [
      [4, offsets(items?.map(write))],
      [5, offsets(keys?.map((key) => builder.createString(key)))],
      [6, kinds === undefined ? 0 : builder.createByteVector(new Uint8Array(kinds))],
      [7, offsets(texts?.map((text) => builder.createString(text)))],
    ];
    if (numbers !== undefined) {
      builder.startVector(8, numbers.length, 8);
      for (const number of numbers.toReversed()) builder.addFloat64(number);
      places.push([8, builder.endVector()]);
    }
    builder.startObject(9);
    builder.addFieldInt8(0, kind, 0);
    for (const [id, at] of places) if (at !== 0) builder.addFieldOffset(id!, at!, 0);
    return builder.endObject();
  };
  builder.finish(write(parts));
  return builder.asUint8Array().slice();
}

const [ARRAY, OBJECT, PACKED_ARRAY, PACKED_OBJECT] = [10, 11, 14, 15];

Deno.test("packed and unpacked forms of another writer are read alike", () => {
  const items = [{ kind: 2 }, { kind: 4 }];
  const packed = { kinds: [6, 5, 0, 4, 1], texts: ["t"], numbers: [-0], items: [{ kind: 3 }] };
  const keys = ["a", "b", "c", "d", "e"];
  assert.deepStrictEqual(decodeValue(built({ kind: ARRAY, items })), [null, true]);
  assert.deepStrictEqual(decodeValue(built({ kind: OBJECT, items, keys: ["x", "y"] })), {
    x: null,
    y: true,
  });
  const values = ["t", -0, false, true, undefined];
  assert.deepStrictEqual(decodeValue(built({ kind: PACKED_ARRAY, ...packed })), values);
  assert.deepStrictEqual(
    decodeValue(built({ kind: PACKED_OBJECT, ...packed, keys })),
    Object.fromEntries(keys.map((key, at) => [key, values[at]])),
  );
  const empty = { kinds: [], texts: [], numbers: [], items: [] };
  assert.deepStrictEqual(decodeValue(built({ kind: PACKED_ARRAY, ...empty })), []);
});

Deno.test("a packed table whose vectors do not fit each other is RAY_DECODE", () => {
  const wrong: readonly Parts[] = [
    { kind: PACKED_ARRAY },
    { kind: PACKED_ARRAY, kinds: [6] },
    { kind: PACKED_ARRAY, kinds: [5], texts: ["a"] },
    { kind: PACKED_ARRAY, kinds: [0], items: [] },
    { kind: PACKED_ARRAY, kinds: [6], texts: ["a", "left over"] },
    { kind: PACKED_ARRAY, kinds: [4], numbers: [1] },
    { kind: PACKED_ARRAY, kinds: [4], items: [{ kind: 4 }] },
    ...[7, 8, 9, 10, 14, 16, 255].map((kind) => ({ kind: PACKED_ARRAY, kinds: [kind] })),
    { kind: PACKED_OBJECT, kinds: [4] },
    { kind: PACKED_OBJECT, kinds: [4], keys: [] },
    { kind: PACKED_OBJECT, kinds: [4], keys: ["a", "b"] },
    { kind: PACKED_OBJECT, kinds: [4, 4], keys: ["a", "a"] },
    { kind: PACKED_OBJECT, kinds: [4], keys: ["__proto__"] },
    { kind: PACKED_OBJECT, kinds: Array(9).fill(4), keys: [..."abcdefgha"] },
    { kind: OBJECT, keys: ["a"], items: [] },
    { kind: 16 },
  ];
  for (const parts of wrong) {
    assert.throws(() => decodeValue(built(parts)), { code: "RAY_DECODE" }, JSON.stringify(parts));
  }
});

Deno.test("rows with the same keys name them once, and few of another kind between them change nothing", () => {
  const row = (n: number): unknown => ({ identity: n, description: `row ${n}`, done: n % 2 === 0 });
  const rows = Array.from({ length: 100 }, (_, n) => n % 7 === 3 ? { other: [n] } : row(n));
  const bytes = encodeValue(rows);
  assert.deepStrictEqual(decodeValue(bytes), rows);
  const text = new TextDecoder("latin1").decode(bytes);
  assert.equal(text.split("description").length, 2);
  const long = ["a".repeat(100), "b".repeat(100)];
  const turns = Array.from({ length: 1000 }, (_, n) => ({ [long[n % 2]!]: true }));
  assert.deepStrictEqual(decodeValue(encodeValue(turns)), turns);
  const many = Array.from({ length: 50 }, (_, n) => ({ [`key${n % 20}`]: n }));
  assert.deepStrictEqual(decodeValue(encodeValue(many)), many);
});

Deno.test("a list of names that very many objects share costs a decoder its reading once", () => {
  const names = Array.from({ length: 2000 }, (_, n) => `k${n}`);
  const wide = Object.fromEntries(names.map((name) => [name, true]));
  const bytes = encodeValue(Array(100).fill(wide));
  assert.ok(bytes.length < 260_000);
  assert.deepStrictEqual((decodeValue(bytes) as unknown[]).length, 100);
  const fewer = bytes.slice();
  const at = fewer.findIndex((_, i) =>
    new DataView(fewer.buffer, i, 4).getUint32(0, true) === 2000
  );
  new DataView(fewer.buffer).setUint32(at, 1, true); // the kinds of the first row
  assert.throws(() => decodeValue(fewer), { code: "RAY_DECODE" });
});

Deno.test("what a getter does while it is read is refused or does not matter", () => {
  const list: unknown[] = [];
  list.push({
    get grow() {
      list.push(1, "more");
      return 1;
    },
  }, "x");
  assert.deepStrictEqual(decodeValue(encodeValue(list)), [{ grow: 1 }, "x"]);
  const shrinking: Record<string, unknown> = {
    get a() {
      delete shrinking.b;
      return 1;
    },
    b: 2,
  };
  assert.equal(refusal(shrinking).code, "VALIDATION");
});

Deno.test("an attempt at a variant that failed leaves none of its names behind", () => {
  const write = (value: unknown, slot: number): void => {
    const variants = [(each: unknown, at: number): void => {
      putValue(each, at);
      no("another variant", each);
    }, (each: unknown, at: number): void => putValue(["other", each], at)];
    if (attempt(value, slot, variants) < 0) no("a variant", value);
  };
  const value = { name: "x", inner: { name: 1 } };
  const bytes = encodeWith(write, value);
  assert.deepStrictEqual(decodeValue(bytes), ["other", value]);
  assert.deepStrictEqual(bytes, encodeValue(["other", value]));
  const hostile = JSON.parse('{"__proto__": 1}');
  assert.throws(() => encodeWith(write, hostile), { code: "VALIDATION" });
});
