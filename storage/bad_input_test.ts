/** Bad input of every kind: a typed error, nothing written, the one connection as good as before. */
import assert from "node:assert/strict";
import { KontractError } from "../_internal/errors.ts";
import { testDatabase } from "../tests/postgres.ts";
import type { StorageSession } from "./contract.ts";
import { storageEngine } from "./engine.ts";
import { exec, query } from "./exec/testing/query.ts";
import { postgresDatabase } from "./postgres_database.ts";
import {
  ACCOUNTS,
  type AnyStorage,
  call,
  CountingDatabase,
  field,
  run,
  string,
  table,
  THINGS,
} from "./testing/tables.ts";

const MIB = 2 ** 20;
const LONG = "ä".repeat(40);
/** Names that a table class could have, and PostgreSQL has opinions on. */
const ODD_NAMES = [
  'quote"d',
  "it's",
  "a.b",
  "null",
  "ÄÖ λ 名",
  "a;--",
  "$1",
  `${LONG}1`,
  `${LONG}2`,
];
const ODD = table("odd", ODD_NAMES.map((name) => field(name, string, { default: "" })), {
  indexes: [{ fields: ['quote"d'], unique: true, oracle: false }, {
    fields: [`${LONG}1`],
    unique: false,
    oracle: false,
  }],
});
const ODD_QUERY = query({ a: string, b: string })`
  select "quote""d" as a, "it's" as b from odd where "a;--" = ${string}`;

const tables = [ACCOUNTS, THINGS, ODD];

function code(...expected: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof KontractError, String(error));
    assert.ok(expected.includes(error.code), `${error.code}: ${error.message}`);
    assert.doesNotMatch(error.message, /kontract_private|select |postgres/i);
    return true;
  };
}

