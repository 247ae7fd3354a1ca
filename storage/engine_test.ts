import assert from "node:assert/strict";
import type postgres from "postgres";
import type { KontractError } from "../_internal/errors.ts";
import { enterTenant, suiteTenant, testDatabase } from "../tests/postgres.ts";
import type { StorageSession } from "./contract.ts";
import { SqlError, type SqlParam } from "./database.ts";
import { storageEngine } from "./engine.ts";
import { literal } from "./migrate/definer.ts";
import { tableLock } from "./migrate/lock_keys.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { getManyStatement, getStatement, type ReadStatement } from "./read_statement.ts";
import { statementText } from "./sql/registry.ts";
import { tableKey } from "./table_key.ts";
import { DEFAULT_TENANT, statementOf } from "./tenant_name.ts";
import { code } from "./testing/expect_code.ts";
import {
  ACCOUNTS,
  type AnyStorage,
  call,
  CountingDatabase,
  field,
  NOTES,
  PEOPLE,
  run,
  string,
  table,
  THINGS,
} from "./testing/tables.ts";

/** Their site is only read. PostgreSQL keeps an object's keys in an order of its own, shorter ones first. */
const SHOPS = table("shops", [
  field("name", string),
  field("site", {
    kind: "object",
    fields: [
      { name: "street", id: 0, shape: string, optional: false },
      { name: "zip", id: 1, shape: string, optional: false },
    ],
  }, { perm: 4, default: { street: "Hafengasse", zip: "89073" } }),
]);

const tables = [ACCOUNTS, NOTES, PEOPLE, SHOPS, THINGS];
const tenant = suiteTenant(import.meta);
const db = await enterTenant(await testDatabase(tables), tenant);
const database = new CountingDatabase(postgresDatabase({ url: db.gatewayUrl, max: 8 }));
const engine = storageEngine({ database, tables });

const login = async (owner = "alice", system = false): Promise<StorageSession> =>
  await engine.openSession(await db.token({ owner, system }));
const alice = await login();
const [GET, PUT] = tenant === DEFAULT_TENANT
  ? [`get:${tableKey("accounts")}`, `put:${tableKey("accounts")}`]
  : ["tenant:get", "tenant:commit"];

