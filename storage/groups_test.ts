/**
 * Calls whose statements go to the database together: each is answered for itself, as if it had been alone.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { testDatabase } from "../tests/postgres.ts";
import { until } from "../tests/until.ts";
import { type Database, SqlError, type SqlParam, type SqlRow } from "./database.ts";
import { storageEngine } from "./engine.ts";
import { groupedDatabase } from "./groups.ts";
import { keyLock, tableLock } from "./migrate/lock_keys.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { tableKey } from "./table_key.ts";
import { code } from "./testing/expect_code.ts";
import { groupWorld } from "./testing/group_world.ts";
import { silentDatabase } from "./testing/silent_database.ts";
import { ACCOUNTS, type AnyStorage, call, field, number, run, table } from "./testing/tables.ts";

const PLAIN = table("plain", [field("n", number)]);
const OWNED = table("owned", [field("n", number)], { rows: "owner" });
const LOCKED = table("locked", [field("n", number)], { perm: 5 });
const TABLES = [PLAIN, OWNED, LOCKED, ACCOUNTS];
const READ = "get_many";
const COMMIT = "put_many";
const LOST = { sqlstate: "08006", message: "lost", notSent: false };

/** Adds one to both rows, which it has read. */
const raise = (name: string, ...ids: readonly string[]) => async (s: AnyStorage): Promise<void> => {
  const rows = await s[name]!.getMany(ids);
  for (const [at, id] of ids.entries()) {
    await s[name]!.update(id, { n: Number(rows[at]!.n) + 1 });
  }
};

Deno.test("groups that the database does not answer hold up no other call", async () => {
  const { database, sent, alarms } = silentDatabase();
  const grouped = groupedDatabase(database);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const reading = (key: string): void =>
    void grouped.execute("get:t", ["s", 7, null, null, null, null, null, null, key]);
  reading("alone");
  for (let n = 0; n < 5; n++) {
    for (const key of ["a", "b"]) reading(`${key}${n}`);
    await turn();
  }
  const groups = (): number => sent.filter((statement) => statement === "get_group:t").length;
  assert.equal(groups(), 4, "the fifth waits");
  alarms[0]!.ring();
  assert.equal(groups(), 5);
  alarms[0]!.ring();
  for (const key of ["a", "b"]) reading(key);
  await turn();
  assert.equal(groups(), 5, "one alarm makes room for one");
});