Deno.test({
  name: "bad input is refused with a type, undone, and forgotten",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(tables, {}, "shared", [ODD_QUERY]);
    const database = new CountingDatabase(postgresDatabase({ url: db.gatewayUrl, max: 1 }));
    const engine = storageEngine({ database, tables, execs: [ODD_QUERY] });
    const session: StorageSession = await engine.openSession(await db.token({ owner: "alice" }));
    const [first] = await db.admin`
      select pid from pg_stat_activity where usename = ${db.gatewayRole}`;

    /** The call fails so, what it wrote before is gone, and the connection is the same and works. */
    const refused = async (
      what: string,
      codes: readonly string[],
      work: (s: AnyStorage) => PromiseLike<unknown>,
    ): Promise<void> => {
      await assert.rejects(
        run(engine, call(session, { retry: 0 }), async (s) => {
          await s.accounts!.set("undone", { balance: 1 });
          await work(s);
        }),
        code(...codes),
        what,
      );
      const { value } = await run(
        engine,
        call(session, { readOnly: true }),
        (s) => s.accounts!.get("undone"),
      );
      assert.equal(value, null, what);
    };

    try {
      await t.step(
        "names with quotes, other scripts and more than 63 bytes are names",
        async () => {
          const row = Object.fromEntries(ODD_NAMES.map((name, i) => [name, `v${i}`]));
          await run(engine, call(session), (s) => s.odd!.set("k\"e'y", row));
          await run(engine, call(session), async (s) => {
            assert.deepEqual(await s.odd!.get("k\"e'y"), { id: "k\"e'y", ...row });
            for (const [name, value] of Object.entries(row)) {
              if (name.includes(".")) continue; // reaches into a nested field
              assert.equal((await s.odd!.query({ [name]: value })).length, 1, name);
              assert.equal((await s.odd!.query().orderBy(name)).length, 1, name);
              assert.equal(await s.odd!.count({ [name]: "another" }), 0, name);
            }
            assert.deepEqual(await exec(s, ODD_QUERY, "v5"), [{ a: "v0", b: "v1" }]);
          });
          await refused("a unique name", ["UNIQUE_VIOLATION"], (s) => s.odd!.set("other", row));
        },
      );

      await t.step(
        "a filter, an order or a cursor that is SQL or a prototype is refused",
        async () => {
          const names = [
            "id' or 1=1 --",
            'balance") desc; drop table x; --',
            "data->>'balance'",
            "_owner",
            "_txid",
            "__proto__",
            "constructor",
            "hasOwnProperty",
            "",
            "nul\0",
            "\ud800",
            "x".repeat(MIB),
          ];
          for (const name of names) {
            const own = JSON.parse(`{${JSON.stringify(name)}: 1}`) as Record<string, unknown>;
            await refused(`filter ${name}`, ["VALIDATION"], (s) => s.accounts!.query(own));
            await refused(`count ${name}`, ["VALIDATION"], (s) => s.accounts!.count(own));
            await refused(
              `order ${name}`,
              ["VALIDATION"],
              (s) => s.accounts!.query().orderBy(name),
            );
            await refused(`set ${name}`, ["VALIDATION"], (s) =>
              s.accounts!.set(
                "a",
                Object.defineProperty({ balance: 1 }, name, {
                  value: 1,
                  enumerable: true,
                }),
              ));
          }
          const filters: readonly unknown[] = [
            "1=1",
            ["balance"],
            7,
            { balance: { gt: "1 or 1=1" } },
            { balance: { "> 0 or": 1 } },
            { balance: { gt: {} } },
            { balance: { in: "1,2" } },
            { city: { prefix: 5 } },
            { city: { contains: ["a"] } },
            { city: { eq: "nul\0" } },
            { city: "\udc00" },
            { balance: Number.NaN },
            { balance: { lt: -Infinity } },
            JSON.parse('{"city":{"__proto__":"x"}}'),
            Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`f${i}`, 1])),
          ];
          for (const filter of filters) {
            await refused(
              JSON.stringify(filter),
              ["VALIDATION"],
              (s) => s.accounts!.query(filter as never),
            );
          }
          for (
            const cursor of [
              "",
              "1=1",
              "null",
              "[]",
              "{}",
              "W10",
              btoa('["a"]'),
              7,
              {},
              "x".repeat(MIB),
            ]
          ) {
            await refused(
              `cursor ${String(cursor).slice(0, 20)}`,
              ["VALIDATION"],
              (s) => s.accounts!.query().orderBy("balance").after(cursor as never).page(),
            );
          }
          for (const limit of [0, -1, 1.5, Number.NaN, Infinity, 10_001, "5"]) {
            await refused(
              `limit ${limit}`,
              ["VALIDATION"],
              (s) => Promise.resolve().then(() => s.accounts!.query().limit(limit as never)),
            );
          }
        },
      );

      await t.step(
        "numbers at their ends come back as they are; what is none is refused",
        async () => {
          for (const balance of [1e308, -1e308, 5e-324, 2 ** 53 + 2, -(2 ** 53), 0.1 + 0.2]) {
            await run(engine, call(session), (s) => s.accounts!.set("n", { balance }));
            const { value } = await run(engine, call(session), async (s) => [
              (await s.accounts!.get("n"))!.balance,
              (await s.accounts!.query({ balance })).length,
            ]);
            assert.deepEqual(value, [balance, 1], String(balance));
          }
          // JSON's numbers have no sign of zero.
          await run(engine, call(session), (s) => s.accounts!.set("n", { balance: -0 }));
          const zero = await run(engine, call(session), (s) => s.accounts!.get("n"));
          assert.ok(Object.is(zero.value!.balance, 0));
          await run(engine, call(session), (s) => s.accounts!.delete("n"));
          const digits = BigInt("9".repeat(20_000));
          await run(engine, call(session), (s) => s.things!.set("big", { big: digits }));
          const { value } = await run(
            engine,
            call(session),
            (s) => s.things!.query({ big: digits }),
          );
          assert.equal(value[0]!.big, digits);
          await run(engine, call(session), (s) => s.things!.delete("big"));
          for (const balance of [Number.NaN, Infinity, "1", 1n, null, [1], new Number(1)]) {
            await refused(
              `number ${String(balance)}`,
              ["VALIDATION"],
              (s) => s.accounts!.set("n", { balance }),
            );
          }
          for (const size of [2 ** 31, 0.5, -(2 ** 31) - 1]) {
            await refused(`int32 ${size}`, ["VALIDATION"], (s) => s.things!.set("n", { size }));
          }
          for (const at of [new Date(Number.NaN), "2026-01-01", 0]) {
            await refused(`date ${String(at)}`, ["VALIDATION"], (s) => s.things!.set("n", { at }));
          }
        },
      );

      await t.step("text that PostgreSQL cannot hold is refused wherever it stands", async () => {
        for (const text of ["a\0b", "\ud800", "x\udc00y"]) {
          await refused(
            "value",
            ["VALIDATION"],
            (s) => s.accounts!.set("a", { balance: 1, city: text }),
          );
          await refused("key", ["VALIDATION"], (s) => s.accounts!.get(text));
          await refused("keys", ["VALIDATION"], (s) => s.accounts!.getMany(["a", text]));
          await refused("delete", ["VALIDATION"], (s) => s.accounts!.delete(text));
          await refused("deep", ["VALIDATION"], (s) => s.things!.set("a", { any: { a: [text] } }));
          await refused("name", ["VALIDATION"], (s) => s.things!.set("a", { any: { [text]: 1 } }));
          await refused(
            "map",
            ["VALIDATION"],
            (s) => s.things!.set("a", { scores: new Map([[text, 1]]) }),
          );
        }
      });

      await t.step("a prototype's name is data or nothing", async () => {
        const any = JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}') as object;
        await run(engine, call(session), (s) => s.things!.set("__proto__", { any }));
        const { value } = await run(engine, call(session), (s) => s.things!.get("__proto__"));
        assert.deepEqual(Object.keys(value!.any as object).sort(), ["__proto__", "constructor"]);
        assert.equal(({} as { admin?: unknown }).admin, undefined);
        await run(engine, call(session), (s) => s.things!.delete("__proto__"));
        for (const name of ["__proto__", "constructor", "toString", "_users", "", "exec "]) {
          await refused(
            `table ${name}`,
            ["SCHEMA_MISMATCH"],
            (s) => Promise.resolve().then(() => s[name]!.get("a")),
          );
        }
      });

      await t.step("nesting has an end, a circle too", async () => {
        const deep = (levels: number): unknown => {
          let value: unknown = 1;
          for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value };
          return value;
        };
        await run(engine, call(session), (s) => s.things!.set("deep", { any: deep(50) }));
        const circle: Record<string, unknown> = {};
        circle.self = circle;
        for (const any of [deep(100), deep(100_000), circle]) {
          await refused("deep", ["VALIDATION"], (s) => s.things!.set("a", { any }));
        }
      });

      await t.step(
        "1 MiB is a value; what is larger than a row or a commit never leaves",
        async () => {
          const note = "m".repeat(MIB);
          await run(engine, call(session), (s) => s.things!.set("mib", { note }));
          const { value } = await run(engine, call(session), (s) => s.things!.get("mib"));
          assert.equal(value!.note, note);
          await run(engine, call(session), (s) => s.things!.delete("mib"));
          database.sent.length = 0;
          const huge = "h".repeat(100 * MIB);
          await assert.rejects(
            run(engine, call(session), (s) => s.accounts!.set("huge", { balance: 1, city: huge })),
            code("TOO_LARGE"),
          );
          await assert.rejects(
            run(engine, call(session), (s) => s.accounts!.get(huge)),
            code("VALIDATION"),
          );
          await assert.rejects(
            run(engine, call(session), async (s) => {
              for (let i = 0; i < 12; i++) {
                await s.accounts!.set(`r${i}`, { balance: 1, city: "c".repeat(3 * MIB) });
              }
            }),
            code("TOO_LARGE"),
          );
          // What counts are bytes, three of them for each of these.
          const wide = "名".repeat(1.5 * MIB);
          await assert.rejects(
            run(engine, call(session), (s) => s.things!.set("wide", { note: wide })),
            code("TOO_LARGE"),
          );
          for (const others of [[], ["a"]]) {
            await assert.rejects(
              run(engine, call(session), async (s) => {
                for (const id of others) await s.accounts!.set(id, { balance: 1 });
                for (let i = 0; i < 9; i++) {
                  await s.things!.set(`w${i}`, { note: wide.slice(0, MIB * 1.3) });
                }
              }),
              code("TOO_LARGE"),
            );
          }
          await assert.rejects(
            run(engine, call(session), (s) => s.accounts!.query({ city: wide })),
            code("TOO_LARGE"),
          );
          assert.deepEqual(database.sent, []);
          // A long index entry is PostgreSQL's to refuse.
          const noise = Array.from({ length: 2000 }, () => crypto.randomUUID()).join("");
          await refused(
            "an index entry",
            ["TOO_LARGE", "VALIDATION"],
            (s) => s.accounts!.set("long", { balance: 1, email: noise }),
          );
        },
      );

      await t.step("all of this on one connection", async () => {
        const rows = await db.admin`
          select pid, state from pg_stat_activity where usename = ${db.gatewayRole}`;
        assert.deepEqual(rows.map(({ pid, state }) => [pid, state]), [[first!.pid, "idle"]]);
      });

      await t.step(
        "another role, another database and missing functions are told apart from bugs",
        async () => {
          const stranger = `${db.gatewayRole}_stranger`;
          await db.admin.unsafe(`create role ${stranger} login password 'x'`);
          const wrong = async (
            url: string | URL,
            codes: readonly string[],
            what: string,
          ): Promise<void> => {
            const other = postgresDatabase({ url: String(url), max: 1 });
            try {
              const there = storageEngine({ database: other, tables });
              await assert.rejects(
                run(there, call(session, { retry: 0 }), (s) => s.accounts!.get("a")),
                code(...codes),
                what,
              );
              await assert.rejects(
                run(
                  there,
                  call(session, { retry: 0 }),
                  (s) => s.accounts!.set("a", { balance: 1 }),
                ),
                code(...codes),
                what,
              );
            } finally {
              await other.close();
            }
          };
          const url = new URL(db.gatewayUrl);
          try {
            url.username = stranger;
            url.password = "x";
            await wrong(url, ["SCHEMA_MISMATCH", "DATABASE_UNAVAILABLE"], "a role without rights");
            url.password = "y";
            await wrong(url, ["DATABASE_UNAVAILABLE"], "a wrong password");
            const empty = new URL(db.adminUrl);
            empty.pathname = "/postgres";
            await wrong(empty, ["SCHEMA_MISMATCH"], "a database without Kontract");
            await db.admin.begin(async (tx) => {
              await tx.unsafe("drop schema kontract cascade");
            });
            await wrong(db.gatewayUrl, ["SCHEMA_MISMATCH"], "functions that are gone");
          } finally {
            await db.admin.unsafe(`drop role ${stranger}`);
          }
        },
      );
    } finally {
      await database.close();
      await db.close();
    }
  },
});
