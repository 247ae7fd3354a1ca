/**
 * Commits of calls that have read nothing, and go to the database together: each is answered for itself, as if it
 * had been alone. What holds for all groups is in `groups_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { testDatabase } from "../tests/postgres.ts";
import { type Database, SqlError } from "./database.ts";
import { storageEngine } from "./engine.ts";
import { keyLock } from "./migrate/lock_keys.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { code } from "./testing/expect_code.ts";
import { groupWorld } from "./testing/group_world.ts";
import { type AnyStorage, call, field, number, run, table } from "./testing/tables.ts";

const PLAIN = table("plain", [field("n", number)]);
const OWNED = table("owned", [field("n", number)], { rows: "owner" });
const LETTERS = table("letters", [field("n", number)], { perm: 2 });
const LOCKED = table("locked", [field("n", number)], { perm: 5 });
const TABLES = [PLAIN, OWNED, LETTERS, LOCKED];
const LOST = { sqlstate: "08006", message: "lost", notSent: false };
/** Of a transaction that began after all that a test does. */
const LATER = "'999999999'";

/** Writes `n` under each key. */
const put = (name: string, n: number, ...ids: readonly string[]) => async (s: AnyStorage) => {
  for (const id of ids) await s[name]!.set(id, { n });
};

Deno.test({
  name: "calls that write blindly and go together",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(TABLES);
    const plain = postgresDatabase({ url: db.gatewayUrl });
    /** When the connection is lost that a group goes by. */
    let lost: "before" | "after" | null = null;
    const port: Database = {
      async execute(statement, params) {
        const when = statement.startsWith("put_group:") ? lost : null;
        if (when !== null) lost = null;
        if (when === "before") throw new SqlError(LOST);
        const rows = await plain.execute(statement, params);
        if (when === "after") throw new SqlError(LOST);
        return rows;
      },
      close: () => plain.close(),
    };
    const world = await groupWorld(db, TABLES, port);
    const { engine, grouped, sent, ada, bob, cy, start, effects } = world;
    const sessions = [ada, bob, cy];
    /** Live rows as `id=n` in their order, with their owners where these are asked for. */
    const rows = async (name: string, owners = false): Promise<string> => {
      const found = await db.admin.unsafe(
        `select id, data->>'n' as n, _owner from ${await db.place(name)}
          where _deleted_txid is null order by _order`,
      );
      return found.map(({ id, n, _owner }) => `${owners ? `${_owner}:` : ""}${id}=${n}`).join(" ");
    };
    const test = (name: string, work: () => Promise<void>): Promise<unknown> =>
      t.step(name, async () => {
        for (const each of TABLES) {
          await db.admin.unsafe(`delete from ${await db.place(each.name)}`);
        }
        await start(call(ada), put("plain", 0, "a", "b", "c"));
        lost = null;
        sent.length = 0;
        await work();
      });
    try {
      await test("rows that are there are overwritten by one statement and keep place and birth", async () => {
        const births = `select string_agg(_born::text, ' ' order by _order) as born
          from ${await db.place("plain")} where _deleted_txid is null`;
        const before = await db.admin.unsafe(births);
        const calls = [call(ada), call(bob), call(cy)];
        const outcomes = await Promise.all(
          ["c", "a", "b"].map((id, n) => start(calls[n]!, put("plain", n + 1, id))),
        );
        assert.deepEqual(sent, ["put_group"]);
        assert.deepEqual(
          outcomes.map(({ wrote, replayed, feeds }) => [wrote, replayed, feeds.length]),
          Array(3).fill([true, false, 1]),
        );
        assert.equal(await rows("plain"), "a=2 b=3 c=1");
        assert.deepEqual([...await db.admin.unsafe(births)], [...before]);
        for (const options of calls) assert.equal(await effects(options), 1);
        const [closed] = await db.admin.unsafe(
          `select count(*)::int as n, count(distinct _deleted_txid)::int as ids
             from ${await db.place("plain")} where _deleted_txid is not null`,
        );
        assert.deepEqual({ ...closed }, { n: 3, ids: 1 });
      });

      await test("rows that are new, each its writer's, go by the same statement", async () => {
        await Promise.all([
          start(call(ada), put("plain", 1, "x", "a", "y")),
          start(call(bob), put("plain", 2, "z")),
          start(call(cy), put("plain", 3, "b")),
        ]);
        assert.deepEqual(sent, ["put_group"]);
        const found = (await rows("plain", true)).split(" ");
        assert.deepEqual(found.slice(0, 3), ["ada:a=1", "ada:b=3", "ada:c=0"]);
        assert.deepEqual(found.slice(3).filter((row) => row.startsWith("ada")), [
          "ada:x=1",
          "ada:y=1",
        ]);
        assert.deepEqual(found.slice(3).toSorted(), ["ada:x=1", "ada:y=1", "bob:z=2"]);
      });

      await test("calls without a request id go together, and leave no record", async () => {
        const bare = { effect: null };
        const count = `select count(*)::int as n from kontract_private.effects`;
        const before = await db.admin.unsafe(count);
        await Promise.all([
          start(call(ada, bare), put("plain", 1, "a")),
          start(call(bob, bare), put("plain", 2, "new")),
        ]);
        assert.deepEqual(sent, ["put_group"]);
        assert.equal(await rows("plain"), "a=1 b=0 c=0 new=2");
        assert.deepEqual([...await db.admin.unsafe(count)], [...before]);
      });

      await test("who reads, who writes blindly and who has no request id form groups of their own", async () => {
        const raise = (id: string) => async (s: AnyStorage): Promise<void> => {
          await s.plain!.set(id, { n: Number((await s.plain!.get(id))!.n) + 1 });
        };
        await Promise.all([
          start(call(ada), raise("a")),
          start(call(bob), raise("b")),
          start(call(ada), put("plain", 5, "x")),
          start(call(bob), put("plain", 6, "y")),
          start(call(ada, { effect: null }), put("plain", 7, "z")),
          start(call(bob, { effect: null }), put("plain", 8, "c")),
        ]);
        assert.deepEqual(sent.filter((name) => name.endsWith("_group")).toSorted(), [
          "get_group",
          "put_group",
          "put_group",
          "put_group",
        ]);
        assert.equal(sent.length, 4);
        assert.equal(
          (await rows("plain")).split(" ").toSorted().join(" "),
          "a=1 b=1 c=8 x=5 y=6 z=7",
        );
      });

      await test("a session, a group, a request of before: told to each, and the rest commits", async () => {
        const dan = await engine.openSession(await db.token({ owner: "dan", family: "dan" }));
        await db.admin.unsafe(`delete from kontract.trxs where owner = 'dan'`);
        const repeated = call(bob);
        await start(repeated, put("plain", 9, "old"));
        sent.length = 0;
        const refused = [call(dan), call(cy, { ugroup: "admins" })];
        const [revoked, group, again] = await Promise.allSettled([
          start(refused[0]!, put("plain", 1, "a")),
          start(refused[1]!, put("plain", 1, "b")),
          start(repeated, put("plain", 1, "old")),
          start(call(ada), put("plain", 1, "c")),
          start(call(cy), put("plain", 1, "new")),
        ]);
        assert.ok(revoked!.status === "rejected" && group!.status === "rejected");
        assert.equal(revoked.reason.code, "SESSION_REVOKED");
        assert.equal(group.reason.code, "FORBIDDEN");
        assert.ok(again!.status === "fulfilled" && again.value.replayed);
        assert.deepEqual(sent, ["put_group", "put", "put", "put"]);
        assert.equal(await rows("plain"), "a=0 b=0 c=1 old=9 new=1");
        for (const options of refused) assert.equal(await effects(options), 0);
      });

      await test("a blind write needs the right to write and no other", async () => {
        await Promise.all([
          start(call(ada), put("letters", 1, "a")),
          start(call(bob), put("letters", 2, "b")),
        ]);
        await Promise.all([
          start(call(bob), put("letters", 3, "a")),
          start(call(ada), put("letters", 4, "b")),
        ]);
        assert.deepEqual(sent, ["put_group", "put_group"]);
        assert.equal(await rows("letters"), "a=3 b=4");
        const bold = storageEngine({
          database: grouped,
          tables: [table("locked", [field("n", number)])],
        });
        await Promise.all(
          sessions.map((session, n) =>
            assert.rejects(
              run(bold, call(session), put("locked", 1, `r${n}`)),
              code("PERMISSION_DENIED"),
            )
          ),
        );
        assert.equal(await rows("locked"), "");
      });

      await test("rows with owners are each owner's own, new or there, under the same key", async () => {
        for (const n of [1, 2]) {
          await Promise.all(
            sessions.map((session) => start(call(session), put("owned", n, session.owner, "same"))),
          );
          await Promise.all(
            sessions.map((session, at) =>
              start(call(session), put("owned", n + 2, sessions[2 - at]!.owner))
            ),
          );
        }
        assert.ok(sent.includes("put_group"));
        const found = (await rows("owned", true)).split(" ").toSorted();
        assert.deepEqual(found, [
          "ada:ada=2",
          "ada:cy=4",
          "ada:same=2",
          "bob:bob=4",
          "bob:same=2",
          "cy:ada=4",
          "cy:cy=2",
          "cy:same=2",
        ]);
      });

      for (const there of [true, false]) {
        await test(`a row that a later transaction ${there ? "wrote" : "deleted"} is its own call's conflict`, async () => {
          await db.admin.unsafe(
            `update ${await db.place("plain")} set ${there ? "_txid" : "_deleted_txid"} = ${LATER}
              where id = 'a'`,
          );
          const refused = call(ada, { retry: 0 });
          const [conflict] = await Promise.allSettled([
            start(refused, put("plain", 1, "new", "a")),
            start(call(bob), put("plain", 2, "b")),
            start(call(cy), put("plain", 3, "other")),
          ]);
          assert.ok(conflict!.status === "rejected" && conflict.reason.code === "CONFLICT");
          assert.deepEqual(sent, ["put_group", "put_many"], "and the others commit in company");
          assert.equal(await effects(refused), 0);
          assert.equal(await rows("plain"), `${there ? "a=0 " : ""}b=2 c=0 other=3`);
        });
      }

      await test("a row that somebody has locked holds its own call and no other", async () => {
        let first!: Promise<unknown>;
        await db.admin.begin(async (tx) => {
          await tx.unsafe(`select pg_advisory_xact_lock(${keyLock("'main'", "'plain'", "'new'")})`);
          first = start(call(ada), put("plain", 1, "a", "new"));
          await Promise.all([
            start(call(bob), put("plain", 2, "b")),
            start(call(cy), put("plain", 3, "other")),
          ]);
          assert.equal(await rows("plain"), "a=0 b=2 c=0 other=3");
        });
        await first;
        assert.equal(await rows("plain"), "a=1 b=2 c=0 other=3 new=1");
      });

      await test("of two calls that write the same row, there or new, both commit one after the other", async () => {
        await Promise.all([
          start(call(ada), put("plain", 1, "a", "new")),
          start(call(bob), put("plain", 2, "a", "new")),
          start(call(cy), put("plain", 3, "b")),
        ]);
        assert.match(await rows("plain"), /^a=(\d) b=3 c=0 new=\1$/);
        const [closed] = await db.admin.unsafe(
          `select count(*)::int as n from ${await db.place(
            "plain",
          )} where _deleted_txid is not null`,
        );
        // Two of "a", one of "new", one of "b".
        assert.equal(closed!.n, 4);
      });

      await test("a row without its declared type is told to who wrote it, and the rest commits", async () => {
        const wrong = storageEngine({
          database: grouped,
          tables: [table("plain", [field("n", { kind: "string" })])],
        });
        await Promise.all([
          assert.rejects(
            run(wrong, call(ada), (s) => s.plain!.set("new", { n: "no number" })),
            code("VALIDATION"),
          ),
          start(call(bob), put("plain", 1, "a")),
          start(call(cy), put("plain", 2, "other")),
        ]);
        assert.equal(await rows("plain"), "a=1 b=0 c=0 other=2");
      });

      for (const when of ["before", "after"] as const) {
        await test(`a connection lost ${when} a group was applied: once where there is a request id, else unknown`, async () => {
          lost = when;
          const calls = [call(ada), call(bob)];
          const outcomes = await Promise.all(
            calls.map((options, n) => start(options, put("plain", 1, "abx"[n * 2]!))),
          );
          assert.deepEqual(
            outcomes.map(({ replayed, feeds }) => [replayed, feeds.length]),
            Array(2).fill([when === "after", 1]),
          );
          for (const options of calls) assert.equal(await effects(options), 1);
          assert.equal(await rows("plain"), "a=1 b=0 c=0 x=1");
          lost = when;
          sent.length = 0;
          const unknown = await Promise.allSettled(
            [ada, bob].map((session, n) =>
              start(call(session, { effect: null }), put("plain", 2, "aby"[n * 2]!))
            ),
          );
          for (const each of unknown) {
            assert.ok(each.status === "rejected" && each.reason.code === "OUTCOME_UNKNOWN");
          }
          assert.deepEqual(sent, ["put_group"]);
          assert.equal(
            await rows("plain"),
            when === "after" ? "a=2 b=0 c=0 x=1 y=2" : "a=1 b=0 c=0 x=1",
          );
        });
      }

      await test("who follows a table gets each row that is new or changed once", async () => {
        const follow = (after: string | null) =>
          engine.changes({ session: ada, table: "plain", after, limit: 9 });
        const { position } = await follow(null);
        await Promise.all([
          start(call(ada), put("plain", 1, "a", "x")),
          start(call(bob), put("plain", 2, "y")),
        ]);
        assert.ok(sent.includes("put_group"));
        const { changes } = await follow(position);
        assert.deepEqual(
          changes.map(({ type, id, data }) => `${type} ${id}=${data!.n}`).toSorted(),
          ["insert x=1", "insert y=2", "update a=1"],
        );
      });
    } finally {
      world.end();
      await plain.close();
      await db.close();
    }
  },
});
