/**
 * Every kind of bad value meets every operation, in `main` and in another tenant: each gives the very value back
 * or a typed error; after an error what the call had written is gone, and the one connection goes on.
 * Bad names, orders, cursors and servers: `bad_input_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Shape } from "../_internal/shape.ts";
import { enterTenant, testDatabase } from "../tests/postgres.ts";
import type { StorageSession } from "./contract.ts";
import { storageEngine } from "./engine.ts";
import { exec, query } from "./exec/testing/query.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { DEFAULT_TENANT } from "./tenant_name.ts";
import { code } from "./testing/expect_code.ts";
import {
  type AnyStorage,
  type AnyTable,
  call,
  field,
  number,
  run,
  string,
  table,
} from "./testing/tables.ts";

const MIB = 2 ** 20;
const UNKNOWN: Shape = { kind: "unknown" };
/** A field for text, one for numbers, one for whatever JSON can hold. */
const FIELDS = { text: string, num: number, any: UNKNOWN } as const;
type Field = keyof typeof FIELDS;
const ITEMS = table(
  "items",
  Object.entries(FIELDS).map(([name, shape]) => field(name, shape, { optional: true })),
);
const EQUAL = {
  text: query({ id: string })`select id from items where text = ${string}`,
  num: query({ id: string })`select id from items where num = ${number}`,
  any: query({ id: string })`select id from items where "any" = ${UNKNOWN}`,
};
const execs = Object.values(EQUAL);

const OPERATIONS = ["get", "set", "update", "push", "query", "exec"] as const;
type Operation = (typeof OPERATIONS)[number];

/** One operation; where it is none that fails, what it stored or found is compared with the value. */
async function operate(
  s: AnyStorage,
  operation: Operation,
  name: Field,
  value: unknown,
): Promise<void> {
  const items: AnyTable = s.items!;
  const row = { [name]: value };
  switch (operation) {
    case "get":
      await items.get(value as string);
      return void await items.set(value as string, {});
    case "set":
      return void await items.set("set", row);
    case "update":
      return void await items.update("update", row);
    case "push":
      return void await items.push(row);
    case "query":
      return found(await items.query(row));
    case "exec":
      return found(await exec(s, EQUAL[name], value));
  }
}

/** By value: the rows that `set`, `update` and `push` stored. */
function found(rows: readonly unknown[]): void {
  assert.equal(rows.length, 3);
}

const BAD = "VALIDATION";
const LARGE = "TOO_LARGE";
/** In the order of {@link OPERATIONS}; where only one is given it is that of all. */
type Outcomes = readonly [string] | readonly [string, string, string, string, string, string];
const FINE: Outcomes = ["ok"];
const NEVER: Outcomes = [BAD];
/** A value, but no key. */
const NO_KEY: Outcomes = [BAD, "ok", "ok", "ok", "ok", "ok"];
/** A value, but no key and not to be filtered by. */
const WHOLE: Outcomes = [BAD, "ok", "ok", "ok", BAD, "ok"];

const VALUES: readonly (readonly [string, Field, () => unknown, Outcomes])[] = [
  ["quotes", "text", () => `it's "a" $1 \\ %s`, FINE],
  ["other scripts", "text", () => "名 λ ÄÖ \u{1f600}", FINE],
  ["more than 63 bytes", "text", () => "ä".repeat(40), FINE],
  ["SQL", "text", () => "'; drop table kontract.storage; --", FINE],
  ["a prototype's name", "text", () => "__proto__", FINE],
  ["no text", "text", () => "", NO_KEY],
  ["NUL", "text", () => "a\0b", NEVER],
  ["half a surrogate pair", "text", () => "a\ud800", NEVER],
  ["1 MiB", "text", () => "m".repeat(MIB), NO_KEY],
  ["100 MiB", "text", () => "h".repeat(100 * MIB), [BAD, LARGE, LARGE, LARGE, LARGE, LARGE]],
  ["a number for text", "text", () => 7, NEVER],
  ["NaN", "num", () => NaN, NEVER],
  ["infinity", "num", () => -Infinity, NEVER],
  ["a huge number", "num", () => -1e308, NO_KEY],
  ["a tiny number", "num", () => 5e-324, NO_KEY],
  ["an integer beyond 2^53", "num", () => 2 ** 53 + 2, NO_KEY],
  ["a bigint for a number", "num", () => 10n, NEVER],
  ["nested 50 levels", "any", () => nested(50), WHOLE],
  ["nested 100 levels", "any", () => nested(100), NEVER],
  ["nested 100,000 levels", "any", () => nested(100_000), NEVER],
  ["a circle", "any", () => circle(), NEVER],
  ["a prototype", "any", () => JSON.parse('{"__proto__":{"a":true},"constructor":1}'), WHOLE],
  ["NUL inside", "any", () => ({ a: ["x\0"] }), NEVER],
  ["NUL in a name", "any", () => ({ "x\0": 1 }), NEVER],
  ["half a pair inside", "any", () => ({ a: "\udc00" }), NEVER],
  ["NaN inside", "any", () => ({ a: NaN }), NEVER],
  ["a bigint inside", "any", () => ({ a: 1n }), NEVER],
  ["a function", "any", () => ({ a: () => 1 }), NEVER],
  ["1 MiB inside", "any", () => ({ a: "m".repeat(MIB) }), WHOLE],
  ["100 MiB inside", "any", () => ({ a: "h".repeat(100 * MIB) }), [
    BAD,
    LARGE,
    LARGE,
    LARGE,
    BAD,
    LARGE,
  ]],
];

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
}

function circle(): unknown {
  const value: Record<string, unknown> = {};
  value.self = value;
  return value;
}

Deno.test({
  name: "each bad value in each operation is given back exactly or refused with a type",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase([ITEMS], {}, "shared", execs);
    const database = postgresDatabase({ url: db.gatewayUrl, max: 1 });
    const engine = storageEngine({ database, tables: [ITEMS], execs });
    const pids = async (): Promise<readonly unknown[]> =>
      (await db.admin`select pid from pg_stat_activity where usename = ${db.gatewayRole}`)
        .map(({ pid }) => pid);
    const once = async <T>(
      session: StorageSession,
      body: (s: AnyStorage) => Promise<T>,
    ): Promise<T> => (await run(engine, call(session, { retry: 0 }), body)).value;
    try {
      for (const tenant of [DEFAULT_TENANT, "acme"]) {
        const { token } = await enterTenant(db, tenant);
        const session = await engine.openSession(await token());
        await once(session, (s) => s.items!.set("update", {}));
        const connection = await pids();
        for (const [what, name, make, outcomes] of VALUES) {
          await t.step(`${tenant}: ${what}`, async () => {
            const value = make();
            for (const [i, operation] of OPERATIONS.entries()) {
              const expected = outcomes[i] ?? outcomes[0];
              const work = once(session, async (s) => {
                await s.items!.set("before", {});
                await operate(s, operation, name, value);
              });
              if (expected === "ok") await work;
              else await assert.rejects(work, code(expected), operation);
              const left = await once(session, async (s) => {
                const before = await s.items!.get("before");
                await s.items!.delete("before");
                return before !== null;
              });
              assert.equal(left, expected === "ok", operation);
            }
            await once(session, async (s) => {
              for (const row of await s.items!.query()) {
                const stored = row.text ?? row.num ?? row.any;
                if (stored !== undefined) assert.deepEqual(stored, value);
                await s.items!.delete(row.id as string);
              }
              await s.items!.set("update", {});
            });
          });
        }
        assert.deepEqual(await pids(), connection, "the one connection");
      }
    } finally {
      await database.close();
      await db.close();
    }
  },
});
