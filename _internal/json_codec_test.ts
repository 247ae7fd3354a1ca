import assert from "node:assert/strict";
import { KontractError } from "./errors.ts";
import type { Found } from "./found.ts";
import { jsonDecode, jsonEncode } from "./json_codec.ts";
import type { Shape } from "./shape.ts";
import { Random } from "./testing/random.ts";
import { RANDOM_TYPES, randomShape, randomValue, SHAPE_KINDS } from "./testing/random_shape.ts";

const string: Shape = { kind: "string" };
const number: Shape = { kind: "number", width: "float64" };

function refusal(shape: Shape, json: unknown): KontractError {
  try {
    jsonDecode(shape, RANDOM_TYPES, json);
  } catch (error) {
    assert.ok(error instanceof KontractError, String(error));
    assert.equal(error.code, "VALIDATION");
    return error;
  }
  assert.fail(`accepted ${JSON.stringify(json)}`);
}

for (const kind of SHAPE_KINDS) {
  Deno.test(`a value of kind ${kind} survives JSON text`, () => {
    const random = new Random(100 + SHAPE_KINDS.indexOf(kind));
    for (let i = 0; i < 150; i++) {
      const shape = randomShape(random, 3, kind);
      for (let j = 0; j < 4; j++) {
        const value = randomValue(random, shape, RANDOM_TYPES);
        const text = JSON.stringify(jsonEncode(shape, RANDOM_TYPES, value));
        assert.deepStrictEqual(
          jsonDecode(shape, RANDOM_TYPES, JSON.parse(text)),
          value,
          `${JSON.stringify(shape)} ${text}`,
        );
      }
    }
  });
}

Deno.test("JSON looks as a reader of the docs expects", () => {
  const cases: readonly [Shape, unknown, unknown][] = [
    [{ kind: "date" }, new Date(0), "1970-01-01T00:00:00.000Z"],
    [{ kind: "bigint", width: "big" }, -12n, "-12"],
    [{ kind: "bytes" }, Uint8Array.of(1, 2), "AQI="],
    [{ kind: "map", key: string, value: number }, new Map([["a", 1]]), [["a", 1]]],
    [{ kind: "set", element: number }, new Set([1, 2]), [1, 2]],
    [number, NaN, "NaN"],
    [number, -Infinity, "-Infinity"],
    [number, -0, "-0"],
    [{ kind: "unknown" }, { a: [1, null], b: new Date(0) }, {
      a: [1, null],
      b: { $date: "1970-01-01T00:00:00.000Z" },
    }],
    [{ kind: "unknown" }, { $gt: 5 }, { $gt: 5 }],
    [{ kind: "unknown" }, { $date: "x" }, { $object: [["$date", "x"]] }],
    [{ kind: "error" }, new KontractError("CONFLICT", "Late."), {
      code: "CONFLICT",
      message: "Late.",
    }],
  ];
  for (const [shape, value, json] of cases) {
    assert.deepStrictEqual(jsonEncode(shape, {}, value), json);
    assert.deepStrictEqual(jsonDecode(shape, {}, json), value);
  }
});

Deno.test("wrong JSON is refused with the path, the rule and what was found", () => {
  const user: Shape = {
    kind: "object",
    fields: [
      { name: "name", id: 0, shape: string, optional: false },
      { name: "age", id: 1, shape: { kind: "number", width: "uint8" }, optional: true },
    ],
  };
  const shape: Shape = {
    kind: "tuple",
    elements: [{ shape: { kind: "array", element: user }, optional: false }],
  };
  const cases: readonly [unknown, string, string, Found][] = [
    [[[{ name: "a", age: 300 }]], "[0][0].age", "an integer from 0 to 255", "number"],
    [[[{ name: "a", agee: 3 }]], "[0][0].agee", "left out: there is no such field", "extra"],
    [[[{ age: 3 }]], "[0][0].name", "present", "missing"],
    [[[{ name: null }]], "[0][0].name", "a string", "null"],
    [[], "[0]", "present", "missing"],
    [[null], "[0]", "an array", "null"],
    [[[], 1], "", "an array of at most 1", "array"],
    [{}, "", "an array", "object"],
    [[["x"]], "[0][0]", "an object", "string"],
  ];
  for (const [json, path, expected, found] of cases) {
    assert.deepEqual(refusal(shape, json).data, { path, expected, found });
  }
});