Deno.test({
  name: `storage engine, tenant ${tenant}`,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    try {
      await test("a read costs one round trip, a write one more", async () => {
        await run(engine, call(alice), (s) => s.accounts!.set("trip", { balance: 1 }));
        database.sent.length = 0;
        await run(engine, call(alice, { readOnly: true }), (s) => s.accounts!.get("trip"));
        assert.deepEqual(database.sent, [GET]);
        database.sent.length = 0;
        await run(engine, call(alice), async (s) => {
          const row = await s.accounts!.get("trip");
          await s.accounts!.update("trip", { balance: Number(row!.balance) + 1 });
          await s.accounts!.get("trip");
        });
        assert.deepEqual(database.sent, [GET, PUT]);
        database.sent.length = 0;
        await run(engine, call(alice), (s) => s.accounts!.set("trip", { balance: 9 }));
        assert.deepEqual(database.sent, [PUT]);
        database.sent.length = 0;
        await run(engine, call(alice), async (s) => {
          for (const row of await s.accounts!.query({ city: "Ulm" })) {
            await s.accounts!.update(String(row.id), { balance: 5 });
          }
        });
        assert.deepEqual(
          database.sent,
          ["query", "commit"].map((name) => statementOf(tenant, name)),
        );
      });

      await test("a read assigns no transaction id", async () => {
        const [get, getMany] = [
          getStatement(tenant, "accounts", "trip"),
          getManyStatement(tenant, "accounts", ["trip", "none"]),
        ];
        const selection = JSON.stringify({ where: [], order: [], limit: 9, exclude: [] });
        const reads: readonly ReadStatement[] = [
          get,
          getMany,
          ["query", ["accounts", selection]],
          ["count", ["accounts", selection]],
        ];
        const assigned = async (name: string, params: readonly SqlParam[]): Promise<boolean> =>
          await db.admin.begin(async (tx) => {
            await tx.unsafe(statementText(name)!, params as postgres.ParameterOrJSON<never>[]);
            const [row] = await tx`select pg_current_xact_id_if_assigned() is not null as yes`;
            return row!.yes as boolean;
          }) as boolean;
        for (const [name, rest] of reads) {
          const params = [alice.sid, 7, null, null, null, null, null, null, ...rest];
          assert.equal(await assigned(name, params), false, name);
        }
        assert.equal(await assigned("changes", [alice.sid, "accounts", "[]", null, 5]), false);
        assert.equal(await assigned("check_session", [alice.sid]), false);
      });

      await test("a database session lasts twice as long as the longest call", async () => {
        const [opened] = await db
          .admin`select floor(extract(epoch from now()) * 1000)::float8 as at`;
        const session = await engine.openSession(await db.token({ owner: "lasting" }));
        assert.ok(session.expiresAt >= Number(opened!.at) + 2 * 900_000);
      });

      await test("a lock that somebody squats on delays a commit, not for ever, and no read", async () => {
        const release = Promise.withResolvers<void>();
        const held = Promise.withResolvers<void>();
        const squatter = db.admin.begin(async (tx) => {
          await tx.unsafe(
            `select pg_advisory_xact_lock(${tableLock(literal(tenant), "'accounts'")})`,
          );
          held.resolve();
          await release.promise;
        });
        await held.promise;
        const set = (): Promise<unknown> =>
          run(engine, call(alice, { retry: 0 }), (s) => s.accounts!.set("squat", { balance: 1 }));
        await assert.rejects(set(), {
          code: "CONFLICT",
          data: { table: "accounts", key: "squat" },
        });
        const several = run(engine, call(alice, { retry: 0 }), async (s) => {
          for (const id of ["squat", "squatter"]) await s.accounts!.set(id, { balance: 1 });
        });
        await assert.rejects(several, { code: "CONFLICT", data: { table: "accounts" } });
        const across = run(engine, call(alice, { retry: 0 }), async (s) => {
          await s.notes!.set("squat", { text: "a" });
          await s.accounts!.set("squat", { balance: 1 });
        });
        await assert.rejects(across, {
          code: "CONFLICT",
          message: "Somebody else holds rows of table 'notes' or 'accounts'.",
        });
        await run(engine, call(alice, { readOnly: true }), (s) => s.accounts!.get("trip"));
        release.resolve();
        await squatter;
        await set();
        await run(engine, call(alice), (s) => s.accounts!.delete("squat"));
      });

      await test("set answers with the stored row: defaults filled in, key included", async () => {
        const { value } = await run(
          engine,
          call(alice),
          (s) => s.accounts!.set("d", { balance: 2 }),
        );
        assert.deepEqual(value, { id: "d", balance: 2, city: "Ulm" });
        const again = await run(engine, call(alice), (s) => s.accounts!.get("d"));
        assert.deepEqual(again.value, value);
      });

      await test("reads of one call share a snapshot whatever commits meanwhile", async () => {
        await run(engine, call(alice), async (s) => {
          await s.accounts!.set("x", { balance: 1 });
          await s.accounts!.set("y", { balance: 1 });
        });
        const { value } = await run(engine, call(alice, { readOnly: true }), async (s) => {
          const x = await s.accounts!.get("x");
          await run(engine, call(alice), async (other) => {
            await other.accounts!.update("x", { balance: 2 });
            await other.accounts!.update("y", { balance: 2 });
            await other.accounts!.set("z", { balance: 2 });
          });
          return [
            x!.balance,
            (await s.accounts!.get("y"))!.balance,
            await s.accounts!.get("z"),
            await s.accounts!.count({ balance: { eq: 2 } }) < 3,
            (await s.accounts!.query({ balance: 1 })).map((row) => row.id).sort(),
          ];
        });
        assert.deepEqual(value.slice(0, 3), [1, 1, null]);
        assert.deepEqual(value[4], ["x", "y"]);
      });

      await test("a call sees its own writes in get, query, count, first and iteration", async () => {
        await run(engine, call(alice), async (s) => {
          await s.accounts!.set("w1", { balance: 10, city: "Wels" });
          await s.accounts!.set("w2", { balance: 20, city: "Wels" });
        });
        await run(engine, call(alice), async (s) => {
          await s.accounts!.set("w3", { balance: 15, city: "Wels" });
          await s.accounts!.delete("w1");
          await s.accounts!.update("w2", { balance: 5 });
          assert.equal(await s.accounts!.get("w1"), null);
          const rows = await s.accounts!.query({ city: "Wels" }).orderBy("balance").limit(5);
          assert.deepEqual(rows.map((row) => [row.id, row.balance]), [["w2", 5], ["w3", 15]]);
          assert.equal(await s.accounts!.count({ city: "Wels" }), 2);
          assert.equal((await s.accounts!.query({ city: "Wels" }).first())!.id, "w2");
          const seen: unknown[] = [];
          for await (const row of s.accounts!.query({ city: "Wels" })) seen.push(row.id);
          assert.deepEqual(seen, ["w2", "w3"]);
        });
      });

      await test("a conflicting call runs again and loses nothing", async () => {
        await run(engine, call(alice), (s) => s.accounts!.set("c", { balance: 0 }));
        const outcomes = await Promise.all(
          Array.from({ length: 16 }, () =>
            run(engine, call(alice, { retry: 200 }), async (s) => {
              const row = await s.accounts!.get("c");
              await s.accounts!.update("c", { balance: Number(row!.balance) + 1 });
            })),
        );
        const { value } = await run(engine, call(alice), (s) => s.accounts!.get("c"));
        assert.equal(value!.balance, 16);
        assert.ok(outcomes.every(({ outcome }) => outcome.attempts >= 1));
      });

      await test("without retries a conflict is a typed error that names table and key", async () => {
        await run(engine, call(alice), (s) => s.accounts!.set("k", { balance: 0 }));
        let runs = 0;
        const work = run(engine, call(alice, { retry: 0 }), async (s) => {
          runs++;
          const row = await s.accounts!.get("k");
          await run(engine, call(alice), (o) => o.accounts!.update("k", { balance: 7 }));
          await s.accounts!.update("k", { balance: Number(row!.balance) + 1 });
        });
        await assert.rejects(work, (error) => {
          code("CONFLICT")(error);
          assert.deepEqual((error as KontractError).data, { table: "accounts", key: "k" });
          return true;
        });
        assert.equal(runs, 1);
      });

      await test("write skew and phantoms conflict", async () => {
        await run(engine, call(alice), async (s) => {
          await s.accounts!.set("s1", { balance: 1, city: "Skew" });
          await s.accounts!.set("s2", { balance: 1, city: "Skew" });
        });
        const skew = run(engine, call(alice, { retry: 0 }), async (s) => {
          await s.accounts!.get("s1");
          await run(engine, call(alice), async (o) => {
            await o.accounts!.get("s2");
            await o.accounts!.update("s1", { balance: 0 });
          });
          await s.accounts!.update("s2", { balance: 0 });
        });
        await assert.rejects(skew, code("CONFLICT"));
        const phantom = run(engine, call(alice, { retry: 0 }), async (s) => {
          const n = await s.accounts!.count({ city: "Skew" });
          await run(
            engine,
            call(alice),
            (o) => o.accounts!.set("s3", { balance: 1, city: "Skew" }),
          );
          await s.accounts!.set("total", { balance: n });
        });
        await assert.rejects(phantom, code("CONFLICT"));
        const elsewhere = run(engine, call(alice, { retry: 0 }), async (s) => {
          const n = await s.accounts!.count({ city: "Skew" });
          await run(
            engine,
            call(alice),
            (o) => o.accounts!.set("e1", { balance: 1, city: "Bonn" }),
          );
          await s.accounts!.set("total", { balance: n });
        });
        await elsewhere;
      });

      await test("a request is applied once, whoever repeats it, and answers the same", async () => {
        const effect = { lane: "once", reqno: 7n };
        const first = await run(engine, call(alice, { effect }), async (s) => {
          await s.accounts!.set("once", { balance: 1 });
        });
        assert.equal(first.outcome.replayed, false);
        const second = await run(engine, call(alice, { effect }), async (s) => {
          await s.accounts!.set("once", { balance: 2 });
        });
        assert.deepEqual([second.outcome.replayed, second.outcome.wrote], [true, false]);
        assert.deepEqual(second.outcome.answer, first.outcome.answer);
        let went = false;
        const third = await run(engine, call(alice, { effect }), async (s) => {
          await s.accounts!.get("once");
          went = true;
          throw new Error("never seen");
        });
        assert.deepEqual([third.outcome.replayed, went], [true, false]);
        const { value } = await run(engine, call(alice), (s) => s.accounts!.get("once"));
        assert.equal(value!.balance, 1);
        const race = await Promise.all(
          Array.from(
            { length: 8 },
            () =>
              run(engine, call(alice, { effect: { lane: "once", reqno: 8n } }), async (s) => {
                const row = await s.accounts!.get("once");
                await s.accounts!.update("once", { balance: Number(row!.balance) + 1 });
              }),
          ),
        );
        assert.equal(race.filter(({ outcome }) => outcome.wrote).length, 1);
      });

      await test("a failed call leaves nothing behind, its effect included", async () => {
        const effect = { lane: "failed", reqno: 1n };
        await assert.rejects(
          run(engine, call(alice, { effect }), async (s) => {
            await s.accounts!.set("half", { balance: 1 });
            throw new RangeError("no");
          }),
          RangeError,
        );
        await assert.rejects(
          run(engine, call(alice, { effect }), async (s) => {
            await s.accounts!.set("half", { balance: 1 });
            await s.accounts!.set("u1", { balance: 1, email: "same@x" });
            await s.accounts!.set("u2", { balance: 1, email: "same@x" });
          }),
          code("UNIQUE_VIOLATION"),
        );
        const { value } = await run(engine, call(alice, { effect }), async (s) => [
          await s.accounts!.get("half"),
          await s.accounts!.get("u1"),
        ]);
        assert.deepEqual(value, [null, null]);
      });

      await test("a commit whose answer was lost wakes followers all the same", async () => {
        let lost = 0;
        const shaky = storageEngine({
          tables,
          database: {
            async execute(...sent) {
              const rows = await database.execute(...sent);
              if (sent[0] !== PUT || lost++ > 0) return rows;
              throw new SqlError({ sqlstate: "08006", message: "lost", notSent: false });
            },
            close: () => Promise.resolve(),
          },
        });
        const { outcome } = await run(
          shaky,
          call(alice),
          (s) => s.accounts!.set("shaky", { balance: 1 }),
        );
        assert.deepEqual([lost, outcome.replayed], [2, true]);
        assert.deepEqual(outcome.feeds, [JSON.stringify([tenant, "accounts"])]);
      });

      await test("a commit of which nobody learns whether it took effect wakes followers", async () => {
        const feed = JSON.stringify([tenant, "accounts"]);
        const woken: string[] = [];
        const unsure = (feeds: readonly string[]): void => void woken.push(...feeds);
        const arrives = Promise.withResolvers<void>();
        const answered = Promise.withResolvers<void>();
        const behaviour = { late: false };
        const shaky = storageEngine({
          tables,
          database: {
            async execute(...sent) {
              const rows = await database.execute(...sent);
              if (sent[0] !== PUT) return rows;
              if (!behaviour.late) {
                throw new SqlError({ sqlstate: "08006", message: "lost", notSent: false });
              }
              await arrives.promise;
              setTimeout(answered.resolve);
              return rows;
            },
            close: () => Promise.resolve(),
          },
        });
        const write = (s: AnyStorage) => s.accounts!.set("unsure", { balance: 1 });
        await assert.rejects(run(shaky, call(alice, { unsure }), write), code("OUTCOME_UNKNOWN"));
        assert.deepEqual(woken.splice(0), [feed]);
        behaviour.late = true;
        await assert.rejects(
          run(shaky, call(alice, { unsure, deadline: Date.now() + 200 }), write),
          code("OUTCOME_UNKNOWN"),
        );
        assert.deepEqual(woken.splice(0), [feed]);
        arrives.resolve();
        await answered.promise;
        assert.deepEqual(woken, [feed]);
      });

      await test("a unique violation names the fields and no value", async () => {
        await run(engine, call(alice), (s) => s.accounts!.set("a1", { balance: 1, email: "a@x" }));
        await assert.rejects(
          run(engine, call(alice), (s) => s.accounts!.set("a2", { balance: 1, email: "a@x" })),
          (error) => {
            code("UNIQUE_VIOLATION")(error);
            assert.deepEqual((error as KontractError).data, {
              table: "accounts",
              fields: ["email"],
            });
            assert.ok(!(error as KontractError).message.includes("a@x"));
            return true;
          },
        );
        // The same row may keep its value, and a deleted one gives it back.
        await run(engine, call(alice), (s) => s.accounts!.set("a1", { balance: 2, email: "a@x" }));
        await run(engine, call(alice), (s) => s.accounts!.delete("a1"));
        await run(engine, call(alice), (s) => s.accounts!.set("a2", { balance: 1, email: "a@x" }));
      });

      await test("rows of an owner's table are its owner's alone, equal keys included", async () => {
        const bob = await login("bob");
        await run(engine, call(alice), (s) => s.notes!.set("n", { text: "of alice" }));
        await run(engine, call(bob), async (s) => {
          assert.equal(await s.notes!.get("n"), null);
          assert.equal(await s.notes!.count(), 0);
          assert.deepEqual(await s.notes!.query(), []);
          assert.deepEqual(await s.notes!.getMany(["n"]), [null]);
          await assert.rejects(s.notes!.update("n", { text: "x" }), code("NOT_FOUND"));
          await s.notes!.set("n", { text: "of bob" });
        });
        await run(engine, call(bob), (s) => s.notes!.delete("n"));
        const { value } = await run(engine, call(alice), (s) => s.notes!.get("n"));
        assert.equal(value!.text, "of alice");
      });

      await test("ownerOf tells who stored a row first", async () => {
        const bob = await login("bob");
        await run(engine, call(bob), (s) => s.accounts!.set("own", { balance: 1 }));
        const { value } = await run(engine, call(alice), async (s) => {
          await s.accounts!.set("own", { balance: 2 });
          return [await s.accounts!.ownerOf("own"), await s.accounts!.ownerOf("none")];
        });
        assert.deepEqual(value, ["bob", null]);
      });

      await test("a field keeps what a call may not write and hides what it may not read", async () => {
        const made = await run(engine, call(alice), (s) => s.people!.set("p", { name: "P" }));
        assert.deepEqual(made.value, { id: "p", name: "P", role: "member" });
        await assert.rejects(
          run(engine, call(alice), (s) => s.people!.update("p", { role: "admin" })),
          code("PERMISSION_DENIED"),
        );
        await assert.rejects(
          run(engine, call(alice), (s) => s.people!.query({ pin: "0000" })),
          code("PERMISSION_DENIED"),
        );
        await assert.rejects(
          run(engine, call(alice), (s) => s.people!.query().orderBy("hash")),
          code("PERMISSION_DENIED"),
        );
        const grants = { "people.role": 6, "people.hash": 6 } as const;
        await run(
          engine,
          call(alice, { grants }),
          (s) => s.people!.update("p", { role: "admin", hash: "secret" }),
        );
        await run(engine, call(alice), (s) => s.people!.set("p", { name: "Q", pin: "1234" }));
        await run(engine, call(alice), (s) => s.people!.update("p", { name: "R" }));
        const { value } = await run(engine, call(alice, { grants }), (s) => s.people!.get("p"));
        assert.deepEqual(value, { id: "p", name: "R", role: "admin", hash: "secret" });
        const [raw] = await db.admin.unsafe(
          `select data from kontract_private.${await physical(
            "people",
          )} where id = 'p' and _deleted_txid is null`,
        );
        assert.equal(raw!.data.pin, "1234");
      });

      await test("an object that may not be written goes back as it was read, and no other does", async () => {
        await run(engine, call(alice), (s) => s.shops!.set("s", { name: "A" }));
        const { value } = await run(engine, call(alice), async (s) => {
          const row = await s.shops!.get("s");
          await s.shops!.update("s", { ...row, name: "B" });
          return await s.shops!.set("s", { ...await s.shops!.get("s"), name: "C" });
        });
        const site = { street: "Hafengasse", zip: "89073" };
        assert.deepEqual(value, { id: "s", name: "C", site });
        for (const other of [{ ...site, zip: "89077" }, { ...site, street: "" }]) {
          await assert.rejects(
            run(engine, call(alice), (s) => s.shops!.update("s", { site: other })),
            code("PERMISSION_DENIED"),
          );
        }
      });

      await test("table and route bits bound every operation", async () => {
        const denied = code("PERMISSION_DENIED");
        await run(engine, call(alice), (s) => s.accounts!.set("b", { balance: 1 }));
        const only = (perm: 4 | 2 | 1) => call(alice, { perm });
        await assert.rejects(run(engine, only(2), (s) => s.accounts!.get("b")), denied);
        await assert.rejects(run(engine, only(2), (s) => s.accounts!.delete("b")), denied);
        await assert.rejects(
          run(engine, only(4), (s) => s.accounts!.set("b", { balance: 2 })),
          denied,
        );
        await run(engine, only(4), (s) => s.accounts!.count());
        await assert.rejects(run(engine, only(4), (s) => s.accounts!.delete("b")), denied);
        await assert.rejects(run(engine, only(1), (s) => s.accounts!.get("b")), denied);
        await run(engine, only(2), (s) => s.accounts!.set("b", { balance: 3 }));
        await run(engine, only(1), (s) => s.accounts!.delete("b"));
        await assert.rejects(
          run(engine, call(alice, { readOnly: true }), (s) => s.accounts!.set("b", { balance: 2 })),
          denied,
        );
      });

      await test("every shape comes back as it went in", async () => {
        const thing = {
          id: "t",
          at: new Date("2026-02-03T04:05:06.789Z"),
          big: 123456789012345678901234567890n,
          raw: new Uint8Array([0, 255, 7]),
          tags: ["a", "$date", "é"],
          flag: false,
          size: -5,
          note: null,
          home: { city: "Ulm", since: new Date(0) },
          scores: new Map([["a", 1], ["__proto__", 2]]),
          any: { deep: [1, null, { "__proto__": "x" }], date: "2026-02-03T04:05:06.789Z" },
        };
        await run(engine, call(alice), (s) => s.things!.set("t", thing));
        const { value } = await run(engine, call(alice), async (s) => [
          await s.things!.get("t"),
          await s.things!.count({ home: { city: "Ulm" } }),
          await s.things!.count({ at: { gt: new Date(5) }, tags: { contains: "é" } }),
          await s.things!.count({ big: { gte: 123456789012345678901234567890n } }),
          await s.things!.count({ big: { gt: 123456789012345678901234567890n } }),
          await s.things!.count({ note: null, flag: false, size: { in: [1, -5] } }),
        ]);
        assert.deepEqual(value, [thing, 1, 1, 1, 0, 1]);
      });

      await test("a value that breaks its type is refused here and in the database", async () => {
        for (
          const [row, why] of [
            [{ balance: "1" }, "type"],
            [{ balance: NaN }, "NaN"],
            [{ balance: Infinity }, "infinity"],
            [{}, "missing"],
            [{ balance: 1, nope: 1 }, "unknown field"],
            [{ balance: 1, id: "other" }, "key"],
            [{ balance: 1, city: "a\0b" }, "NUL"],
            [{ balance: 1, city: "\ud800" }, "surrogate"],
          ] as const
        ) {
          const work = run(engine, call(alice), (s) => s.accounts!.set("bad", row));
          await assert.rejects(work, code("VALIDATION"), why);
        }
        for (const id of ["", "a\0b", "\udc00", "x".repeat(1025), 5 as unknown as string]) {
          await assert.rejects(
            run(engine, call(alice), (s) => s.accounts!.set(id, { balance: 1 })),
            code("VALIDATION"),
          );
        }
        const ops = [{
          t: "accounts",
          g: null,
          r: [],
          q: [],
          w: [["bad", { id: "bad", balance: "1", city: "U" }]],
        }];
        await assert.rejects(
          database.execute("commit", [
            ...[alice.sid, tenant, "alice", 7, null, null, null, null, null, null],
            JSON.stringify(ops),
          ]),
          (error) => error instanceof SqlError && error.failure.sqlstate === "23514",
        );
      });

      await test("SQL in every string is a value", async () => {
        const evil = `'; drop table kontract.storage; -- $1 \\ %L "x" {a,b} \u{1f600}`;
        await run(
          engine,
          call(alice),
          (s) => s.accounts!.set(evil, { balance: 1, city: evil, email: evil }),
        );
        const { value } = await run(engine, call(alice), async (s) => [
          (await s.accounts!.get(evil))!.city,
          await s.accounts!.count({ city: evil }),
          await s.accounts!.count({ city: { prefix: evil.slice(0, 9) } }),
          await s.accounts!.count({ city: { in: [evil, "%"] } }),
          await s.accounts!.count({ city: { prefix: "%" } }),
        ]);
        assert.deepEqual(value, [evil, 1, 1, 1, 0]);
        await assert.rejects(
          run(engine, call(alice), (s) => s.accounts!.query({ [`city' or true --`]: 1 })),
          code("VALIDATION"),
        );
        await assert.rejects(
          run(engine, call(alice), (s) => s.accounts!.query({ city: { "or 1=1": 1 } as never })),
          code("VALIDATION"),
        );
      });

      await test("pages follow each other without gap or overlap", async () => {
        await run(engine, call(alice), async (s) => {
          for (let i = 0; i < 25; i++) {
            await s.accounts!.set(`page${i}`, { balance: i % 4, city: "Page" });
          }
        });
        const { value } = await run(engine, call(alice), async (s) => {
          const seen: string[] = [];
          let cursor: string | null = null;
          do {
            const page = await s.accounts!.query({ city: "Page" }).orderBy("balance", "desc")
              .limit(7).after(cursor).page();
            seen.push(...page.rows.map((row) => String(row.id)));
            cursor = page.cursor;
          } while (cursor !== null);
          return seen;
        });
        assert.equal(value.length, 25);
        assert.equal(new Set(value).size, 25);
        await assert.rejects(
          run(engine, call(alice), (s) => s.accounts!.query().after("nonsense").page()),
          code("VALIDATION"),
        );
      });

      await test("a page that ends on a row of the same call goes on after it, once that is committed", async () => {
        const more = (s: AnyStorage, cursor: string | null) =>
          s.accounts!.query({ city: "Fresh" }).orderBy("balance").limit(2).after(cursor).page();
        const { value: cursor } = await run(engine, call(alice), async (s) => {
          for (let i = 0; i < 3; i++) {
            await s.accounts!.set(`fresh${i}`, { balance: 1, city: "Fresh" });
          }
          const first = await more(s, null);
          assert.deepEqual(first.rows.map(({ id }) => id), ["fresh0", "fresh1"]);
          const second = await more(s, first.cursor);
          assert.deepEqual(second.rows.map(({ id }) => id), ["fresh2"]);
          return first.cursor;
        });
        await run(
          engine,
          call(alice),
          (s) => s.accounts!.set("fresh3", { balance: 1, city: "Fresh" }),
        );
        const { value: rest } = await run(engine, call(alice), (s) => more(s, cursor));
        assert.deepEqual(rest.rows.map(({ id }) => id), ["fresh2", "fresh3"]);
        await run(engine, call(alice), (s) => s.accounts!.delete("fresh1"));
        await assert.rejects(run(engine, call(alice), (s) => more(s, cursor)), code("VALIDATION"));
      });

      await test("push, shift and pop are a queue that hands each row out once", async () => {
        await run(engine, call(alice), async (s) => {
          for (const text of ["1", "2", "3"]) await s.notes!.push({ text });
          assert.equal((await s.notes!.pop())!.text, "3");
        });
        const taken = await Promise.all(
          [1, 2].map(() => run(engine, call(alice, { retry: 100 }), (s) => s.notes!.pop())),
        );
        assert.deepEqual(taken.map(({ value }) => value!.text).sort(), ["1", "2"]);
      });

      await test("what the body does not await is still part of the call", async () => {
        await run(engine, call(alice), (s) => {
          s.accounts!.set("loose", { balance: 1 });
          return Promise.resolve();
        });
        const { value } = await run(engine, call(alice), (s) => s.accounts!.has("loose"));
        assert.equal(value, true);
      });

      await test("a handle is dead after its call", async () => {
        const { value } = await run(engine, call(alice), (s) => Promise.resolve([s.accounts!]));
        await assert.rejects(value[0]!.get("x"), code("CONTEXT_ENDED"));
      });

      await test("a passed deadline and a cancelled call are typed", async () => {
        await assert.rejects(
          run(engine, call(alice, { deadline: Date.now() - 1 }), (s) => s.accounts!.get("x")),
          code("DEADLINE_EXCEEDED"),
        );
        await assert.rejects(
          run(engine, call(alice, { signal: AbortSignal.abort() }), (s) => s.accounts!.get("x")),
          code("CANCELLED"),
        );
      });

      await test("a revoked family is out at once and stays out", async () => {
        const system = await login("kontract", true);
        const family = "fam1";
        const token = (): Promise<string> => db.token({ owner: "eve", family });
        const eve = await engine.openSession(await token());
        await run(engine, call(eve), (s) => s.accounts!.get("x"));
        await engine.revokeFamily(system, family, Date.now() + 60_000);
        await assert.rejects(
          run(engine, call(eve), (s) => s.accounts!.get("x")),
          code("SESSION_REVOKED"),
        );
        await assert.rejects(
          run(engine, call(eve), (s) => s.accounts!.set("x", { balance: 1 })),
          code("SESSION_REVOKED"),
        );
        await assert.rejects(engine.openSession(await token()), code("SESSION_REVOKED"));
        await assert.rejects(engine.revokeFamily(alice, "x", Date.now()), code("FORBIDDEN"));
      });

      await test("a snapshot of another incarnation is refused, not read", async () => {
        await assert.rejects(
          run(engine, call(alice, { retry: 0 }), async (s) => {
            await s.accounts!.get("x");
            await db.admin`truncate kontract_private.incarnation`;
            await s.accounts!.get("y");
          }),
          code("SNAPSHOT_TOO_OLD"),
        );
        await run(engine, call(alice), (s) => s.accounts!.set("again", { balance: 1 }));
        const [row] = await db.admin`select count(*)::int as n from kontract_private.incarnation`;
        assert.equal(row!.n, 1);
      });
    } finally {
      await database.close();
      await db.close();
    }
  },
});

async function physical(name: string): Promise<string> {
  const [row] = await db
    .admin`select ptr from kontract.storage where owner = ${tenant} and id = ${name}`;
  return String(row!.ptr);
}
