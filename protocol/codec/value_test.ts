import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import { mutate } from "../../_internal/testing/mutate.ts";
import { Random } from "../../_internal/testing/random.ts";
import { randomPlain } from "../../_internal/testing/random_shape.ts";
import { decodeValue, encodeValue } from "./value.ts";

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
    [JSON.parse('{"x": {"__proto__": 1}}'), "x.__proto__"],
    [[new Error("x")], "[0]"],
    [new Float64Array(1), ""],
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
  assert.throws(() => decodeValue(new Uint8Array(0)), { code: "RAY_DECODE" });
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