Deno.test("keys that reach a prototype are refused everywhere", () => {
  const poison = JSON.parse('{"__proto__": {"admin": true}}');
  const shapes: Shape[] = [
    { kind: "object", fields: [] },
    { kind: "record", value: { kind: "unknown" } },
    { kind: "unknown" },
    { kind: "array", element: { kind: "unknown" } },
  ];
  for (const shape of shapes) refusal(shape, shape.kind === "array" ? [poison] : poison);
  refusal({ kind: "unknown" }, { $object: [["__proto__", 1]] });
});

Deno.test("each kind refuses JSON that is not of it", () => {
  const wrong: readonly [Shape, readonly unknown[]][] = [
    [string, [1, null, "\ud800"]],
    [number, ["1", null, "nan", true]],
    [{ kind: "number", width: "int16" }, [1.5, "NaN", 40000]],
    [{ kind: "bigint", width: "int64" }, [1, "1n", "9223372036854775808", "0x1", ""]],
    [{ kind: "date" }, ["yesterday", 0, "2020-13-45", ""]],
    [{ kind: "bytes" }, ["!", 1, [1]]],
    [{ kind: "typed_array", element: "int32" }, ["AQI="]],
    [{ kind: "enum", values: ["a", 1], ids: [1, 2] }, ["1", "b"]],
    [{ kind: "set", element: number }, [[1, 1]]],
    [{ kind: "map", key: number, value: number }, [[[1, 1], [1, 2]], [[1]], {}]],
    [{ kind: "null" }, [0, "null"]],
    [{ kind: "error" }, [{ code: "NOPE", message: "" }]],
    [{ kind: "union", variants: [{ id: 1, shape: string }] }, [1, { $variant: 2, value: "a" }]],
    [{ kind: "ref", name: "Lists" }, [nest(300)]],
    [{ kind: "unknown" }, [{ $bigint: "x" }, { $date: 1 }, { $map: [1] }, nest(300)]],
  ];
  for (const [shape, values] of wrong) for (const json of values) refusal(shape, json);
});

function nest(depth: number): unknown {
  let value: unknown = [];
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

Deno.test("a cycle ends in VALIDATION", () => {
  const cycle: unknown[] = [];
  cycle.push(cycle, cycle);
  for (const shape of [{ kind: "unknown" }, { kind: "ref", name: "Lists" }] satisfies Shape[]) {
    assert.throws(() => jsonEncode(shape, RANDOM_TYPES, cycle), { code: "VALIDATION" });
  }
});

Deno.test("lenient decoding passes over unknown properties, and over nothing else", () => {
  const named = (...names: string[]): Shape => ({
    kind: "object",
    fields: names.map((name) => ({ name, shape: string, optional: false })),
  } as unknown as Shape);
  const lenient = (shape: Shape, json: unknown) => jsonDecode(shape, RANDOM_TYPES, json, true);
  assert.deepStrictEqual(lenient(named("a"), { a: "1", b: "2" }), { a: "1" });
  const proto = JSON.parse('{"a":"1","__proto__":{"c":"3"}}');
  assert.throws(() => lenient(named("a"), proto), { code: "VALIDATION" });
  assert.throws(() => lenient(named("a"), { a: 1 }), { code: "VALIDATION" });
  assert.throws(() => lenient(named("a", "b"), { a: "1" }), { code: "VALIDATION" });
  const union = {
    kind: "union",
    variants: [{ id: 0, shape: named("a") }, { id: 1, shape: named("a", "b") }],
  } as unknown as Shape;
  assert.deepStrictEqual(lenient(union, { a: "1", b: "2" }), { a: "1", b: "2" });
  assert.deepStrictEqual(lenient(union, { a: "1", z: "2" }), { a: "1" });
});
