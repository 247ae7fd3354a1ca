import assert from "node:assert/strict";
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { testDatabase } from "../../tests/postgres.ts";
import { encodeValue } from "../row_codec.ts";
import { field, number, string, table } from "../testing/tables.ts";

const optional = (name: string, id: number, shape: Shape) => ({ name, id, shape, optional: true });
const required = (name: string, id: number, shape: Shape) => ({ name, id, shape, optional: false });
const object = (...fields: ReturnType<typeof required>[]): Shape => ({ kind: "object", fields });
const literal = (value: string): Shape => ({ kind: "literal", value });
const date: Shape = { kind: "date" };

const TYPES: ShapeTable = {
  Tree: {
    kind: "union",
    discriminator: "kind",
    variants: [
      { id: 1, tag: "leaf", shape: object(required("kind", 1, literal("leaf"))) },
      {
        id: 2,
        tag: "node",
        shape: object(
          required("kind", 1, literal("node")),
          required("children", 2, { kind: "array", element: { kind: "ref", name: "Tree" } }),
        ),
      },
    ],
  },
};

/** A shape, values of it, and JSON that is none. */
const CASES: readonly (readonly [Shape, readonly unknown[], readonly unknown[]])[] = [
  [
    { kind: "union", variants: [{ id: 1, shape: string }, { id: 2, shape: number }] },
    ["a", 1],
    [true, [1, "a"], {}],
  ],
  [
    { kind: "union", variants: [{ id: 1, shape: date }, { id: 2, shape: string }] },
    [new Date(0), "a"],
    ["a", [3, "a"], [2, 1], [2], {}],
  ],
  [
    { kind: "ref", name: "Tree" },
    [{ kind: "leaf" }, { kind: "node", children: [{ kind: "leaf" }] }],
    [{ kind: "other" }, { kind: "node" }, { kind: "node", children: [{ kind: "none" }] }, "leaf"],
  ],
  [
    { kind: "map", key: string, value: number },
    [new Map([["a", 1]]), new Map()],
    [[["a"]], [["a", "b"]], [[1, 1]], { a: 1 }],
  ],
  [
    {
      kind: "tuple",
      elements: [{ shape: string, optional: false }, { shape: number, optional: true }],
    },
    [["a"], ["a", 1], ["a", undefined]],
    [[], [1], ["a", "b"], ["a", 1, 2], "a"],
  ],
  [
    { kind: "tuple", elements: [{ shape: string, optional: false }], rest: number },
    [["a"], ["a", 1, 2]],
    [[], [1], ["a", "b"], ["a", 1, "b"]],
  ],
  [
    object(required("city", 1, string), optional("since", 2, date)),
    [{ city: "Ulm" }, { city: "Ulm", since: new Date(0) }],
    [{}, { city: 1 }, { city: "Ulm", since: 0 }, ["Ulm"]],
  ],
  [
    { kind: "record", value: { kind: "enum", values: ["a", 1, true], ids: [1, 2, 3] } },
    [{}, { x: "a", "it's": 1, "": true }],
    [{ x: "b" }, { x: null }, { x: "1" }, [], "a"],
  ],
  [
    { kind: "array", element: { kind: "null" } },
    [[], [null, null]],
    [[0], ["null"], [null, false], null],
  ],
];

Deno.test("the check of a table takes what the gateway writes and nothing of another type, deep inside too", async () => {
  const db = await testDatabase(
    [table("deep", CASES.map(([shape], i) => field(`f${i}`, shape, { optional: true })))],
    TYPES,
  );
  try {
    const [st] = await db.admin`select ptr from kontract.storage where id = 'deep'`;
    const accepts = async (name: string, value: unknown): Promise<boolean> => {
      const data = JSON.stringify({ id: "a", [name]: value });
      try {
        await db.admin.begin(async (tx) => {
          await tx.unsafe(
            `insert into kontract_private.${st!.ptr} (id, data, _owner, _order)
              values ('a', $1::text::jsonb, 'o', 1)`,
            [data],
          );
          throw "undone";
        });
      } catch (error) {
        if (error === "undone") return true;
        assert.equal((error as { code?: string }).code, "23514", `${data}: ${error}`);
      }
      return false;
    };
    for (const [i, [shape, good, bad]] of CASES.entries()) {
      for (const value of good) {
        const encoded = encodeValue(shape, value, "value", TYPES);
        assert.equal(await accepts(`f${i}`, encoded), true, JSON.stringify([i, encoded]));
      }
      for (const value of bad) {
        assert.equal(await accepts(`f${i}`, value), false, JSON.stringify([i, value]));
      }
    }
  } finally {
    await db.close();
  }
});

Deno.test("fields of plain types are checked under any name: what misses, what may miss, what may be null", async () => {
  const names = ["plain", "it's", 'a"b', "a\\b", "größe", "$", "a.b", "with space"];
  const db = await testDatabase([
    table("names", names.map((name) => field(name, string))),
    table("kinds", [
      field("at", date),
      field("n", number, { optional: true }),
      field("yes", { kind: "boolean" }, { default: true }),
      field("some", { kind: "nullable", inner: number, null: true, undefined: false }),
      field("none", { kind: "null" }, { optional: true }),
    ]),
  ]);
  try {
    const accepts = async (name: string, data: unknown): Promise<boolean> => {
      const place = await db.place(name);
      try {
        await db.admin.begin(async (tx) => {
          await tx.unsafe(
            `insert into ${place} (id, data, _owner, _order) values ('a', $1::text::jsonb, 'o', 1)`,
            [JSON.stringify(data)],
          );
          throw "undone";
        });
      } catch (error) {
        if (error === "undone") return true;
        assert.equal((error as { code?: string }).code, "23514", `${data}: ${error}`);
      }
      return false;
    };
    const named = { id: "a", ...Object.fromEntries(names.map((name) => [name, "x"])) };
    assert.equal(await accepts("names", named), true);
    for (const name of names) {
      const { [name]: _, ...others } = named as Record<string, unknown>;
      for (const data of [others, { ...named, [name]: 1 }, { ...named, [name]: ["x"] }]) {
        assert.equal(await accepts("names", data), false, JSON.stringify(data));
      }
    }
    const full = { id: "a", at: "2026-01-01T00:00:00.000Z", yes: true, some: 1 };
    for (const more of [{}, { n: 1 }, { some: null }, { none: null }, { yes: false }]) {
      assert.equal(await accepts("kinds", { ...full, ...more }), true, JSON.stringify(more));
    }
    const bad = [
      { n: null },
      { n: "1" },
      { n: [1] },
      { yes: null },
      { yes: [true] },
      { some: "1" },
      { some: undefined },
      { some: [null] },
      { at: null },
      { at: undefined },
      { none: 0 },
      { id: undefined },
      { id: "b" },
      { other: 1 },
    ];
    for (const more of bad) {
      assert.equal(await accepts("kinds", { ...full, ...more }), false, JSON.stringify(more));
    }
    for (const data of [[full], []]) {
      assert.equal(await accepts("kinds", data), false, JSON.stringify(data));
    }
  } finally {
    await db.close();
  }
});
