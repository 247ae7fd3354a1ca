import assert from "node:assert/strict";
import { testDatabase } from "../../tests/postgres.ts";
import type { StorageSession, Transaction } from "../contract.ts";
import type { Database } from "../database.ts";
import { storageEngine } from "../engine.ts";
import { postgresDatabase } from "../postgres_database.ts";
import { migrateDown } from "../migrate/down.ts";
import type { MigrationFile } from "../migrate/migration.ts";
import { migrateUp } from "../migrate/mod.ts";
import { ACCOUNTS, type AnyStorage, call, field, NOTES, number, run } from "../testing/tables.ts";
import { collectGarbage, type GarbageReport } from "./garbage.ts";
import { runScheduledGarbage } from "./schedule.ts";

const HOUR = 60 * 60 * 1000;
const tables = [ACCOUNTS, NOTES];
const db = await testDatabase(tables, {}, "alone");
const database = postgresDatabase({ url: db.gatewayUrl });
const engine = storageEngine({ database, tables });
const [found] = await db.admin`select ptr from kontract.storage where id = 'accounts'`;
const data = `kontract_private.${found!.ptr}`;

/** Time passes: every marker was written that much earlier. */
async function later(ms: number): Promise<void> {
  await db.admin`update kontract_private.markers set at = at - make_interval(secs => ${ms / 1000})`;
}

/** A marker now, and two hours more. */
async function expire(collect: () => Promise<unknown>): Promise<void> {
  await later(60_000);
  await collect();
  await later(2 * HOUR);
}

async function versions(): Promise<number> {
  const [row] = await db.admin.unsafe(`select count(*)::int as n from ${data}`);
  return Number(row!.n);
}