Deno.test({
  name: "calls whose statements go together",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(TABLES);
    const plain = postgresDatabase({ url: db.gatewayUrl });
    /** What answers instead of the server, once, after it has or before. */
    let between:
      | ((name: string, send: () => Promise<readonly SqlRow[]>) => Promise<readonly SqlRow[]>)
      | null = null;
    const port: Database = {
      execute: (statement: string, params: readonly SqlParam[]) => {
        const send = () => plain.execute(statement, params);
        return between === null ? send() : between(statement.split(":")[0]!, send);
      },
      close: () => plain.close(),
    };
    const world = await groupWorld(db, TABLES, port);
    const { engine, grouped, sent, ada, bob, cy, start, effects } = world;
    const sessions = [ada, bob, cy];
    const fill = async (name: string, owner = ada): Promise<void> => {
      await run(engine, call(owner), async (s) => {
        for (let n = 0; n < 40; n++) await s[name]!.set(`r${n}`, { n: 0 });
      });
      sent.length = 0;
    };
    const numbers = async (name: string, ...ids: readonly string[]): Promise<unknown> => {
      const { value } = await run(
        engine,
        call(ada, { readOnly: true }),
        (s) => s[name]!.getMany(ids),
      );
      return value.map((row) => row?.n);
    };
    const test = (name: string, work: () => Promise<void>): Promise<unknown> =>
      t.step(name, async () => {
        between = null;
        await fill("plain");
        await work();
      });
    try {
      await test("calls that are ready together read by one statement and commit by one", async () => {
        const calls = [call(ada), call(bob), call(cy)];
        const outcomes = await Promise.all(
          calls.map((options, n) => start(options, raise("plain", `r${2 * n}`, `r${2 * n + 1}`))),
        );
        assert.deepEqual(sent, ["get_group", "put_group"]);
        assert.deepEqual(
          outcomes.map(({ wrote, attempts }) => [wrote, attempts]),
          Array(3).fill([true, 1]),
        );
        assert.deepEqual(outcomes.map(({ feeds }) => feeds.length), [1, 1, 1]);
        assert.deepEqual(await numbers("plain", "r0", "r3", "r5", "r6"), [1, 1, 1, 0]);
        for (const options of calls) assert.equal(await effects(options), 1);
        const [row] = await db.admin.unsafe(
          `select count(*)::int as closed, count(distinct _deleted_txid)::int as ids
             from ${await db.place("plain")} where _deleted_txid is not null`,
        );
        assert.deepEqual({ ...row }, { closed: 6, ids: 1 });
      });

      await test("so do reads of one row and updates of one row, and rows that are not there", async () => {
        const one = (id: string) => async (s: AnyStorage): Promise<void> => {
          const row = await s.plain!.get(id);
          await s.plain!.update(id, { n: Number(row!.n) + 5 });
        };
        const missing = start(call(cy, { readOnly: true }), async (s) => {
          assert.equal(await s.plain!.get("none"), null);
          assert.deepEqual(await s.plain!.getMany(["r9", "none"]), [{ id: "r9", n: 0 }, null]);
        });
        await Promise.all([start(call(ada), one("r0")), start(call(bob), one("r1")), missing]);
        assert.deepEqual(sent, ["get_group", READ, "put_group"]);
        assert.deepEqual(await numbers("plain", "r0", "r1"), [5, 5]);
      });

      await test("a call alone takes the statements of one, at once", async () => {
        const names: string[] = [];
        between = (name, send) => (names.push(name), send());
        const own = storageEngine({ database: groupedDatabase(port), tables: TABLES });
        await run(own, call(ada), raise("plain", "r0", "r1"));
        assert.deepEqual(names, [READ, COMMIT]);
      });

      await test("a group has sixteen calls at most; the others are another one", async () => {
        await Promise.all(
          Array.from(
            { length: 18 },
            (_, n) => start(call(ada), raise("plain", `r${n}`, `r${n + 18}`)),
          ),
        );
        assert.deepEqual(sent, ["get_group", "get_group", "put_group", "put_group"]);
        assert.deepEqual(await numbers("plain", "r0", "r17", "r35"), [1, 1, 1]);
      });

      await test("a conflict, a right, a session, a group, a request of before: told to each, and the rest commits", async () => {
        const dan = await engine.openSession(await db.token({ owner: "dan", family: "dan" }));
        const repeated = call(bob);
        await start(repeated, raise("plain", "r30", "r31"));
        const refused = {
          conflict: call(ada, { retry: 0 }),
          revoked: call(dan),
          group: call(cy, { ugroup: "admins" }),
        };
        sent.length = 0;
        let waiting = 5;
        const together = Promise.withResolvers<void>();
        /** Everybody has read before somebody commits. */
        const meanwhile = Promise.withResolvers<void>();
        const work = (ids: readonly [string, string]) => async (s: AnyStorage): Promise<void> => {
          const rows = await s.plain!.getMany(ids);
          if (--waiting === 0) together.resolve();
          await meanwhile.promise;
          for (const [at, id] of ids.entries()) {
            await s.plain!.update(id, { n: Number(rows[at]!.n) + 1 });
          }
        };
        const good = [start(call(ada), work(["r0", "r1"])), start(call(cy), work(["r2", "r3"]))];
        const conflict = assert.rejects(start(refused.conflict, work(["r4", "r5"])), {
          code: "CONFLICT",
          data: { table: "plain", key: "r5" },
        });
        const revoked = assert.rejects(
          start(refused.revoked, work(["r6", "r7"])),
          code("SESSION_REVOKED"),
        );
        // Where it was begun before by another gateway, it may have got as far as its commit.
        const twin = start(call(bob, { effect: { lane: "twin", reqno: 1n } }), work(["r8", "r9"]));
        const group = assert.rejects(
          start(refused.group, raise("plain", "r10", "r11")),
          code("FORBIDDEN"),
        );
        await together.promise;
        await db.admin.unsafe(`delete from kontract.trxs where owner = 'dan'`);
        await db.admin`insert into kontract_private.effects (tenant, owner, lane, reqno, answer)
          values ('main', 'bob', 'twin', 1, 'theirs')`;
        await db.admin.unsafe(`update ${await db.place("plain")} set _txid = pg_current_xact_id()
          where id = 'r5' and _deleted_txid is null`);
        meanwhile.resolve();
        await Promise.all([conflict, revoked, group]);
        const outcomes = await Promise.all(good);
        assert.deepEqual(outcomes.map(({ wrote, attempts }) => [wrote, attempts]), [[true, 1], [
          true,
          1,
        ]]);
        const { replayed, answer } = await twin;
        assert.deepEqual([replayed, new TextDecoder().decode(answer)], [true, "theirs"]);
        assert.equal(sent.filter((name) => name === "put_group").length, 1);
        assert.deepEqual(await numbers("plain", "r0", "r1", "r2", "r3"), [1, 1, 1, 1]);
        assert.deepEqual(await numbers("plain", "r4", "r5", "r6", "r7", "r8", "r9"), [
          0,
          0,
          0,
          0,
          0,
          0,
        ]);
        for (const options of Object.values(refused)) assert.equal(await effects(options), 0);
        let runs = 0;
        const [again] = await Promise.all([
          start(repeated, async (s) => {
            await s.plain!.get("r30");
            runs++;
          }),
          start(call(ada, { readOnly: true }), (s) => s.plain!.get("r30")),
        ]);
        assert.deepEqual([again!.replayed, runs], [true, 0]);
        assert.deepEqual(await numbers("plain", "r30"), [1]);
      });

      await test("a session that has ended by its time reads and writes nothing in company either", async () => {
        const expire = (): Promise<unknown> =>
          db.admin`update kontract.trxs set expires_at = now() - interval '1 second' where owner = 'eve'`;
        const eve = await engine.openSession(await db.token({ owner: "eve" }));
        const options = call(eve);
        const read = Promise.withResolvers<void>();
        const expired = Promise.withResolvers<void>();
        const late = start(options, async (s) => {
          await s.plain!.get("r0");
          read.resolve();
          await expired.promise;
          await s.plain!.update("r0", { n: 9 });
        });
        await read.promise;
        await expire();
        sent.length = 0;
        expired.resolve();
        await Promise.all([
          assert.rejects(late, code("SESSION_EXPIRED")),
          start(call(bob), (s) => s.plain!.set("r1", { n: 1 })),
          start(call(cy), (s) => s.plain!.set("r2", { n: 1 })),
          assert.rejects(start(call(eve), raise("plain", "r3")), code("SESSION_EXPIRED")),
          start(call(ada), raise("plain", "r4")),
          assert.rejects(
            start(call(eve), (s) => s.plain!.set("r5", { n: 1 })),
            code("SESSION_EXPIRED"),
          ),
        ]);
        assert.deepEqual(sent.filter((name) => name.endsWith("_group")).toSorted().slice(0, 2), [
          "get_group",
          "put_group",
        ]);
        assert.deepEqual(await numbers("plain", "r0", "r1", "r2", "r3", "r4", "r5"), [
          ...[0, 1, 1, 0, 1, 0],
        ]);
        assert.equal(await effects(options), 0);
      });

      for (
        const [what, spoil, mend] of [
          [
            "old versions are gone since",
            "update kontract.storage set horizon = (pg_current_xact_id()::text::bigint + 1)::text::xid8 where id = 'plain'",
            "update kontract.storage set horizon = '0' where id = 'plain'",
          ],
          [
            "the data have begun another life",
            "update kontract.storage set epoch = 'x' || epoch",
            "update kontract.storage set epoch = substr(epoch, 2)",
          ],
          [
            "the sessions are younger",
            "update kontract.trxs set create_txid = pg_current_xact_id()",
            "update kontract.trxs set create_txid = '3'",
          ],
        ] as const
      ) {
        await test(`a snapshot that counts no more (${what}) is refused to each`, async () => {
          let waiting = 2;
          const together = Promise.withResolvers<void>();
          const spoiled = Promise.withResolvers<void>();
          const calls = [call(ada, { retry: 0 }), call(bob, { retry: 0 })];
          const outcomes = calls.map((options, n) =>
            assert.rejects(
              start(options, async (s) => {
                await s.plain!.getMany([`r${n}`, `r${n + 2}`]);
                if (--waiting === 0) together.resolve();
                await spoiled.promise;
                await s.plain!.update(`r${n}`, { n: 7 });
                await s.plain!.update(`r${n + 2}`, { n: 7 });
              }),
              code("SNAPSHOT_TOO_OLD"),
            )
          );
          await together.promise;
          await db.admin.unsafe(spoil);
          spoiled.resolve();
          await Promise.all(outcomes).finally(() => db.admin.unsafe(mend));
          assert.deepEqual(sent.slice(0, 2), ["get_group", "put_group"]);
          assert.deepEqual(await numbers("plain", "r0", "r1"), [0, 0]);
          for (const options of calls) assert.equal(await effects(options), 0);
        });
      }

      await test("a row that is gone since it was read is its own call's conflict", async () => {
        let waiting = 2;
        const together = Promise.withResolvers<void>();
        const deleted = Promise.withResolvers<void>();
        const work = (id: string) => async (s: AnyStorage): Promise<void> => {
          await s.plain!.get(id);
          if (--waiting === 0) together.resolve();
          await deleted.promise;
          await s.plain!.update(id, { n: 1 });
        };
        const options = call(ada, { retry: 0 });
        const conflict = assert.rejects(start(options, work("r0")), code("CONFLICT"));
        const good = start(call(bob), work("r1"));
        await together.promise;
        await db.admin.unsafe(
          `update ${await db.place("plain")} set _deleted_txid = pg_current_xact_id()
            where id = 'r0' and _deleted_txid is null`,
        );
        deleted.resolve();
        await Promise.all([conflict, good]);
        assert.deepEqual(sent, ["get_group", "put_group", "put"]);
        assert.deepEqual(await numbers("plain", "r0", "r1"), [undefined, 1]);
        assert.equal(await effects(options), 0);
      });

      await test("a row that somebody has locked holds its own call and no other", async () => {
        const held = keyLock("'main'", "'plain'", "'r0'");
        let first!: Promise<unknown>;
        await db.admin.begin(async (tx) => {
          await tx.unsafe(`select pg_advisory_xact_lock(${held})`);
          first = start(call(ada), raise("plain", "r0", "r1"));
          await Promise.all([
            start(call(bob), raise("plain", "r2", "r3")),
            start(call(cy), raise("plain", "r4", "r5")),
          ]);
          assert.deepEqual(await numbers("plain", "r0", "r2", "r4"), [0, 1, 1]);
        });
        await first;
        assert.deepEqual(await numbers("plain", "r0", "r1"), [1, 1]);
      });

      await test("a table that somebody has locked is waited for by each alone", async () => {
        let both!: Promise<unknown>;
        await db.admin.begin(async (tx) => {
          await tx.unsafe(`select pg_advisory_xact_lock(${tableLock("'main'", "'plain'")})`);
          both = Promise.all([
            start(call(bob), raise("plain", "r2", "r3")),
            start(call(cy), raise("plain", "r4", "r5")),
          ]);
          await until(() => sent.filter((name) => name === COMMIT).length === 2);
        });
        await both;
        assert.deepEqual(await numbers("plain", "r2", "r3", "r4", "r5"), [1, 1, 1, 1]);
      });

      await test("what a call reads and writes no other of its group writes", async () => {
        const outcomes = await Promise.all(
          [["r0", "r1"], ["r1", "r2"], ["r2", "r0"], ["r3", "r4"]].map((ids) =>
            start(call(ada, { retry: 100 }), raise("plain", ...ids))
          ),
        );
        assert.ok(outcomes.some(({ attempts }) => attempts > 1));
        assert.deepEqual(await numbers("plain", "r0", "r1", "r2", "r3", "r4"), [2, 2, 2, 1, 1]);
      });

      await test("one request that comes twice at the same time is applied once", async () => {
        const twice = call(ada);
        const outcomes = await Promise.all([
          start(twice, raise("plain", "r0", "r1")),
          start(twice, raise("plain", "r2", "r3")),
          start(call(bob), raise("plain", "r4", "r5")),
        ]);
        assert.deepEqual(outcomes.map(({ replayed }) => replayed).toSorted(), [false, false, true]);
        assert.equal(await effects(twice), 1);
        const [a, b] = await numbers("plain", "r0", "r2") as [number, number];
        assert.equal(a + b, 1);
      });

      for (const when of ["before", "after"] as const) {
        await test(`a connection lost ${when} a group was applied: each call is applied once, and knows it`, async () => {
          let lost = 0;
          between = async (name, send) => {
            if (name !== "put_group" || lost > 0) return await send();
            lost++;
            if (when === "after") await send();
            throw new SqlError(LOST);
          };
          const calls = [call(ada), call(bob)];
          const outcomes = await Promise.all(
            calls.map((options, n) => start(options, raise("plain", `r${n}`, `r${n + 2}`))),
          );
          assert.equal(lost, 1);
          assert.deepEqual(
            outcomes.map(({ replayed }) => replayed),
            Array(2).fill(when === "after"),
          );
          for (const { feeds } of outcomes) assert.equal(feeds.length, 1);
          assert.deepEqual(await numbers("plain", "r0", "r1", "r2", "r3"), [1, 1, 1, 1]);
          for (const options of calls) assert.equal(await effects(options), 1);
        });
      }

      await test("a connection lost while a group reads concerns none of its calls", async () => {
        between = async (name, send) => {
          if (name === "get_group") throw new SqlError(LOST);
          return await send();
        };
        await Promise.all([
          start(call(ada), raise("plain", "r0")),
          start(call(bob), raise("plain", "r1")),
        ]);
        assert.deepEqual(await numbers("plain", "r0", "r1"), [1, 1]);
      });

      await test("a row without its declared type is told to who wrote it, and the rest commits", async () => {
        const wrong = storageEngine({
          database: grouped,
          tables: [table("plain", [field("n", { kind: "string" })])],
        });
        const refused = assert.rejects(
          run(wrong, call(ada), (s) => s.plain!.update("r0", { n: "no number" })),
          code("VALIDATION"),
        );
        await Promise.all([
          refused,
          start(call(bob), raise("plain", "r1")),
          start(call(cy), raise("plain", "r2")),
        ]);
        assert.deepEqual(await numbers("plain", "r0", "r1", "r2"), [0, 1, 1]);
      });

      await test("rows with owners are each owner's own, under the same key too", async () => {
        for (const owner of sessions) await fill("owned", owner);
        await Promise.all(sessions.map((owner) => start(call(owner), raise("owned", "r0", "r1"))));
        await Promise.all(
          sessions.map((owner, n) =>
            start(call(owner), raise("owned", `r${2 * n}`, `r${2 * n + 1}`))
          ),
        );
        assert.ok(sent.includes("put_group"));
        for (const [n, owner] of sessions.entries()) {
          const { value } = await run(engine, call(owner), async (s) => {
            const rows = await s.owned!.getMany(["r0", "r2", "r4"]);
            return rows.map((row) => row!.n);
          });
          assert.deepEqual(value, [n === 0 ? 2 : 1, n === 1 ? 1 : 0, n === 2 ? 1 : 0]);
        }
      });

      await test("a table of which a call lacks a right is not changed in company either", async () => {
        const writes = (s: AnyStorage): Promise<unknown> => raise("locked", "r0")(s);
        const bold = storageEngine({
          database: grouped,
          tables: [table("locked", [field("n", number)])],
        });
        await db.admin.unsafe(`insert into ${await db.place("locked")} (id, data, _owner, _order)
          values ('r0', '{"id":"r0","n":0}', 'ada', 1)`);
        const refused = sessions.map((owner) =>
          assert.rejects(run(bold, call(owner), writes), code("PERMISSION_DENIED"))
        );
        await Promise.all(refused);
      });

      await test("who follows a table gets each change of a group once", async () => {
        const { position } = await engine.changes({
          session: ada,
          table: "plain",
          after: null,
          limit: 9,
        });
        await Promise.all([
          start(call(ada), raise("plain", "r0", "r1")),
          start(call(bob), raise("plain", "r2", "r3")),
        ]);
        assert.ok(sent.includes("put_group"));
        const { changes } = await engine.changes({
          session: ada,
          table: "plain",
          after: position,
          limit: 9,
        });
        assert.deepEqual(
          changes.map(({ type, id, data }) => [type, id, data!.n]).toSorted(),
          ["r0", "r1", "r2", "r3"].map((id) => ["update", id, 1]),
        );
      });

      await test("a database that has no groups is asked once", async () => {
        for (const kind of ["get_group", "put_group"]) {
          const [row] = await db.admin`select p.oid::regprocedure::text as name from pg_proc p
            where p.proname = ${`${kind}_${tableKey("plain")}`}`;
          await db.admin.unsafe(`drop function ${row!.name}`);
        }
        for (let time = 0; time < 2; time++) {
          await Promise.all([
            start(call(ada), raise("plain", "r0", "r1")),
            start(call(bob), raise("plain", "r2", "r3")),
          ]);
        }
        for (const kind of ["get_group", "put_group"]) {
          assert.ok(sent.filter((name) => name === kind).length < 2, kind);
        }
        assert.deepEqual(await numbers("plain", "r0", "r3"), [2, 2]);
      });
    } finally {
      world.end();
      await plain.close();
      await db.close();
    }
  },
});
