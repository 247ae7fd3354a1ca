/**
 * Random histories: several gateways, hundreds of concurrent calls, connections killed at random, and
 * no anomaly, no lost and no doubled effect. `KONTRACT_SEED` repeats a run's programs; `KONTRACT_LONG=1`
 * runs many more.
 *
 * @module
 */
import assert from "node:assert/strict";
import { enterTenant, suiteTenant, testDatabase } from "../postgres.ts";
import { DEFAULT_TENANT } from "../../storage/tenant_name.ts";
import { Gateways } from "./load.ts";
import { bank } from "./bank.ts";
import { registers } from "./registers.ts";
import {
  listAppend,
  LOAD_EXECS,
  LOAD_TABLES,
  phantoms,
  phantomsInSql,
  sameRequestTwice,
  writeSkew,
} from "./workloads.ts";

const tenant = suiteTenant(import.meta);
const long = Deno.env.get("KONTRACT_LONG") === "1";
const seed = Number(Deno.env.get("KONTRACT_SEED") ?? 1 + Math.floor(Math.random() * 1e6));

Deno.test({
  name: `isolation: random histories while connections are killed, tenant ${tenant}`,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await enterTenant(await testDatabase(LOAD_TABLES, {}, "shared", LOAD_EXECS), tenant);
    const gateways = await Gateways.open(db, LOAD_TABLES, LOAD_EXECS);
    try {
      for (
        const workload of [
          listAppend("a"),
          bank("uniform"),
          ...(tenant === DEFAULT_TENANT ? [bank("skewed"), writeSkew] : []),
          phantoms,
          phantomsInSql,
          sameRequestTwice,
          registers("r"),
        ]
      ) {
        await t.step(`${workload.name}: no anomaly, no lost or doubled effect`, async () => {
          await workload.prepare(gateways);
          const report = await gateways.load({
            clients: long ? workload.crowd : 16,
            callsPerClient: long ? 12 : 7,
            seed,
            killEvery: 80,
            work: workload.work,
          });
          const context = `seed ${seed}, ${report.kills} kills, ${report.unsure} unsure, ` +
            `${report.replays} replays, ${report.reruns} reruns`;
          if (Deno.env.get("KONTRACT_VERBOSE") === "1") console.log(`  ${context}`);
          const wrong = await workload.anomalies(report.finished, gateways);
          assert.deepEqual(wrong.slice(0, 5), [], context);
          const refused = report.finished.flatMap((call) => call.refused ?? []);
          assert.deepEqual(refused.filter((code) => code !== "CONFLICT"), [], context);
          assert.ok(refused.length < report.finished.length / 10, `${refused} refused; ${context}`);
        });
      }
    } finally {
      await gateways.close();
      await db.close();
    }
  },
});
