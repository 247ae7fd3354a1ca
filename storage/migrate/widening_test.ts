import assert from "node:assert/strict";
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { Random } from "../../_internal/testing/random.ts";
import { RANDOM_TYPES, randomShape, randomValue } from "../../_internal/testing/random_shape.ts";
import { testDatabase } from "../../tests/postgres.ts";
import { decodeValue, encodeValue, type Json } from "../row_codec.ts";
import { field, string, table } from "../testing/tables.ts";
import { rowCheck } from "./value_check.ts";
import { fits } from "./widening.ts";

type Union = Extract<Shape, { kind: "union" }>;
type Property = { readonly [name: string]: Shape };

const number: Shape = { kind: "number", width: "float64" };
const boolean: Shape = { kind: "boolean" };
const date: Shape = { kind: "date" };
const orNull = (inner: Shape): Shape => ({ kind: "nullable", inner, null: true, undefined: false });
const orMissing = (inner: Shape): Shape => (
  { kind: "nullable", inner, null: false, undefined: true }
);
const oneOf = (...values: string[]): Shape => ({
  kind: "enum",
  values,
  ids: values.map((_, i) => i),
});
const whole = (width: "uint8" | "int16" | "float32"): Shape => ({ kind: "number", width });
const array = (element: Shape): Shape => ({ kind: "array", element });
const ref = (name: string): Shape => ({ kind: "ref", name });

function object(required: Property, optional: Property = {}): Shape {
  const fields = [
    ...Object.entries(required).map(([name, shape]) => ({ name, shape, optional: false })),
    ...Object.entries(optional).map(([name, shape]) => ({ name, shape, optional: true })),
  ];
  return { kind: "object", fields: fields.map((entry, id) => ({ ...entry, id })) };
}

function union(...shapes: Shape[]): Union {
  return { kind: "union", variants: shapes.map((shape, i) => ({ id: i + 1, shape })) };
}

function tagged(variants: { readonly [tag: string]: Property }): Union {
  return {
    kind: "union",
    discriminator: "kind",
    variants: Object.entries(variants).map(([tag, fields], i) => ({
      id: i + 1,
      tag,
      shape: object({ kind: { kind: "literal", value: tag }, ...fields }),
    })),
  };
}

function tuple(required: Shape[], optional: Shape[] = [], rest?: Shape): Shape {
  return {
    kind: "tuple",
    elements: [
      ...required.map((shape) => ({ shape, optional: false })),
      ...optional.map((shape) => ({ shape, optional: true })),
    ],
    ...(rest === undefined ? {} : { rest }),
  };
}

const TREE = (label: Shape): ShapeTable => ({
  Tree: object({ label, left: orNull(ref("Tree")), right: orNull(ref("Tree")) }),
});

/** Pairs of types; the second holds each value of the first, and not the other way round. */
const WIDER: readonly (readonly [string, Shape, Shape])[] = [
  ["null allowed", string, orNull(string)],
  ["a further word", oneOf("a", "b"), oneOf("a", "b", "c")],
  ["any text", oneOf("a", "b"), string],
  ["text of a form", { kind: "string", pattern: "^id_" }, string],
  ["more bits", whole("uint8"), whole("int16")],
  ["any number", whole("float32"), number],
  ["any bigint", { kind: "bigint", width: "int64" }, { kind: "bigint", width: "big" }],
  ["a second type", string, union(string, number)],
  ["a third type", union(string, number), union(number, string, boolean)],
  ["a further kind", tagged({ dot: {} }), tagged({ dot: {}, line: { length: number } })],
  ["one kind of many", tagged({ dot: {} }).variants[0]!.shape, tagged({ dot: {}, line: {} })],
  ["a kind grows", tagged({ dot: { x: whole("uint8") } }), tagged({ dot: { x: number } })],
  ["stored by id", union(string, date), union(string, date, boolean)],
  ["an optional property", object({ a: string }), object({ a: string }, { b: number })],
  ["optional from now on", object({ a: string, b: number }), object({ a: string }, { b: number })],
  ["elements", array(oneOf("a")), array(string)],
  ["values", { kind: "record", value: oneOf("a") }, { kind: "record", value: string }],
  [
    "entries",
    { kind: "map", key: oneOf("a"), value: whole("uint8") },
    { kind: "map", key: string, value: number },
  ],
  ["a further element", tuple([string]), tuple([string], [number])],
  ["any number of elements", tuple([string], [number]), tuple([string], [number], number)],
  ["plain JSON", orNull(string), orNull({ kind: "unknown" })],
];

Deno.test("a type that got wider fits the one it was, and never the other way round", () => {
  for (const [what, old, next] of WIDER) {
    assert.ok(fits(old, old, {}, {}), what);
    assert.ok(fits(old, next, {}, {}), what);
    assert.ok(!fits(next, old, {}, {}), `not back: ${what}`);
  }
});

