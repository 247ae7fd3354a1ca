/**
 * Followers whose questions go together: each is told what it would be told alone, from its own position.
 *
 * @module
 */
import assert from "node:assert/strict";
import { enterTenant, suiteTenant, testDatabase } from "../tests/postgres.ts";
import { until } from "../tests/until.ts";
import type { Change, ChangesOptions, StorageSession } from "./contract.ts";
import { SqlError } from "./database.ts";
import { storageEngine } from "./engine.ts";
import { groupedFeeds } from "./feed_groups.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { code } from "./testing/expect_code.ts";
import { silentDatabase } from "./testing/silent_database.ts";
import { call, field, run, string, table } from "./testing/tables.ts";

const TABLES = [
  table("plain", [field("text", string)]),
  table("owned", [field("text", string)], { rows: "owner" }),
  table("closed", [field("text", string)], { perm: 3 }),
];
const tenant = suiteTenant(import.meta);
const STATEMENT = tenant === "main" ? "changes" : "tenant:changes";
const GROUP = `${STATEMENT}_group`;

const brief = (changes: readonly Change[]): string[] =>
  changes.map(({ type, id }) => `${type} ${id}`);

Deno.test("a question that is not answered holds up others like it for a tenth of a second", () => {
  const { database, sent, alarms } = silentDatabase();
  const grouped = groupedFeeds(database);
  const ask = (table: string, limit = 9): void =>
    void grouped.execute("changes", ["sid", table, "[]", null, limit]);
  for (const table of ["a", "a", "b", "a"]) ask(table);
  ask("a", 0);
  assert.deepEqual(sent, ["changes", "changes", "changes"], "another question is not held up");
  assert.ok(alarms.every(({ ms }) => ms === 100));
  alarms.shift()!.ring();
  assert.deepEqual(sent.slice(3), ["changes_group"]);
  alarms.length = 0;
  for (let n = 0; n < 600; n++) ask("c");
  sent.length = 0;
  while (alarms.length > 0) alarms.shift()!.ring();
  assert.deepEqual(sent, Array(3).fill("changes_group"), "nor those for whom it had no room");
});

