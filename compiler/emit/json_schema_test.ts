/** Schemas against the codec they describe, with an independent judge: what it writes is valid by them. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import { jsonDecode, jsonEncode } from "../../_internal/json_codec.ts";
import { Random } from "../../_internal/testing/random.ts";
import {
  RANDOM_TYPES,
  randomShape,
  randomValue,
  SHAPE_KINDS,
} from "../../_internal/testing/random_shape.ts";
import type { Shape } from "../../_internal/shape.ts";
import { jsonSchema, schemaName } from "./json_schema.ts";

const schemas = Object.fromEntries(
  Object.entries(RANDOM_TYPES).map(([name, shape]) => [
    schemaName(name),
    jsonSchema(shape, RANDOM_TYPES),
  ]),
);

/** A judge of values of a shape. */
function judge(shape: Shape): (value: unknown) => string {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, ownProperties: true });
  const validate = ajv.compile({ ...jsonSchema(shape, RANDOM_TYPES), components: { schemas } });
  return (value) => validate(value) ? "" : ajv.errorsText(validate.errors);
}

/** What the schema leaves out by design: numbers without a word in JSON, and undefined beside null. */
const LEFT_OUT = /"(?:NaN|-?Infinity|-0)"|"\$undefined"/;

for (const kind of SHAPE_KINDS) {
  Deno.test(`the JSON of kind ${kind} is valid by its schema`, () => {
    const random = new Random(SHAPE_KINDS.indexOf(kind) + 101);
    let judged = 0;
    for (let s = 0; s < 12; s++) {
      const shape = randomShape(random, 3, kind);
      const problems = judge(shape);
      for (let i = 0; i < 12; i++) {
        const json = jsonEncode(shape, RANDOM_TYPES, randomValue(random, shape, RANDOM_TYPES));
        const text = JSON.stringify(json);
        if (text === undefined || LEFT_OUT.test(text)) continue;
        judged++;
        assert.equal(problems(JSON.parse(text)), "", `${text} by ${JSON.stringify(shape)}`);
      }
    }
    assert.ok(judged > 0 || kind === "undefined", "nothing was judged");
  });
}

Deno.test("what the schema of an object refuses, the codec refuses too", () => {
  const shape: Shape = {
    kind: "object",
    fields: [
      { name: "n", id: 0, shape: { kind: "number", width: "uint8" }, optional: false },
      { name: "s", id: 1, shape: { kind: "string", pattern: "^a+$" }, optional: true },
      { name: "e", id: 2, shape: { kind: "enum", values: ["x", 2], ids: [1, 2] }, optional: true },
    ],
  };
  const problems = judge(shape);
  const wrong = [
    {},
    { n: 256 },
    { n: 1.5 },
    { n: 1, s: "b" },
    { n: 1, e: "y" },
    { n: 1, x: 1 },
    [],
    5,
  ];
  for (const value of wrong) {
    assert.notEqual(problems(value), "", JSON.stringify(value));
    assert.throws(() => jsonDecode(shape, RANDOM_TYPES, value), { code: "VALIDATION" });
  }
  for (const value of [{ n: 255 }, { n: 0, s: "aa", e: 2 }]) {
    assert.equal(problems(value), "");
    jsonDecode(shape, RANDOM_TYPES, value);
  }
});