Deno.test("a type that is stored in another form does not fit, however much it allows", () => {
  for (
    const [old, next] of [
      [string, union(string, date)],
      [union(string, number), union(string, date, number)],
      [date, string],
      [date, { kind: "unknown" }],
      [{ kind: "bigint", width: "big" }, string],
      [{ kind: "set", element: string }, array(string)],
      [{ kind: "literal", value: 300 }, whole("uint8")],
      [{ kind: "literal", value: "x" }, { kind: "string", pattern: "^id_" }],
      [tuple([string], [number]), tuple([string], [], number)],
      [tuple([string], [], number), tuple([string], [string])],
      [orNull(string), orMissing(string)],
      [orMissing(string), orNull(string)],
      [orMissing(string), { kind: "nullable", inner: string, null: true, undefined: true }],
      [{ kind: "undefined" }, { kind: "nullable", inner: string, null: true, undefined: true }],
      [tuple([orNull(string)]), tuple([], [orNull(string)])],
      [tuple([], [], orNull(string)), tuple([], [orNull(string)], orNull(string))],
      [ref("Gone"), ref("Other")],
    ] as [Shape, Shape][]
  ) assert.ok(!fits(old, next, {}, {}), JSON.stringify([old, next]));
});

Deno.test("a named type is compared as it was and as it is, wherever it stands", () => {
  const at: Shape[] = [
    ref("Tree"),
    array(ref("Tree")),
    { kind: "map", key: string, value: ref("Tree") },
    tuple([ref("Tree")]),
    union(date, ref("Tree")),
    orNull(ref("Tree")),
  ];
  for (const shape of at) {
    assert.ok(fits(shape, shape, TREE(string), TREE(string)));
    assert.ok(fits(shape, shape, TREE(oneOf("a")), TREE(string)));
    assert.ok(!fits(shape, shape, TREE(string), TREE(number)), JSON.stringify(shape));
  }
});

Deno.test("types that refer to each other many times are compared once", () => {
  const names = Array.from({ length: 40 }, (_, i) => `T${i}`);
  const types = (leaf: Shape): ShapeTable =>
    Object.fromEntries(names.map((name) => [
      name,
      object({ leaf }, Object.fromEntries(names.map((to) => [to, ref(to)]))),
    ]));
  assert.ok(fits(ref("T0"), ref("T0"), types(oneOf("a")), types(string)));
  assert.ok(!fits(ref("T0"), ref("T0"), types(string), types(number)));
});

/** A shape near `shape`: a part of it made another. */
function changed(random: Random, shape: Shape): Shape {
  const part = (inner: Shape): Shape => changed(random, inner);
  switch (random.below(4)) {
    case 0:
      return orNull(shape);
    case 1:
      return random.oneIn(4) ? randomShape(random, 2) : shape;
  }
  switch (shape.kind) {
    case "array":
    case "set":
      return { ...shape, element: part(shape.element) };
    case "record":
      return { ...shape, value: part(shape.value) };
    case "map":
      return { ...shape, key: part(shape.key), value: part(shape.value) };
    case "nullable":
      return random.oneIn(3) ? shape.inner : { ...shape, inner: part(shape.inner) };
    case "object":
      return {
        ...shape,
        fields: shape.fields.map((entry) => ({
          ...entry,
          shape: random.oneIn(3) ? part(entry.shape) : entry.shape,
          optional: random.oneIn(4) ? !entry.optional : entry.optional,
        })),
      };
    case "tuple":
      return {
        ...shape,
        elements: shape.elements.map((element) => ({ ...element, shape: part(element.shape) })),
        ...(random.oneIn(2) ? { rest: part(shape.rest ?? string) } : {}),
      };
    case "union":
      return {
        ...shape,
        variants: [
          ...shape.variants.map((variant) => ({ ...variant, shape: part(variant.shape) })),
          ...(random.oneIn(2) || shape.discriminator !== undefined
            ? []
            : [{ id: 90, shape: date }]),
        ],
      };
    case "enum":
      return random.oneIn(2) ? string : { ...shape, values: [...shape.values, "more"] };
    case "number":
      return random.pick([number, whole("int16")]);
    default:
      return shape;
  }
}

Deno.test("what fits is read, kept by a rewrite and let pass by the database, for random types and values", async () => {
  const random = new Random(20261129);
  const sentences: string[] = [];
  let pairs = 0;
  while (pairs < 400) {
    const old = randomShape(random, 3);
    const next = changed(random, old);
    if (next === old || !fits(old, next, RANDOM_TYPES, RANDOM_TYPES)) continue;
    pairs++;
    const declared = table("t", [field("v", next)]);
    for (let i = 0; i < 3; i++) {
      let stored: Json;
      try {
        stored = encodeValue(old, randomValue(random, old, RANDOM_TYPES), "v", RANDOM_TYPES);
      } catch {
        continue; // text that PostgreSQL cannot hold, an error: nothing is stored
      }
      const value = decodeValue(next, stored, RANDOM_TYPES);
      assert.deepEqual(value, decodeValue(old, stored, RANDOM_TYPES), JSON.stringify([old, next]));
      const again = encodeValue(next, value, "v", RANDOM_TYPES);
      assert.deepEqual(again, stored, JSON.stringify([old, next]));
      sentences.push(
        `select (${rowCheck(declared, RANDOM_TYPES)}) as ok, $a$${JSON.stringify(old)} -> ${
          JSON.stringify(next)
        }: ${JSON.stringify(stored)}$a$ as what
           from (select 'a' as id, $a$${
          JSON.stringify({ id: "a", v: stored })
        }$a$::jsonb as data) w`,
      );
    }
  }
  assert.ok(sentences.length > 600, `${sentences.length}`);
  const db = await testDatabase([]);
  try {
    for (let at = 0; at < sentences.length; at += 100) {
      const rows = await db.admin.unsafe(sentences.slice(at, at + 100).join(" union all "));
      for (const { ok, what } of rows) assert.equal(ok, true, what);
    }
  } finally {
    await db.close();
  }
});