Deno.test({
  name: `followers whose questions go together, tenant ${tenant}`,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await enterTenant(await testDatabase(TABLES), tenant);
    const plain = postgresDatabase({ url: db.gatewayUrl });
    const sent: string[] = [];
    const grouped = groupedFeeds({
      execute: (statement, params) => {
        sent.push(statement);
        return plain.execute(statement, params);
      },
      close: () => plain.close(),
    });
    const engine = storageEngine({ database: grouped, tables: TABLES });
    const open = async (owner: string, family = owner): Promise<StorageSession> =>
      await engine.openSession(await db.token({ owner, family }));
    const [ada, bob, cy] = [await open("ada"), await open("bob"), await open("cy")];
    const ask = (session: StorageSession, more: Partial<ChangesOptions> = {}) =>
      engine.changes({ session, table: "plain", after: null, limit: 10, ...more });
    const here = async (table = "plain"): Promise<string> => (await ask(ada, { table })).position;
    const write = async (owner: StorageSession, table: string, id: string, text = "x") => {
      await run(engine, call(owner), (s) => s[table]!.set(id, { text }));
    };
    const test = (name: string, work: () => Promise<void>): Promise<unknown> =>
      t.step(name, async () => {
        sent.length = 0;
        await work();
      });
    try {
      await test("each is told what came after its own position, and all stand at one then", async () => {
        const first = await here();
        await write(ada, "plain", "1");
        const second = await here();
        await write(bob, "plain", "2");
        sent.length = 0;
        const batches = await Promise.all(
          [first, first, second, first, second, null].map((after, n) =>
            ask([ada, bob, cy][n % 3]!, { after })
          ),
        );
        assert.deepEqual(sent, [STATEMENT, GROUP]);
        const [both, one] = [["insert 1", "insert 2"], ["insert 2"]];
        assert.deepEqual(batches.map(({ changes }) => brief(changes)), [
          ...[both, both, one, both, one],
          [],
        ]);
        assert.deepEqual(batches[1]!.changes[0]!.data, { id: "1", text: "x" });
        // The first of them asked alone, and other databases of the server may have written since.
        assert.equal(new Set(batches.slice(1).map(({ position }) => position)).size, 1);
        assert.ok(batches.every(({ reset, more }) => !reset && !more));
      });

      await test("rows of an owner are told to nobody else", async () => {
        const after = await here("owned");
        for (const who of [ada, bob, cy]) await write(who, "owned", `of ${who.owner}`);
        sent.length = 0;
        const batches = await Promise.all(
          [ada, bob, cy, bob].map((who) => ask(who, { table: "owned", after })),
        );
        assert.deepEqual(sent, [STATEMENT, GROUP]);
        assert.deepEqual(batches.map(({ changes }) => brief(changes)), [
          ...[["insert of ada"], ["insert of bob"], ["insert of cy"], ["insert of bob"]],
        ]);
      });

      await test("who has no session any more, or never had one, hears that and nothing else", async () => {
        const gone = await open("eve", "eve's sign-in");
        const after = await here();
        await write(ada, "plain", "3");
        const system = await engine.openSession(
          await db.token({ owner: "_system", family: "_system", system: true }),
        );
        await engine.revokeFamily(system, "eve's sign-in", Date.now() + 3_600_000);
        sent.length = 0;
        const asked = [ada, gone, bob, { ...cy, sid: "nobody" }].map((who) => ask(who, { after }));
        const ended = [asked[1]!, asked[3]!].map((one) =>
          assert.rejects(one, code("SESSION_REVOKED"))
        );
        for (const one of [asked[0]!, asked[2]!]) {
          assert.deepEqual(brief((await one).changes), ["insert 3"]);
        }
        await Promise.all(ended);
        assert.deepEqual(sent, [STATEMENT, GROUP, GROUP, STATEMENT, STATEMENT]);
      });

      await test("sessions are found by index, also while there are few", async () => {
        await db.admin`analyze kontract.trxs`;
        await db.admin.begin(async (tx) => {
          const group = [[ada.sid, bob.sid], "plain", "[]", [null, null], 10];
          await tx.unsafe("select kontract.changes_group($1, $2, $3::text::jsonb, $4, $5)", group);
          const [scans] = await tx`
            select pg_stat_get_xact_numscans('kontract.trxs'::regclass)::int as whole`;
          assert.equal(scans!.whole, 0);
        });
      });

      await test("a table that may not be read is refused to each", async () => {
        const asked = [ada, bob, cy].map(({ sid }) =>
          grouped.execute(STATEMENT, [sid, "closed", "[]", null, 10])
        );
        const isRefused = (error: unknown): boolean =>
          error instanceof SqlError && error.failure.sqlstate === "42501";
        await Promise.all(asked.map((one) => assert.rejects(one, isRefused)));
      });

      await test("a lock that is in the way is waited for by none of them again", async () => {
        const after = await here();
        await write(ada, "plain", "locked");
        await db.admin.begin(async (tx) => {
          await tx.unsafe(`lock table ${await db.place("plain")} in access exclusive mode`);
          sent.length = 0;
          const asked = [ada, bob, cy, ada].map((who) => ask(who, { after }));
          await Promise.all(asked.map((one) => assert.rejects(one, code("CONFLICT"))));
        });
        assert.deepEqual(sent, [STATEMENT, GROUP]);
      });

      await test("those of one tenant wait for its table once, wherever they stand", async () => {
        const ptr = await db.place("plain");
        const after = await here();
        await write(ada, "plain", "held");
        const asked = await db.admin.begin(async (tx) => {
          await tx.unsafe(`lock table ${ptr} in access exclusive mode`);
          sent.length = 0;
          const asked = [ada, bob, cy].map((who, n) => ask(who, { after: n === 1 ? null : after }));
          await until(async () =>
            (await tx`select from pg_locks
              where relation = ${ptr}::regclass and not granted`).length >= 2
          );
          return asked;
        });
        const told = (await Promise.all(asked)).map(({ changes }) => brief(changes));
        assert.deepEqual(told, [["insert held"], [], ["insert held"]]);
        assert.deepEqual(sent, [STATEMENT, GROUP]);
      });

      if (tenant !== "main") {
        await test("a lock on one tenant's table holds up that tenant's followers, together", async () => {
          const other = await enterTenant(db, "other");
          const [dan, eve] = await Promise.all(
            ["dan", "eve"].map(async (owner) =>
              await engine.openSession(await other.token({ owner, family: owner }))
            ),
          );
          const places = [await db.place("plain"), await other.place("plain")];
          const [after, there] = [await here(), (await ask(dan!)).position];
          await write(ada, "plain", "of one");
          await write(dan!, "plain", "of the other");
          const sides = [
            { where: places[0]!, who: [ada, bob], after, id: "of one" },
            { where: places[1]!, who: [dan!, eve!], after: there, id: "of the other" },
          ];
          for (const [locked, free] of [sides, sides.toReversed()]) {
            const refused: Promise<unknown>[] = [];
            await db.admin.begin(async (tx) => {
              await tx.unsafe(`lock table ${locked!.where} in access exclusive mode`);
              sent.length = 0;
              const told = [ask(free!.who[0]!, { after: free!.after })];
              for (const at of [locked!.after, locked!.after, null]) {
                const one = ask(locked!.who[refused.length % 2]!, { after: at });
                refused.push(assert.rejects(one, code("CONFLICT")));
              }
              told.push(ask(free!.who[1]!, { after: free!.after }));
              for (const one of told) {
                assert.deepEqual(brief((await one).changes), [`insert ${free!.id}`]);
              }
              assert.deepEqual(sent.slice(0, 2), [STATEMENT, GROUP], "while the lock is held");
              await Promise.all(refused);
            });
            assert.deepEqual(sent, [STATEMENT, GROUP, GROUP]);
          }
          await db.admin.begin(async (tx) => {
            for (const at of places) await tx.unsafe(`lock table ${at} in access exclusive mode`);
            sent.length = 0;
            const all = [dan!, eve!, ada].map((who, n) =>
              ask(who, { after: n < 2 ? there : after })
            );
            await Promise.all(all.map((one) => assert.rejects(one, code("CONFLICT"))));
          });
          assert.deepEqual(sent, [STATEMENT, GROUP], "nor is it asked without a pause");
        });
      }

      await test("a server without room for a connection has none for each of them", async () => {
        const full = { sqlstate: "53300", message: "too many connections", notSent: true };
        const crowded = groupedFeeds({
          execute: (statement, params) => {
            sent.push(statement);
            return statement === GROUP
              ? Promise.reject(new SqlError(full))
              : plain.execute(statement, params);
          },
          close: () => Promise.resolve(),
        });
        const crowd = storageEngine({ database: crowded, tables: TABLES });
        const asked = [ada, bob, cy].map((session) =>
          crowd.changes({ session, table: "plain", after: null, limit: 10 })
        );
        const refused = asked.slice(1).map((one) => assert.rejects(one, code("OVERLOADED")));
        await Promise.all([asked[0], ...refused]);
        assert.deepEqual(sent, [STATEMENT, GROUP]);
      });

      await test("another filter and another limit are another question", async () => {
        const after = await here();
        await write(ada, "plain", "4", "yes");
        sent.length = 0;
        const [all, some, none, any] = await Promise.all([
          ask(ada, { after }),
          ask(bob, { after, filter: { text: "yes" } }),
          ask(bob, { after, filter: { text: "no" } }),
          ask(cy, { after, limit: 0 }),
        ]);
        assert.deepEqual(brief(all!.changes), ["insert 4"]);
        assert.deepEqual(brief(some!.changes), ["insert 4"]);
        assert.deepEqual(none!.changes, []);
        assert.deepEqual([any!.more, any!.changes], [true, []]);
        assert.deepEqual(sent, Array(4).fill(STATEMENT));
      });

      await test("those for whom it would be too much at once ask once more", async () => {
        const positions: string[] = [];
        for (let n = 0; n < 4; n++) {
          positions.push(await here());
          await write(ada, "plain", `large ${n}`, "x".repeat(600_000));
        }
        sent.length = 0;
        const batches = await Promise.all(
          [...positions, ...positions].map((after) => ask(bob, { after })),
        );
        const told = [4, 3, 2, 1, 4, 3, 2, 1];
        assert.deepEqual(batches.map(({ changes }) => changes.length), told);
        assert.deepEqual(sent.slice(0, 3), [STATEMENT, GROUP, GROUP]);
        assert.ok(sent.length < 6, "and not each alone");
      });

      await test("more than a group has room for are a few groups", async () => {
        const after = await here();
        await write(ada, "plain", "5");
        sent.length = 0;
        const batches = await Promise.all(
          Array.from({ length: 600 }, (_, n) => ask([ada, bob, cy][n % 3]!, { after })),
        );
        assert.ok(batches.every(({ changes }) => brief(changes).join() === "insert 5"));
        assert.deepEqual(sent, [STATEMENT, GROUP, GROUP, GROUP]);
      });

      await test("a database of a build before has no groups: everybody asks alone", async () => {
        await db.admin`drop function kontract.changes_group`;
        const after = await here();
        await write(ada, "plain", "6");
        sent.length = 0;
        for (let round = 0; round < 2; round++) {
          const batches = await Promise.all([ada, bob, cy].map((who) => ask(who, { after })));
          assert.ok(batches.every(({ changes }) => brief(changes).join() === "insert 6"));
        }
        assert.deepEqual(sent, [STATEMENT, GROUP, ...Array(5).fill(STATEMENT)]);
      });
    } finally {
      await grouped.close();
      await db.close();
    }
  },
});
