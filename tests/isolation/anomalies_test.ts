/**
 * Adya's list, each anomaly as a script of two or three calls through the public API. Names and
 * schedules follow the list as "hermitage" runs it against databases: Adya, "Weak Consistency" (1999),
 * and Fekete, O'Neil & O'Neil (2004) for the read-only one.
 *
 * Calls that write must be serializable: in each script one of them gets `CONFLICT`, or the outcome is
 * that of a serial order. Read-only calls must read one snapshot.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import type { CallOptions } from "../../storage/contract.ts";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { type AnyStorage, call, field, number, run, table } from "../../storage/testing/tables.ts";
import { enterTenant, suiteTenant, testDatabase } from "../postgres.ts";
import { ScriptedCall } from "./scripted_call.ts";

const CELLS = table("cells", [field("value", number)]);

const tenant = suiteTenant(import.meta);
const db = await enterTenant(await testDatabase([CELLS]), tenant);
const database = postgresDatabase({ url: db.gatewayUrl, max: 8 });
const engine = storageEngine({ database, tables: [CELLS] });
const session = await engine.openSession(await db.token());

const begin = (extra: Partial<CallOptions> = {}): ScriptedCall =>
  new ScriptedCall(engine, call(session, { retry: 0, ...extra }));
const get = (id: string) => async (s: AnyStorage): Promise<unknown> =>
  (await s.cells!.get(id))?.value ?? null;
const set = (id: string, value: number) => (s: AnyStorage): Promise<unknown> =>
  s.cells!.set(id, { value });
const idsWhere = (filter: Record<string, unknown>) => async (s: AnyStorage): Promise<unknown[]> =>
  (await s.cells!.query(filter)).map((row) => row.id).sort();

/** Rows at the start of every script: x = 10, y = 20. */
async function reset(): Promise<void> {
  await run(engine, call(session), async (s) => {
    for await (const row of s.cells!) await s.cells!.delete(String(row.id));
    await s.cells!.set("x", { value: 10 });
    await s.cells!.set("y", { value: 20 });
  });
}

/** Everything that is stored, by key. */
async function stored(): Promise<Record<string, unknown>> {
  const { value } = await run(engine, call(session, { readOnly: true }), async (s) => {
    const rows = await s.cells!.query();
    return Object.fromEntries(rows.map((row) => [row.id, row.value]));
  });
  return value;
}

function conflict(error: unknown): boolean {
  assert.ok(error instanceof KontractError, String(error));
  assert.equal(error.code, "CONFLICT");
  return true;
}

