/** A filter means the same over rows that the call has written and over rows that lie in the database. */
import assert from "node:assert/strict";
import type { Shape } from "../_internal/shape.ts";
import { testDatabase } from "../tests/postgres.ts";
import { storageEngine } from "./engine.ts";
import { postgresDatabase } from "./postgres_database.ts";
import {
  type AnyRow,
  type AnyStorage,
  call,
  field,
  index,
  number,
  run,
  string,
  table,
} from "./testing/tables.ts";

const literal = (value: string): Shape => ({ kind: "literal", value });
const object = (fields: Readonly<Record<string, Shape>>): Shape => ({
  kind: "object",
  fields: Object.entries(fields).map(([name, shape], id) => ({ name, id, shape, optional: false })),
});
const optional = { optional: true };
const ITEMS = table("items", [
  field("size", number),
  field("flag", { kind: "boolean" }, optional),
  field("level", { kind: "enum", values: ["low", "high"], ids: [1, 2] }, optional),
  field("mixed", { kind: "enum", values: ["a", 1], ids: [1, 2] }, optional),
  field("kind", literal("item"), optional),
  field("at", { kind: "date" }, optional),
  field("big", { kind: "bigint", width: "big" }, optional),
  field("tags", { kind: "array", element: string }, optional),
  field("spots", {
    kind: "set",
    element: object({ x: number, names: { kind: "array", element: string } }),
  }, optional),
  field("home", object({ city: string, deep: { kind: "record", value: number } }), optional),
  field("any", { kind: "unknown" }, optional),
  field("raw", { kind: "bytes" }, optional),
  field("wave", { kind: "typed_array", element: "float32" }, optional),
], { indexes: [index(["any"], true)] });

const ROWS: Readonly<Record<string, AnyRow>> = {
  a: {
    size: 1,
    flag: true,
    level: "low",
    mixed: "a",
    kind: "item",
    tags: ["x", "yy"],
    any: { b: 1, a: [2] },
  },
  b: {
    size: 2.5,
    flag: false,
    level: "high",
    mixed: 1,
    at: new Date(5),
    big: 10n ** 20n,
    any: "text",
    raw: new Uint8Array([208]),
    wave: new Float32Array([2]),
  },
  c: {
    size: -3,
    at: new Date(-1),
    big: -5n,
    tags: [],
    spots: new Set([{ x: 1, names: ["n", "m"] }]),
    home: { city: "Ulm", deep: { k: 1 } },
    any: null,
  },
  d: { size: 0, home: { city: "Ülm", deep: {} }, tags: ["yy"], any: [1, { b: 2 }] },
  // Of a unique value there may be many nulls.
  e: { size: 7, any: null },
};

const FILTERS: readonly AnyRow[] = [
  {},
  { size: 1 },
  { size: { gt: -3, lte: 1 } },
  { size: { ne: 1 } },
  { size: { in: [0, 2.5] } },
  { size: undefined },
  { size: { gt: undefined, lt: 0 } },
  { flag: true },
  { flag: null },
  { flag: { ne: null } },
  { level: "low" },
  { level: { prefix: "h" } },
  { level: { gt: "high" } },
  { mixed: 1 },
  { mixed: { in: ["a", 1] } },
  { kind: "item" },
  { at: { gte: new Date(-1) } },
  { big: { lt: 0n } },
  { big: 10n ** 20n },
  { tags: { contains: "yy" } },
  { tags: ["yy"] },
  { tags: { ne: ["x", "yy"] } },
  { spots: { contains: { x: 1, names: ["m", "n"] } } },
  { spots: { contains: { x: 2, names: [] } } },
  { spots: { contains: { x: 1, names: [] } } },
  { "home.city": { prefix: "Ü" } },
  { "home.city": { contains: "lm" } },
  { "home.deep.k": 1 },
  { "home.deep.k": null },
  { home: { city: "Ülm" } },
  { any: { eq: { a: [2], b: 1 } } },
  { any: { in: ["text", [1, { b: 2 }]] } },
  { any: { ne: null } },
  { any: null },
  { any: { ne: "text" } },
  { any: { in: [null, "text"] } },
  { size: { gt: 0 }, flag: true },
  { raw: new Uint8Array([208]) },
  { raw: { in: [new Uint8Array([0]), new Uint8Array([208])] } },
  { wave: new Float32Array([2]) },
  { wave: { ne: new Float32Array([2]) } },
];