Deno.test({
  name: "garbage collection",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    const session = await engine.openSession(await db.token());
    const system = await engine.openSession(await db.token({ system: true }));
    const collect = (
      extra: Partial<Parameters<typeof collectGarbage>[1]> = {},
      on: Database = database,
    ): Promise<GarbageReport> => collectGarbage(on, { session: system, ...extra });
    const update = async (id: string, balance: number): Promise<void> => {
      await run(engine, call(session), (s) => s.accounts!.set(id, { balance }));
    };
    /** A call that has read `id` and waits. */
    const hold = async (id: string, options = call(session, { retry: 0 })): Promise<{
      read(id: string): Promise<unknown>;
      write(id: string, balance: number): Promise<unknown>;
      all(): Promise<number>;
      end(): Promise<unknown>;
    }> => {
      const started = Promise.withResolvers<Transaction>();
      const wait = Promise.withResolvers<void>();
      const ended = engine.run(options, async (transaction) => {
        await (transaction.storage as AnyStorage).accounts!.get(id);
        started.resolve(transaction);
        await wait.promise;
        return new Uint8Array();
      }).then(() => "done", (error: { code?: string }) => error.code);
      const storage = (await started.promise).storage as AnyStorage;
      return {
        read: async (key) => (await storage.accounts!.get(key))?.balance,
        write: (key, balance) => storage.accounts!.set(key, { balance }),
        all: () => storage.accounts!.count({ balance: { gte: 0 } }),
        end: () => (wait.resolve(), ended),
      };
    };
    try {
      await test("nothing goes while no marker is older than retention", async () => {
        for (let n = 0; n < 5; n++) await update("a", n);
        const report = await collect();
        assert.deepEqual([report.removed, report.horizon, report.finished], [0, null, true]);
        await later(HOUR / 2);
        await collect();
        assert.equal(await versions(), 5);
      });

      await test("what was closed before the horizon goes, and nothing else", async () => {
        await later(HOUR);
        await update("a", 10); // after the marker that gives the horizon
        const report = await collect();
        assert.equal(report.removed, 4);
        assert.notEqual(report.horizon, null);
        assert.equal(await versions(), 2);
        assert.equal((await collect()).removed, 0);
        await run(engine, call(session), async (s) => {
          assert.equal((await s.accounts!.get("a"))!.balance, 10);
        });
      });

      await test("a snapshot and a resume token inside retention see what they saw", async () => {
        await update("b", 1);
        const held = await hold("b", call(session, { readOnly: true, effect: null }));
        const { position } = await engine.changes({
          session,
          table: "accounts",
          after: null,
          limit: 10,
        });
        await update("b", 2);
        await run(engine, call(session), (s) => s.accounts!.delete("a"));
        await collect();
        await later(HOUR - 120_000);
        await collect();
        assert.equal(await held.read("b"), 1);
        assert.equal(await held.read("a"), 10);
        assert.equal(await held.all(), 2);
        const batch = await engine.changes({
          session,
          table: "accounts",
          after: position,
          limit: 10,
        });
        assert.deepEqual(batch.changes.map(({ type, id }) => `${type} ${id}`), [
          "update b",
          "delete a",
        ]);
        assert.equal(await held.end(), "done");
      });

      await test("an older snapshot is too old, in reads and in commit; a token resets", async () => {
        const reader = await hold("b", call(session, { readOnly: true, effect: null }));
        const writer = await hold("b");
        const blind = await hold("b");
        const { position } = await engine.changes({
          session,
          table: "accounts",
          after: null,
          limit: 10,
        });
        await update("c", 1);
        await update("c", 2);
        await expire(collect);
        assert.ok((await collect()).removed > 0);
        await assert.rejects(reader.read("c"), { code: "SNAPSHOT_TOO_OLD" });
        await assert.rejects(reader.all(), { code: "SNAPSHOT_TOO_OLD" });
        assert.equal(await reader.end(), "SNAPSHOT_TOO_OLD");
        await writer.write("b", 5);
        assert.equal(await writer.end(), "SNAPSHOT_TOO_OLD");
        assert.equal(await blind.end(), "done");
        const batch = await engine.changes({
          session,
          table: "accounts",
          after: position,
          limit: 10,
        });
        assert.deepEqual([batch.reset, batch.changes.length], [true, 0]);
      });

      await test("a predicate read in one table is spoiled by that table's horizon", async () => {
        const held = await hold("b");
        await held.all();
        await db.admin`update kontract.storage set horizon = pg_snapshot_xmax(pg_current_snapshot())
          where id = 'accounts'`;
        // 'notes' comes first in the commit; its own horizon is fine.
        const started = Promise.withResolvers<AnyStorage>();
        const wait = Promise.withResolvers<void>();
        const mixed = engine.run(call(session, { retry: 0 }), async (transaction) => {
          const storage = transaction.storage as AnyStorage;
          await storage.notes!.get("n");
          await storage.accounts!.count({});
          started.resolve(storage);
          await wait.promise;
          await storage.notes!.set("n", { text: "x" });
          return new Uint8Array();
        }).then(() => "done", (error: { code?: string }) => error.code);
        await started.promise;
        await update("z", 1);
        await db.admin`update kontract.storage set horizon = pg_snapshot_xmax(pg_current_snapshot())
          where id = 'accounts'`;
        wait.resolve();
        assert.equal(await mixed, "SNAPSHOT_TOO_OLD");
        assert.equal(await held.end(), "done"); // wrote nothing, so nothing is validated
        await db.admin`update kontract.storage set horizon = '0'`;
      });

      await test("one statement removes one batch, one run its budget; the next run goes on", async () => {
        for (let n = 0; n < 30; n++) await update("d", n);
        await expire(collect);
        const first = await collect({ batch: 7, rows: 10 });
        assert.deepEqual([first.removed, first.finished], [14, false]);
        const second = await collect({ batch: 7 });
        assert.ok(second.removed >= 15, String(second.removed));
        assert.equal(second.finished, true);
        const spent = await collect({ now: ticking(30_000) });
        assert.deepEqual([spent.finished, spent.statements], [false, 1]);
      });

      await test("a budget that one table spends leaves no other table out", async () => {
        for (let n = 0; n < 12; n++) await update("f", n);
        for (const text of ["x", "y", "z"]) {
          await run(engine, call(session), (s) => s.notes!.set("n", { text }));
        }
        const [row] = await db.admin`select ptr from kontract.storage where id = 'notes'`;
        const closed = async (): Promise<number> =>
          (await db.admin.unsafe(`select 1 from kontract_private.${row!.ptr}
            where _deleted_txid is not null`)).length;
        await expire(collect);
        assert.equal((await collect({ batch: 2, rows: 2 })).finished, false);
        assert.ok(await closed() >= 2);
        assert.equal((await collect({ batch: 2, rows: 2 })).finished, false);
        assert.equal((await collect({ batch: 2, rows: 2 })).finished, false);
        assert.equal(await closed(), 0);
        const report = await collect();
        assert.deepEqual([report.finished, report.removed >= 7], [true, true]);
      });

      await test("a commit under way holds the horizon off; a held lock delays no run for long", async () => {
        const [place] = await db.admin`
          select ptr from kontract.storage where owner = 'main' and id = 'accounts'`;
        for (
          const held of [
            "select pg_advisory_xact_lock_shared(hashtextextended('main' || chr(10) || 'accounts', 11))",
            // As a migration holds a table that it changes in place.
            `lock table kontract_private.${place!.ptr} in access exclusive mode`,
          ]
        ) {
          for (let n = 0; n < 3; n++) await update("e", n);
          await expire(collect);
          const release = Promise.withResolvers<void>();
          const locked = Promise.withResolvers<void>();
          const squatter = db.admin.begin(async (tx) => {
            await tx.unsafe(held);
            locked.resolve();
            await release.promise;
          });
          await locked.promise;
          const report = await collect().finally(() => release.resolve());
          assert.deepEqual([report.removed, report.finished], [0, true], held);
          await squatter;
          assert.ok((await collect()).removed >= 2);
        }
      });

      await test("two runs at once: one works, the other leaves it to it", async () => {
        const release = Promise.withResolvers<void>();
        const locked = Promise.withResolvers<void>();
        const other = db.admin.begin(async (tx) => {
          await tx`select pg_advisory_xact_lock(hashtextextended('kontract garbage', 0))`;
          locked.resolve();
          await release.promise;
        });
        await locked.promise;
        assert.equal((await collect()).busy, true);
        release.resolve();
        await other;
        const reports = await Promise.all([collect(), collect(), collect()]);
        assert.ok(reports.some(({ finished }) => finished));
      });

      await test("effects, sessions, token ids and tombstones go when nobody can need them", async () => {
        await collect();
        await db
          .admin`insert into kontract_private.effects (tenant, owner, lane, reqno, answer, created_at)
          select 'main', 'x', 'old', n, '', now() - interval '25 hours' from generate_series(1, 50) n`;
        await db
          .admin`insert into kontract_private.effects (tenant, owner, lane, reqno, answer, created_at)
          select 'main', 'x', 'new', n, '', now() - interval '23 hours' from generate_series(1, 3) n`;
        await db.admin`insert into kontract_private.token_ids
          select 'gone' || n, now() - interval '1 second' from generate_series(1, 50) n`;
        await db.admin`insert into kontract_private.tombstones
          select 'main', 'gone' || n, now() - interval '1 second' from generate_series(1, 50) n`;
        await db.admin`insert into kontract.trxs (sid, owner, tenant, family, expires_at)
          select sha256(n::text::bytea), 'x', 'main', 'f', now() - interval '2 hours' from generate_series(1, 50) n`;
        const report = await collect({ batch: 20 });
        assert.ok(report.swept >= 200 && report.statements >= 4, JSON.stringify(report));
        const [left] = await db.admin`select
          (select count(*) from kontract_private.effects where lane = 'old') as effects,
          (select count(*) from kontract_private.effects where lane = 'new') as kept,
          (select count(*) from kontract_private.token_ids where jti like 'gone%') as ids,
          (select count(*) from kontract_private.tombstones) as stones,
          (select count(*) from kontract.trxs where owner = 'x') as sessions`;
        assert.deepEqual({ ...left }, {
          effects: "0",
          kept: "3",
          ids: "0",
          stones: "0",
          sessions: "0",
        });
        assert.equal((await engine.openSession(await db.token())).owner, "alice");
      });

      await test("a day of updates leaves an hour's versions, at a bounded size", async () => {
        const keys = Array.from({ length: 100 }, (_, n) => `k${n}`);
        const sizes: number[] = [];
        for (let hour = 0; hour < 24; hour++) {
          for (let round = 0; round < 4; round++) {
            await run(engine, call(session, { effect: null }), async (s) => {
              for (const key of keys) await s.accounts!.set(key, { balance: hour * 4 + round });
            });
            await later(HOUR / 4);
            await collect();
          }
          await db.admin.unsafe(`vacuum ${data}`);
          const [size] = await db.admin.unsafe(`select pg_relation_size('${data}')::int as n`);
          sizes.push(Number(size!.n));
        }
        // The live one, an hour's four, and what the marker before the hour still holds.
        assert.ok(await versions() <= keys.length * 7, `${await versions()} versions`);
        const early = Math.max(...sizes.slice(0, 6));
        assert.ok(Math.max(...sizes.slice(6)) <= early * 2, sizes.join(" "));
        const [markers] = await db.admin`select count(*)::int as n from kontract_private.markers`;
        assert.ok(Number(markers!.n) <= 8, `${markers!.n} markers`);
      });

      await test("two days of requests and sessions leave a day's records, an hour's sessions, at a bounded size", async () => {
        const own = ["kontract_private.effects", "kontract.trxs", "kontract_private.token_ids"];
        const times = [["effects", "created_at"], ["trxs", "expires_at"], [
          "token_ids",
          "expires_at",
        ], ["tombstones", "until"]];
        const size = async (): Promise<number> => {
          const [row] = await db.admin.unsafe(
            `select ${own.map((name) => `pg_total_relation_size('${name}')`).join(" + ")} as n`,
          );
          return Number(row!.n);
        };
        const calls = 4;
        const sizes: number[] = [];
        for (let hour = 0; hour < 48; hour++) {
          for (let n = 0; n < calls; n++) await update(`h${n}`, hour);
          await engine.openSession(await db.token({ owner: "visitor" }));
          // As many more, without the time it takes to make them.
          await db.admin`insert into kontract_private.effects (tenant, owner, lane, reqno, answer)
            select 'main', 'day', ${`h${hour}`}, n, '' from generate_series(1, 100) n`;
          await db.admin`insert into kontract.trxs (sid, owner, tenant, family, expires_at)
            select sha256(convert_to(${hour} || '.' || n, 'UTF8')), 'day', 'main', 'f', now() + interval '15 minutes'
              from generate_series(1, 100) n`;
          await db.admin`insert into kontract_private.token_ids
            select ${hour} || '.' || n, now() + interval '5 minutes' from generate_series(1, 100) n`;
          for (const [name, column] of times) {
            const schema = name === "trxs" ? "kontract" : "kontract_private";
            const mine = name === "trxs" ? "where owner in ('day', 'visitor')" : "";
            await db.admin.unsafe(
              `update ${schema}.${name} set ${column} = ${column} - interval '1 hour' ${mine}`,
            );
          }
          await collect();
          for (const name of own) await db.admin.unsafe(`vacuum ${name}`);
          sizes.push(await size());
        }
        const [left] = await db.admin`select
          (select count(*)::int from kontract_private.effects where owner = 'day') as effects,
          (select count(*)::int from kontract_private.effects where lane = 'test'
              and created_at < now() - interval '24 hours') as old,
          (select count(*)::int from kontract.trxs where owner in ('day', 'visitor')) as sessions,
          (select count(*)::int from kontract_private.token_ids where jti like '47.%') as ids`;
        assert.deepEqual({ ...left }, { effects: 23 * 100, old: 0, sessions: 101, ids: 0 });
        const first = Math.max(...sizes.slice(0, 26));
        assert.ok(Math.max(...sizes.slice(26)) <= first * 1.3, sizes.join(" "));
      });

      await test("readers racing the collector see a whole snapshot or are told it is too old", async () => {
        const keys = Array.from({ length: 8 }, (_, n) => `bank${n}`);
        await run(engine, call(session), async (s) => {
          for (const key of keys) await s.accounts!.set(key, { balance: 100 });
        });
        let over = false;
        const transfers = Array.from({ length: 3 }, async (_, worker) => {
          for (let n = 0; !over; n++) {
            const [from, to] = [keys[(n + worker) % 8]!, keys[(n * 3 + 1) % 8]!];
            if (from === to) continue;
            await run(engine, call(session, { retry: 100 }), async (s) => {
              const [a, b] = [await s.accounts!.get(from), await s.accounts!.get(to)];
              await s.accounts!.set(from, { balance: (a!.balance as number) - 1 });
              await s.accounts!.set(to, { balance: (b!.balance as number) + 1 });
            });
          }
        });
        const collector = (async () => {
          while (!over) {
            await later(2 * HOUR);
            await collect({ batch: 50 });
          }
        })();
        let [whole, old] = [0, 0];
        try {
          for (let n = 0; n < 60; n++) {
            const options = call(session, { readOnly: true, effect: null });
            try {
              const { value } = await run(engine, options, async (s) => {
                let sum = 0;
                for (const key of keys) sum += (await s.accounts!.get(key))!.balance as number;
                // Most readers outlive a run of the collector.
                if (n % 2 === 1) {
                  await collect({ batch: 50 });
                  await later(2 * HOUR);
                  await collect({ batch: 50 });
                }
                const rows = await s.accounts!.query({}).limit(500);
                const again = rows.filter((row) => keys.includes(row.id as string));
                return [sum, again.reduce((all, row) => all + (row.balance as number), 0)];
              });
              assert.deepEqual(value, [800, 800]);
              whole++;
            } catch (error) {
              assert.equal((error as { code?: string }).code, "SNAPSHOT_TOO_OLD", String(error));
              old++;
            }
          }
        } finally {
          over = true;
          await Promise.all([...transfers, collector]);
        }
        assert.ok(whole > 0 && old > 0, `${whole} whole, ${old} too old`);
      });

      await test("markers of another life of the data count for nothing", async () => {
        await update("m", 1);
        await update("m", 2);
        await expire(collect);
        await db.admin`update kontract_private.markers set incarnation = 'restored from a dump'`;
        assert.equal((await collect()).horizon, null);
        await db.admin`update kontract_private.markers
          set at = at - interval '2 hours', horizon = '999999999999'`;
        const report = await collect();
        assert.deepEqual([report.removed, report.horizon], [0, null]);
        await db.admin`delete from kontract_private.markers`;
      });

      await test("where old versions are gone, a rollback takes a table for written", async () => {
        const wide = { ...NOTES, fields: [...NOTES.fields, field("n", number)] };
        const file: MigrationFile = {
          name: "0001_wide",
          hash: "",
          load: () =>
            Promise.resolve({
              up: (m) => m.transform("notes", (row) => ({ ...row, n: 0 })),
              down: (m) => m.transform("notes", ({ n: _, ...row }) => row),
            }),
        };
        const { adminUrl, secrets, gatewayRole } = db;
        const migrations = [file];
        await run(engine, call(session), (s) => s.notes!.set("kept", { text: "before" }));
        await migrateUp({ adminUrl, secrets, gatewayRole, tables: [ACCOUNTS, wide], migrations });
        const wider = storageEngine({ database, tables: [ACCOUNTS, wide] });
        await run(wider, call(session), (s) => s.notes!.update("kept", { text: "after" }));
        await expire(collect);
        await collect();
        await migrateDown({ adminUrl, gatewayRole, migrations });
        const { value } = await run(engine, call(session), (s) => s.notes!.get("kept"));
        assert.equal(value?.text, "after");
      });

      await test("a scheduled run renews an ended session once", async () => {
        const asked: boolean[] = [];
        const report = await runScheduledGarbage({
          database,
          session: (renew) => (asked.push(renew), renew ? system : { ...system, sid: "ended" }),
        });
        assert.deepEqual([report.finished, asked], [true, [false, true]]);
      });

      await test("only a system session may collect, within the database's own bounds", async () => {
        await assert.rejects(collect({ session }), { code: "FORBIDDEN" });
        const stranger: StorageSession = { ...system, sid: "nobody" };
        await assert.rejects(collect({ session: stranger }), { code: "SESSION_REVOKED" });
        for (
          const wrong of [
            { retentionMs: 1000 },
            { retentionMs: Number.NaN },
            { batch: 0 },
            { batch: 1.5 },
            { rows: -1 },
            { budgetMs: 0 },
          ]
        ) {
          await assert.rejects(collect(wrong), { code: "VALIDATION" }, JSON.stringify(wrong));
        }
        for (const [retention, batch] of [[0, 5], [null, 5], [HOUR, 0], [HOUR, null], ["NaN", 5]]) {
          await assert.rejects(
            database.execute("collect", [system.sid, retention!, batch!, null]),
            (error: { failure?: { sqlstate: string } }) => error.failure?.sqlstate === "22023",
            `${retention} ${batch}`,
          );
        }
      });
    } finally {
      await database.close();
      await db.close();
    }
  },
});

/** A clock that jumps by `step` each time it is read. */
function ticking(step: number): () => number {
  let now = 0;
  return () => now += step;
}
