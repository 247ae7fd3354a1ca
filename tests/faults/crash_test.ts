/**
 * PostgreSQL is killed and comes back: snapshots from before are refused, not misread; what was
 * acknowledged is there, whole and once.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import type { StorageEngine, StorageSession } from "../../storage/contract.ts";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { type AnyStorage, call, field, number, run, table } from "../../storage/testing/tables.ts";
import { Gateways } from "../isolation/load.ts";
import { bank } from "../isolation/bank.ts";
import { LOAD_TABLES } from "../isolation/workloads.ts";
import { OwnServer } from "./own_server.ts";

const CELLS = table("cells", [field("value", number)]);
const TABLES = [CELLS, ...LOAD_TABLES];

/** Transaction ids that are given out before the crash and leave no trace in the log. */
const LOST_IDS = 300;

Deno.test({
  name: "faults: PostgreSQL is killed",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const server = await OwnServer.start(TABLES);
    const database = postgresDatabase({ url: server.gatewayUrl, max: 1 });
    const engine = storageEngine({ database, tables: TABLES });
    const session = await engine.openSession(await server.token());
    const write = (x: number, y: number) => async (s: AnyStorage): Promise<void> => {
      await s.cells!.set("x", { value: x });
      await s.cells!.set("y", { value: y });
    };
    const loseIds = (): Promise<void> => server.loseIds(LOST_IDS);
    const xmax = async (): Promise<bigint> => {
      const [row] = await server
        .admin`select pg_snapshot_xmax(pg_current_snapshot())::text as xmax`;
      return BigInt(row!.xmax);
    };
    /** A crash, then a commit with an id that the snapshot has passed, then so many that it is no future one. */
    const crashUnder = async (): Promise<void> => {
      const before = await xmax();
      await server.crash();
      await answers(engine, session);
      await run(engine, call(session), write(2, 2));
      const [key] = await server.admin`select ptr from kontract.storage where id = 'cells'`;
      const [row] = await server.admin.unsafe(`select _txid::text as txid
        from kontract_private.${key!.ptr} where id = 'y' and _deleted_txid is null`);
      // The danger is real: by its number the new commit belongs to the old snapshot.
      assert.ok(BigInt(row!.txid) < before, `${row!.txid} < ${before}`);
      await server.useIds(LOST_IDS);
      assert.ok(await xmax() >= before);
    };
    try {
      await t.step(
        "a snapshot from before the crash is refused, though later ids fit it",
        async () => {
          await run(engine, call(session), write(1, 1));
          await loseIds();
          const old = run(engine, call(session, { retry: 0, readOnly: true }), async (s) => {
            assert.equal((await s.cells!.get("x"))!.value, 1);
            await crashUnder();
            return (await s.cells!.get("y"))?.value;
          });
          await assert.rejects(old, (error) => {
            assert.ok(error instanceof KontractError, String(error));
            assert.equal(error.code, "SNAPSHOT_TOO_OLD");
            return true;
          });
        },
      );

      await t.step("a call that writes runs again and sees one state", async () => {
        await run(engine, call(session), write(1, 1));
        await loseIds();
        const seen: unknown[] = [];
        const { outcome } = await run(engine, call(session), async (s) => {
          const x = (await s.cells!.get("x"))!.value;
          if (seen.length === 0) {
            seen.push(x);
            await crashUnder();
          }
          const y = (await s.cells!.get("y"))!.value;
          seen.push([x, y]);
          await s.cells!.set("sum", { value: Number(x) + Number(y) });
        });
        assert.deepEqual(seen, [1, [2, 2]]);
        assert.equal(outcome.attempts, 2);
      });

      await t.step("a commit prepared before the crash is refused after it", async () => {
        await run(engine, call(session), write(1, 1));
        await loseIds();
        let runs = 0;
        const { outcome } = await run(engine, call(session), async (s) => {
          const x = (await s.cells!.get("x"))!.value;
          if (++runs === 1) await crashUnder();
          await s.cells!.set("copy", { value: Number(x) });
        });
        assert.deepEqual([runs, outcome.attempts], [2, 2]);
        const { value } = await run(engine, call(session), (s) => s.cells!.get("copy"));
        assert.equal(value!.value, 2);
      });

      await t.step(
        "what was read before anybody wrote since a crash is refused after another",
        async () => {
          await run(engine, call(session), write(1, 1));
          await server.crash();
          await answers(engine, session);
          await loseIds();
          let runs = 0;
          const { outcome } = await run(engine, call(session), async (s) => {
            const rows = await s.cells!.query({ value: 1 });
            if (++runs === 1) {
              const before = await xmax();
              await server.crash();
              await answers(engine, session);
              // A writer that makes no incarnation, as a migration is.
              const [key] = await server.admin`select ptr from kontract.storage where id = 'cells'`;
              const ptr = `kontract_private.${key!.ptr}`;
              const [row] = await server.admin.unsafe(`insert into ${ptr} (id, data, _owner, _order)
              values ('z', '{"id":"z","value":1}', 'x', nextval('${ptr}_seq')) returning _txid::text as txid`);
              assert.ok(BigInt(row!.txid) < before);
              await server.useIds(LOST_IDS);
              assert.ok(await xmax() >= before);
            }
            await s.cells!.set("count", { value: -rows.length });
          });
          assert.deepEqual([runs, outcome.attempts], [2, 2]);
          const { value } = await run(engine, call(session), (s) => s.cells!.get("count"));
          assert.equal(value!.value, -3);
        },
      );

      for (const how of ["crash", "crashBackend"] as const) {
        await t.step(`${how}: under load every acknowledged transfer is there, once`, async () => {
          const workload = bank(how === "crash" ? "uniform" : "skewed");
          const gateways = await Gateways.open(server, TABLES);
          try {
            await workload.prepare(gateways);
            let begun = 0;
            let crash: Promise<unknown> | null = null;
            const { finished } = await gateways.load({
              clients: 8,
              callsPerClient: 20,
              seed: 7,
              killEvery: 0,
              work(random, client, n) {
                if (++begun === 60) crash = server[how]();
                return workload.work(random, client, n);
              },
            });
            await crash;
            await answers(engine, session);
            assert.deepEqual(await workload.anomalies(finished, gateways), []);
            assert.equal(finished.length, 160);
          } finally {
            await gateways.close();
          }
        });
      }
    } finally {
      await database.close();
      await server.stop();
    }
  },
});

/** Waits until the server takes statements again. */
async function answers(engine: StorageEngine, session: StorageSession): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      await run(engine, call(session, { readOnly: true }), (s) => s.cells!.get("x"));
      return;
    } catch (error) {
      if (attempt > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
