/**
 * A connection that breaks before, while and after a statement reaches the server: nothing is lost,
 * nothing is applied twice, and nobody is told a thing that is not so.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import type { CallOptions, StorageEngine } from "../../storage/contract.ts";
import { storageEngine } from "../../storage/engine.ts";
import { keyLock } from "../../storage/migrate/lock_keys.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { neverIdle } from "../../storage/testing/company.ts";
import { call, field, number, run, table } from "../../storage/testing/tables.ts";
import { testDatabase } from "../postgres.ts";
import { type Cut, cuttingProxy } from "./cutting_proxy.ts";

const TABLES = [table("counters", [field("value", number)]), table("marks", [field("of", number)])];

Deno.test({
  name: "faults: a connection breaks around a statement",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(TABLES);
    const proxy = await cuttingProxy(db.gatewayUrl);
    const database = postgresDatabase({ url: proxy.url, max: 1 });
    const straight = postgresDatabase({ url: db.gatewayUrl, max: 2 });
    const engine = storageEngine({ database, tables: TABLES });
    const other = storageEngine({ database: straight, tables: TABLES });
    const session = await engine.openSession(await db.token());

    const stored = async (id: string): Promise<readonly unknown[]> => {
      const { value } = await run(other, call(session, { readOnly: true }), async (s) => [
        (await s.counters!.get(id))?.value ?? null,
        await s.marks!.count(),
      ]);
      return value;
    };
    /** Adds one and pushes a mark; the connection breaks around the commit of the first run. */
    const addOne = async (
      on: StorageEngine,
      id: string,
      cut: Cut | null,
      extra: Partial<CallOptions>,
    ): Promise<{ readonly runs: number; readonly replayed: boolean }> => {
      let runs = 0;
      const { outcome } = await run(on, call(session, extra), async (s) => {
        const row = await s.counters!.get(id);
        await s.counters!.set(id, { value: Number(row?.value ?? 0) + 1 });
        await s.marks!.push({ of: 1 });
        if (++runs === 1 && cut !== null) void proxy.cut(cut);
      });
      return { runs, replayed: outcome.replayed };
    };
    /** A new connection prepares each statement first, by the types it is given; the cuts are about its execution. */
    const warm = async (): Promise<void> => {
      await addOne(engine, "warm", null, {});
      await addOne(engine, "warm", null, { effect: null });
    };
    let reqno = 0n;
    try {
      for (const cut of ["before", "after", "reset", "inside"] as const) {
        await t.step(
          `${cut}: a commit with a request id is applied once and acknowledged`,
          async () => {
            await warm();
            const [, marks] = await stored(cut);
            const effect = { lane: "cut", reqno: ++reqno };
            const { runs, replayed } = await addOne(engine, cut, cut, { effect });
            assert.equal(runs, 1);
            assert.equal(replayed, cut !== "before");
            assert.deepEqual(await stored(cut), [1, Number(marks) + 1]);
            // And whoever sends the request again gets the same answer and no second effect.
            assert.equal((await addOne(other, cut, null, { effect })).replayed, true);
            assert.deepEqual(await stored(cut), [1, Number(marks) + 1]);
          },
        );

        await t.step(`${cut}: without a request id the outcome is said to be unknown`, async () => {
          const id = `${cut} unknown`;
          await warm();
          const [, marks] = await stored(id);
          await assert.rejects(addOne(engine, id, cut, { effect: null }), (error) => {
            assert.ok(error instanceof KontractError, String(error));
            assert.equal(error.code, "OUTCOME_UNKNOWN");
            return true;
          });
          // Whichever it was: whole or nothing, and not twice.
          const applied = cut === "before" ? 0 : 1;
          assert.deepEqual(await stored(id), [applied || null, Number(marks) + applied]);
        });

        await t.step(
          `${cut}: a read that breaks gives a typed error or the right row`,
          async () => {
            await warm();
            const broken = proxy.cut(cut);
            const first = run(
              engine,
              call(session, { readOnly: true }),
              (s) => s.counters!.get(cut),
            );
            await first.then(
              ({ value }) => assert.deepEqual(value, { id: cut, value: 1 }),
              (error) => {
                assert.ok(error instanceof KontractError, String(error));
                assert.equal(error.code, "DATABASE_UNAVAILABLE");
              },
            );
            await broken;
            for (let i = 0; i < 3; i++) {
              const { value } = await run(
                engine,
                call(session),
                (s) => s.counters!.getMany([cut, "none"]),
              );
              assert.deepEqual(value, [{ id: cut, value: 1 }, null]);
            }
          },
        );
      }

      await t.step(
        "a commit that the server's own timeout ends is undone, and said to be",
        async () => {
          await db.admin.unsafe(`alter role ${db.gatewayRole} set statement_timeout = '300ms'`);
          const hurried = postgresDatabase({ url: db.gatewayUrl, max: 2 });
          const hurry = storageEngine({ database: hurried, tables: TABLES });
          try {
            await db.admin.begin(async (tx) => {
              const held = keyLock("'main'", "'counters'", "'slow'");
              await tx.unsafe(`select pg_advisory_xact_lock(${held})`);
              for (const effect of [null, { lane: "slow", reqno: 1n }]) {
                const options = call(session, { effect });
                const late = run(hurry, options, (s) => s.counters!.set("slow", { value: 1 }));
                await assert.rejects(late, { code: "DEADLINE_EXCEEDED" });
              }
            });
            assert.equal((await stored("slow"))[0], null);
          } finally {
            await hurried.close();
            await db.admin.unsafe(`alter role ${db.gatewayRole} reset statement_timeout`);
          }
        },
      );

      const [server] = await db.admin`select current_setting('server_version_num')::int as version`;
      await t.step({
        name: "a commit whose transaction and connection the server ends: once, or unknown",
        ignore: server!.version < 170000,
        fn: async () => {
          // Only who sets it for this very role is not overruled.
          const name = new URL(db.adminUrl).pathname.slice(1);
          const role = `alter role ${db.gatewayRole} in database ${name}`;
          await db.admin.unsafe(`${role} set transaction_timeout = '300ms'`);
          const hurried = postgresDatabase({ url: db.gatewayUrl, max: 2 });
          let lost = Promise.withResolvers<void>();
          const hurry = storageEngine({
            database: {
              execute: async (statement, params) => {
                try {
                  return await hurried.execute(statement, params);
                } catch (error) {
                  lost.resolve();
                  throw error;
                }
              },
              close: () => hurried.close(),
            },
            tables: TABLES,
          });
          try {
            let sure!: Promise<unknown>;
            const set = (options: CallOptions): Promise<unknown> =>
              run(hurry, options, (s) => s.counters!.set("ended", { value: 1 }));
            await db.admin.begin(async (tx) => {
              const held = keyLock("'main'", "'counters'", "'ended'");
              await tx.unsafe(`select pg_advisory_xact_lock(${held})`);
              const unsure = set(call(session, { effect: null }));
              await assert.rejects(unsure, { code: "OUTCOME_UNKNOWN" });
              assert.equal((await stored("ended"))[0], null);
              lost = Promise.withResolvers<void>();
              sure = set(call(session, { effect: { lane: "ended", reqno: 1n } }));
              await lost.promise;
            });
            await sure;
            assert.equal((await stored("ended"))[0], 1);
          } finally {
            await hurried.close();
            await db.admin.unsafe(`${role} reset transaction_timeout`);
          }
        },
      });

      await t.step(
        "a group of commits on the one connection there is: each of them once",
        async () => {
          let next: Cut | null = null;
          const { grouped, sent } = neverIdle({
            execute: (statement, params) => {
              if (next !== null && statement.startsWith("put_group:")) void proxy.cut(next);
              if (statement.startsWith("put_group:")) next = null;
              return database.execute(statement, params);
            },
            close: () => Promise.resolve(),
          });
          const together = storageEngine({ database: grouped, tables: TABLES });
          const ids = Array.from({ length: 6 }, (_, n) => `together ${n}`);
          for (const id of ids) {
            await run(other, call(session), (s) => s.counters!.set(id, { value: 0 }));
          }
          const all = (): Promise<readonly boolean[]> =>
            Promise.all(ids.map(async (id) => {
              const { outcome } = await run(together, call(session), async (s) => {
                const row = await s.counters!.get(id);
                await s.counters!.update(id, { value: Number(row!.value) + 1 });
              });
              return outcome.replayed;
            }));
          await all();
          for (const [n, cut] of (["before", "after", "reset", "inside"] as const).entries()) {
            const groups = sent.filter((name) => name === "put_group").length;
            next = cut;
            assert.deepEqual(await all(), ids.map(() => cut !== "before"));
            assert.ok(sent.filter((name) => name === "put_group").length > groups);
            for (const id of ids) assert.equal((await stored(id))[0], n + 2);
          }
        },
      );
    } finally {
      await database.close();
      await straight.close();
      await proxy.close();
      await db.close();
    }
  },
});
