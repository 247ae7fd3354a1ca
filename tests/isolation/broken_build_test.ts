/**
 * The random histories are worth something: each deliberately broken build is caught.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import { testDatabase } from "../postgres.ts";
import { bank } from "./bank.ts";
import { breakBuild, type Fault } from "./broken_build.ts";
import { Gateways } from "./load.ts";
import { registers } from "./registers.ts";
import {
  listAppend,
  LOAD_EXECS,
  LOAD_TABLES,
  phantoms,
  phantomsInSql,
  sameRequestTwice,
  type Workload,
} from "./workloads.ts";

const TRIES = 10;

const CASES: readonly (readonly [Fault, (attempt: number) => Workload])[] = [
  ["no predicate validation", () => phantoms],
  ["no predicate validation", () => phantomsInSql],
  ["no predicate validation", (attempt) => listAppend(`p${attempt}`)],
  ["no locks", (attempt) => listAppend(`l${attempt}`)],
  ["effects recorded last", () => sameRequestTwice],
  ["groups that do not look at versions", () => bank("skewed")],
  ["groups that apply a request again", () => sameRequestTwice],
  ["groups that keep no old versions", (attempt) => registers(`r${attempt}`)],
];

Deno.test({
  name: "isolation: the checks catch broken builds",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    for (const [fault, workload] of CASES) {
      await t.step(`${workload(0).name} catches a build with ${fault}`, async () => {
        const db = await testDatabase(LOAD_TABLES, {}, "shared", LOAD_EXECS);
        const gateways = await Gateways.open(db, LOAD_TABLES, LOAD_EXECS);
        try {
          await breakBuild(db.admin, fault);
          assert.notDeepEqual(await firstAnomalies(gateways, workload), [], `in ${TRIES} tries`);
        } finally {
          await gateways.close();
          await db.close();
        }
      });
    }
  },
});

async function firstAnomalies(
  gateways: Gateways,
  workload: (attempt: number) => Workload,
): Promise<readonly string[]> {
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const wrong = await anomaliesOf(gateways, workload(attempt), attempt);
    if (Deno.env.get("KONTRACT_VERBOSE") === "1") console.log(attempt, wrong.slice(0, 2));
    if (wrong.length > 0) return wrong;
  }
  return [];
}

async function anomaliesOf(
  gateways: Gateways,
  { prepare, work, anomalies }: Workload,
  seed: number,
): Promise<readonly string[]> {
  await prepare(gateways);
  try {
    const load = { clients: 16, callsPerClient: 8, seed, killEvery: 0, work };
    const { finished } = await gateways.load(load);
    return await anomalies(finished, gateways);
  } catch (error) {
    // A broken build may leave two live versions of a row: then it is the gateway that finds it.
    if (error instanceof KontractError && error.code === "INTERNAL") return [String(error)];
    throw error;
  }
}