Deno.test({
  name: `isolation: no anomaly of Adya's list, tenant ${tenant}`,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> =>
      t.step(name, async () => {
        await reset();
        await fn();
      });
    try {
      await test("G0: writes of two calls never interleave", async () => {
        const [t1, t2] = [begin(), begin()];
        await t1.do(set("x", 11));
        await t2.do(set("x", 12));
        await t1.do(set("y", 21));
        await t2.do(set("y", 22));
        await t1.commit();
        await t2.commit();
        assert.deepEqual(await stored(), { x: 12, y: 22 });
      });

      await test("G0: also where both commits are under way at once", async () => {
        for (let round = 0; round < 40; round++) {
          const writers = Array.from({ length: 4 }, () => begin());
          await Promise.all(writers.map((writer, i) =>
            writer.do(async (s) => {
              const ids = i % 2 === 0 ? ["x", "y"] : ["y", "x"];
              for (const id of ids) await s.cells!.set(id, { value: i });
            })
          ));
          const ends = await Promise.allSettled(writers.map((writer) => writer.commit()));
          // A writer that waited for another may have to run again; one at least gets through.
          for (const end of ends) if (end.status === "rejected") conflict(end.reason);
          const { x, y } = await stored();
          assert.equal(x, y);
          assert.equal(ends[Number(x)]!.status, "fulfilled");
        }
      });

      await test("G1a: what an aborted call wrote is never read", async () => {
        const [t1, t2, t3] = [begin(), begin(), begin({ readOnly: true })];
        await t1.do(set("x", 101));
        assert.deepEqual([await t2.do(get("x")), await t3.do(get("x"))], [10, 10]);
        await t1.abort();
        assert.deepEqual([await t2.do(get("x")), await t3.do(get("x"))], [10, 10]);
        await t2.do(set("y", 30));
        await t2.commit();
        await t3.commit();
        assert.deepEqual(await stored(), { x: 10, y: 30 });
      });

      await test("G1a: what a failed commit wrote is never read", async () => {
        const t1 = begin();
        await t1.do(get("y"));
        await t1.do(set("x", 101));
        await run(engine, call(session), set("y", 21));
        await assert.rejects(t1.commit(), conflict);
        assert.deepEqual(await stored(), { x: 10, y: 21 });
      });

      await test("G1b: only the last of a call's writes to a row is read", async () => {
        const [t1, t2] = [begin(), begin()];
        await t1.do(set("x", 101));
        assert.equal(await t2.do(get("x")), 10);
        await t1.do(set("x", 11));
        await t1.commit();
        assert.equal(await t2.do(get("x")), 10);
        await t2.do(set("y", 1));
        await assert.rejects(t2.commit(), conflict);
        assert.deepEqual(await stored(), { x: 11, y: 20 });
      });

      await test("G1c: two calls never read what the other wrote", async () => {
        const [t1, t2] = [begin(), begin()];
        await t1.do(set("x", 11));
        await t2.do(set("y", 22));
        assert.equal(await t1.do(get("y")), 20);
        assert.equal(await t2.do(get("x")), 10);
        await t1.commit();
        await assert.rejects(t2.commit(), conflict);
        assert.deepEqual(await stored(), { x: 11, y: 20 });
      });

      await test("OTV: an observed call does not vanish", async () => {
        const [t1, t2] = [begin(), begin()];
        await t1.do(set("x", 11));
        await t1.do(set("y", 19));
        await t2.do(set("x", 12));
        await t1.commit();
        const t3 = begin({ readOnly: true });
        assert.equal(await t3.do(get("x")), 11);
        await t2.do(set("y", 18));
        assert.equal(await t3.do(get("y")), 19);
        await t2.commit();
        assert.equal(await t3.do(get("y")), 19);
        assert.equal(await t3.do(get("x")), 11);
        await t3.commit();
        assert.deepEqual(await stored(), { x: 12, y: 18 });
      });

      await test("PMP: a predicate keeps its rows within a call", async () => {
        const [t1, t2] = [begin({ readOnly: true }), begin()];
        assert.deepEqual(await t1.do(idsWhere({ value: 30 })), []);
        await t2.do(set("z", 30));
        await t2.commit();
        assert.deepEqual(await t1.do(idsWhere({ value: { gte: 30 } })), []);
        assert.equal(await t1.do((s) => s.cells!.count()), 2);
        await t1.commit();
      });

      await test("PMP: a call that writes what a predicate found conflicts", async () => {
        const [t1, t2] = [begin(), begin()];
        await t1.do(async (s) => {
          for (const row of await s.cells!.query()) {
            await s.cells!.update(String(row.id), { value: Number(row.value) + 10 });
          }
        });
        const doomed = await t2.do(idsWhere({ value: 20 }));
        assert.deepEqual(doomed, ["y"]);
        await t2.do((s) => s.cells!.delete("y"));
        await t1.commit();
        await assert.rejects(t2.commit(), conflict);
        assert.deepEqual(await stored(), { x: 20, y: 30 });
      });

      await test("P4: no update is lost", async () => {
        const [t1, t2] = [begin(), begin()];
        const add = (n: number) => async (s: AnyStorage): Promise<void> => {
          const row = await s.cells!.get("x");
          await s.cells!.set("x", { value: Number(row!.value) + n });
        };
        await t1.do(add(1));
        await t2.do(add(2));
        const ends = await Promise.allSettled([t1.commit(), t2.commit()]);
        const failed = ends.filter((end) => end.status === "rejected");
        assert.equal(failed.length, 1);
        conflict(failed[0]!.reason);
        assert.equal((await stored()).x, ends[0]!.status === "fulfilled" ? 11 : 12);
      });

      await test("P4: nor where the row was found by a query, or was not there", async () => {
        const take = async (s: AnyStorage): Promise<void> => {
          const [row] = await s.cells!.query({ value: { lt: 15 } });
          await s.cells!.update(String(row!.id), { value: Number(row!.value) + 1 });
        };
        const create = async (s: AnyStorage): Promise<void> => {
          if (!await s.cells!.has("new")) await s.cells!.set("new", { value: 1 });
        };
        for (const work of [take, create]) {
          const [t1, t2] = [begin(), begin()];
          await t1.do(work);
          await t2.do(work);
          await t1.commit();
          await assert.rejects(t2.commit(), conflict);
        }
        assert.deepEqual(await stored(), { new: 1, x: 11, y: 20 });
      });

      await test("G-single: no read skew, neither read-only nor before a write", async () => {
        const [t1, t2, t3] = [begin({ readOnly: true }), begin(), begin()];
        assert.equal(await t1.do(get("x")), 10);
        assert.equal(await t2.do(get("x")), 10);
        await t3.do(set("x", 12));
        await t3.do(set("y", 18));
        await t3.commit();
        assert.equal(await t1.do(get("y")), 20);
        assert.equal(await t2.do(get("y")), 20);
        await t1.commit();
        await t2.do(set("sum", 30));
        await assert.rejects(t2.commit(), conflict);
        assert.deepEqual(await stored(), { x: 12, y: 18 });
      });

      await test("G-single: nor between a predicate and a row, nor with a delete", async () => {
        const [t1, t2] = [begin(), begin()];
        assert.equal(await t1.do((s) => s.cells!.count({ value: { gte: 0 } })), 2);
        await t2.do((s) => s.cells!.delete("y"));
        await t2.do(set("z", 1));
        await t2.commit();
        assert.equal(await t1.do(get("y")), 20);
        assert.equal(await t1.do(get("z")), null);
        await t1.do(set("sum", 2));
        await assert.rejects(t1.commit(), conflict);
      });

      await test("G2-item: no write skew over rows", async () => {
        const [t1, t2] = [begin(), begin()];
        for (const t of [t1, t2]) {
          assert.deepEqual(await t.do((s) => Promise.all([get("x")(s), get("y")(s)])), [10, 20]);
        }
        await t1.do(set("x", 11));
        await t2.do(set("y", 21));
        await t1.commit();
        await assert.rejects(t2.commit(), conflict);
        assert.deepEqual(await stored(), { x: 11, y: 20 });
      });

      await test("G2-item: nor where the rows were read by getMany or has", async () => {
        const [t1, t2] = [begin(), begin()];
        await t1.do((s) => s.cells!.getMany(["x", "y", "none"]));
        await t2.do((s) => s.cells!.has("x"));
        await t1.do(set("x", 11));
        await t2.do(set("none", 1));
        await t1.commit();
        await assert.rejects(t2.commit(), conflict);
      });

      await test("G2: no write skew over a predicate", async () => {
        for (
          const look of [
            (s: AnyStorage): Promise<unknown> => s.cells!.count({ value: { gte: 100 } }),
            (s: AnyStorage): Promise<unknown> => s.cells!.first({ value: { gte: 100 } }),
            (s: AnyStorage): Promise<unknown> => s.cells!.query({ value: 100 }).limit(1).page(),
            idsWhere({ value: { in: [100, 200] } }),
          ]
        ) {
          const [t1, t2] = [begin(), begin()];
          await t1.do(look);
          await t2.do(look);
          await t1.do(set("a", 100));
          await t2.do(set("b", 100));
          await t1.commit();
          await assert.rejects(t2.commit(), conflict);
          await reset();
        }
      });

      await test("G2: whichever way a row comes into a predicate, changes in it or leaves it", async () => {
        const spoils: Readonly<Record<string, (s: AnyStorage) => Promise<unknown>>> = {
          "inserted": set("z", 17),
          "begins to match": set("x", 17),
          "begins to match, among others": (s) => Promise.all([set("x", 17)(s), set("w", 1)(s)]),
          "changes": set("y", 17),
          "stops to match": set("y", 1),
          "deleted": (s) => s.cells!.delete("y"),
        };
        for (const [name, spoil] of Object.entries(spoils)) {
          for (const after of [set("other", 1), spoil]) {
            const t1 = begin();
            assert.deepEqual(await t1.do(idsWhere({ value: { gte: 15 } })), ["y"]);
            await t1.do(set("sum", 1));
            await run(engine, call(session), spoil);
            await run(engine, call(session), after); // the row may have been written once more
            await assert.rejects(t1.commit(), conflict, name);
            await reset();
          }
        }
        const t1 = begin();
        await t1.do(idsWhere({ value: { gte: 15 } }));
        await t1.do(set("sum", 1));
        await run(engine, call(session), (s) => Promise.all([set("x", 11)(s), set("z", 12)(s)]));
        await t1.commit(); // what never matched spoils nothing
      });

      await test("G2: nor where both commits are under way at once", async () => {
        for (let round = 0; round < 40; round++) {
          const writers = Array.from({ length: 4 }, () => begin());
          await Promise.all(writers.map((writer, i) =>
            writer.do(async (s) => {
              const taken = await s.cells!.count({ value: { gte: 100 } });
              if (taken === 0) await s.cells!.set(`w${i}`, { value: 100 + i });
            })
          ));
          const ends = await Promise.allSettled(writers.map((writer) => writer.commit()));
          for (const end of ends) if (end.status === "rejected") conflict(end.reason);
          assert.equal(Object.keys(await stored()).length, 3);
          await reset();
        }
      });

      await test("G2: two anti-dependencies through a third call", async () => {
        const [t1, t2] = [begin(), begin()];
        await t1.do(idsWhere({ value: { gte: 0 } }));
        await run(engine, call(session), set("y", 25));
        const t3 = begin({ readOnly: true });
        assert.deepEqual(await t3.do((s) => Promise.all([get("x")(s), get("y")(s)])), [10, 25]);
        await t3.commit();
        await t2.do(set("y", 26));
        await t2.commit();
        await t1.do(set("x", 0));
        await assert.rejects(t1.commit(), conflict);
      });

      await test("a read-only call never shows a state that no serial order has", async () => {
        // Fekete's example: a deposit, a withdrawal with a fee where the sum is low, a report between.
        const withdraw = begin();
        const sum = await withdraw.do(async (s) => {
          const rows = await s.cells!.getMany(["x", "y"]);
          return rows.reduce((all, row) => all + Number(row!.value), 0);
        });
        assert.equal(sum, 30);
        await run(engine, call(session), set("y", 40));
        const report = begin({ readOnly: true });
        assert.deepEqual(await report.do((s) => Promise.all([get("x")(s), get("y")(s)])), [10, 40]);
        await withdraw.do(set("x", -21));
        await assert.rejects(withdraw.commit(), conflict);
        assert.equal(await report.do(get("x")), 10);
        await report.commit();
      });
    } finally {
      await database.close();
      await db.close();
    }
  },
});