const ORDERS: readonly (readonly [string, "asc" | "desc"])[] = [
  ["size", "asc"],
  ["size", "desc"],
  ["level", "asc"],
  ["big", "desc"],
  ["at", "asc"],
  ["home.city", "desc"],
];

const REFUSED: readonly ((s: AnyStorage) => PromiseLike<unknown>)[] = [
  (s) => s.items!.query({ flag: { gt: true } }),
  (s) => s.items!.query({ any: { gt: 1 } }),
  // They are stored as text of another order.
  (s) => s.items!.query({ raw: { gt: new Uint8Array([0]) } }),
  (s) => s.items!.query().orderBy("raw"),
  (s) => s.items!.query({ wave: { lte: new Float32Array([2]) } }),
  (s) => s.items!.query().orderBy("wave"),
  (s) => s.items!.query({ size: { prefix: "1" } }),
  (s) => s.items!.query({ size: { contains: 1 } }),
  (s) => s.items!.query({ size: { in: 1 } }),
  (s) => s.items!.query({ size: { in: Array(1001).fill(1) } }),
  (s) => s.items!.query({ "home.none": 1 }),
  (s) => s.items!.query({ "size.deep": 1 }),
  (s) => s.items!.query().orderBy("any"),
  (s) => s.items!.query().orderBy(5 as never),
  (s) => s.items!.query().orderBy("size", "up" as never),
  (s) => {
    let query = s.items!.query();
    for (let i = 0; i < 9; i++) query = query.orderBy("size");
    return query;
  },
];

Deno.test({
  name: "filters and orders over written and over stored rows are the same",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase([ITEMS]);
    const database = postgresDatabase({ url: db.gatewayUrl });
    try {
      const engine = storageEngine({ database, tables: [ITEMS] });
      const session = await engine.openSession(await db.token());
      const answers = async (s: AnyStorage): Promise<unknown[]> => {
        const all: unknown[] = [];
        for (const filter of FILTERS) {
          const rows = await s.items!.query(filter).orderBy("id");
          assert.equal(await s.items!.count(filter), rows.length);
          all.push([filter, rows.map(({ id }) => id)]);
        }
        for (const [name, direction] of ORDERS) {
          const rows = await s.items!.query().orderBy(name, direction).orderBy("id");
          all.push([name, direction, rows.map(({ id }) => id)]);
        }
        return all;
      };
      const written = await run(engine, call(session), async (s) => {
        for (const [id, row] of Object.entries(ROWS)) await s.items!.set(id, row);
        return await answers(s);
      });
      await t.step("each answer is the same after the commit", async () => {
        const stored = await run(engine, call(session, { readOnly: true }), answers);
        for (const [n, answer] of stored.value.entries()) {
          assert.deepEqual(written.value[n], answer);
        }
      });

      await t.step("what an operator or an order cannot mean is VALIDATION", async () => {
        for (const [n, work] of REFUSED.entries()) {
          await assert.rejects(
            run(engine, call(session, { readOnly: true }), async (s) => await work(s)),
            { code: "VALIDATION" },
            `case ${n}`,
          );
        }
      });

      await t.step(
        "a query is a promise of its rows, asked for when it is waited for",
        async () => {
          await run(engine, call(session, { readOnly: true }), async (s) => {
            let ended = 0;
            const query = s.items!.query({ size: 1 });
            assert.equal(String(query), "[object Query]");
            assert.equal((await query.finally(() => void ended++)).length, 1);
            const failed = s.items!.query({ flag: { gt: true } });
            const code = await failed.catch((error: { code: string }) => error.code);
            assert.deepEqual([code, ended], ["VALIDATION", 1]);
          });
        },
      );
    } finally {
      await database.close();
      await db.close();
    }
  },
});
