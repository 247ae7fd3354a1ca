/**
 * Calls go together on two gateways while the table under them is rebuilt, gets and loses a unique index, and is
 * swept by the garbage collector: each request is answered and was applied once, whole.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { TableDef } from "../../_internal/manifest.ts";
import { KontractError } from "../../_internal/errors.ts";
import { testDatabase } from "../../tests/postgres.ts";
import { storageEngine } from "../engine.ts";
import { collectGarbage } from "../maintenance/garbage.ts";
import { postgresDatabase } from "../postgres_database.ts";
import { neverIdle } from "../testing/company.ts";
import {
  type AnyStorage,
  call,
  field,
  index,
  number,
  run,
  string,
  table,
} from "../testing/tables.ts";
import type { MigrationFile } from "./migration.ts";
import { migrateUp } from "./mod.ts";

const ROWS = 48;
const CLIENTS = 10;
const LONE = table("other", [field("n", number)]);
const FIRST = table("things", [field("n", number), field("name", string)]);
const TIERED: TableDef = {
  ...FIRST,
  fields: [...FIRST.fields, field("tier", string, { default: "free" })],
};
const UNIQUE: TableDef = { ...TIERED, indexes: [index(["name"], true)] };
const REBUILT: MigrationFile = {
  name: "0001_tier",
  hash: "1",
  load: () =>
    Promise.resolve({ up: (m) => m.transform("things", (row) => ({ ...row, tier: "paid" })) }),
};
const REBUILT_AGAIN: MigrationFile = {
  name: "0002_tier",
  hash: "2",
  load: () =>
    Promise.resolve({ up: (m) => m.transform("things", (row) => ({ ...row, tier: "free" })) }),
};
const FILES = [REBUILT, REBUILT_AGAIN];
/** What a client meets while tables move, and sends its request again for. */
const AGAIN = ["CONFLICT", "SNAPSHOT_TOO_OLD", "DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN"];

Deno.test({
  name: "calls that go together, and what happens to their table",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase([FIRST, LONE]);
    const ports = [0, 1].map(() => postgresDatabase({ url: db.gatewayUrl, max: 4 }));
    const gateways = ports.map(neverIdle);
    const engines = gateways.map(({ grouped }) =>
      storageEngine({ database: grouped, tables: [FIRST, LONE] })
    );
    const session = await engines[0]!.openSession(await db.token());
    const system = await engines[0]!.openSession(await db.token({ owner: "root", system: true }));
    const groups = (): number =>
      gateways.reduce(
        (sum, { sent }) => sum + sent.filter((name) => name === "put_group").length,
        0,
      );
    await run(engines[0]!, call(session), async (s) => {
      for (let n = 0; n < ROWS; n++) await s.things!.set(`r${n}`, { n: 0, name: `thing ${n}` });
    });
    let applied = 0;
    let request = 0n;

    /** Adds one to two rows, until it is answered. */
    const raise = async (client: number): Promise<string> => {
      const effect = { lane: `client ${client}`, reqno: ++request };
      const first = Number(request) % ROWS;
      const ids = [`r${first}`, `r${(first * 7 + 1) % ROWS}`];
      if (ids[0] === ids[1]) ids.pop();
      for (let time = 0; time < 1_000; time++) {
        const engine = engines[(client + time) % engines.length]!;
        try {
          await run(engine, call(session, { effect, retry: 50 }), async (s: AnyStorage) => {
            const rows = await s.things!.getMany(ids);
            for (const [at, id] of ids.entries()) {
              await s.things!.update(id, { n: Number(rows[at]!.n) + 1 });
            }
          });
          applied += ids.length;
          return "";
        } catch (error) {
          assert.ok(error instanceof KontractError, String(error));
          if (!AGAIN.includes(error.code)) return error.code;
          await new Promise((done) => setTimeout(done, 5));
        }
      }
      return "never answered";
    };

    /** Runs clients until `work` has ended and each of them was answered some times more. */
    const under = async (work: () => Promise<unknown>): Promise<void> => {
      let ended = false;
      const client = async (n: number): Promise<void> => {
        for (let more = 0; more < 5; more += ended ? 1 : 0) assert.equal(await raise(n), "");
      };
      const clients = Array.from({ length: CLIENTS }, (_, n) => client(n));
      try {
        await work();
      } finally {
        ended = true;
      }
      await Promise.all(clients);
    };
    const together = async (): Promise<void> => {
      const before = groups();
      await under(() => Promise.resolve());
      assert.ok(groups() > before);
    };
    const counted = async (): Promise<void> => {
      const [row] = await db.admin.unsafe(
        `select sum((data->>'n')::int)::int as n, count(*)::int as rows
           from ${await db.place("things")} where _deleted_txid is null`,
      );
      assert.deepEqual({ ...row }, { n: applied, rows: ROWS });
    };
    const migrate = (tables: readonly TableDef[], ...migrations: MigrationFile[]) =>
      migrateUp({
        adminUrl: db.adminUrl,
        tables,
        secrets: db.secrets,
        gatewayRole: db.gatewayRole,
        migrations,
      });
    try {
      await t.step("the table is rebuilt and another one takes its place", async () => {
        await together();
        const before = groups();
        let steps: readonly string[] = [];
        await under(async () => ({ steps } = await migrate([TIERED, LONE], REBUILT)));
        assert.ok(steps.length > 0);
        assert.ok(groups() > before);
        await together();
        await counted();
      });

      await t.step("calls that have read the table before it was rebuilt run again", async () => {
        let reading = 2;
        const together = Promise.withResolvers<void>();
        const rebuilt = Promise.withResolvers<void>();
        const { sent } = gateways[0]!;
        const calls = ["r0", "r1"].map((id) =>
          run(engines[0]!, call(session), async (s) => {
            const row = await s.things!.get(id);
            if (--reading === 0) together.resolve();
            await rebuilt.promise;
            await s.things!.update(id, { n: Number(row!.n) + 1 });
          })
        );
        await together.promise;
        await migrate([TIERED, LONE], ...FILES);
        sent.length = 0;
        rebuilt.resolve();
        const outcomes = await Promise.all(calls);
        assert.equal(sent[0], "put_group");
        assert.deepEqual(outcomes.map(({ outcome }) => outcome.attempts), [2, 2]);
        applied += calls.length;
        await counted();
      });

      await t.step("garbage is collected up to the newest snapshot", async () => {
        await under(async () => {
          for (let time = 0; time < 5; time++) {
            await db.admin`update kontract_private.markers set at = at - interval '2 hours'`;
            await collectGarbage(ports[0]!, { session: system });
          }
        });
        await together();
        await counted();
      });

      await t.step(
        "it gets a unique index, with which there are no groups, and loses it",
        async () => {
          await under(() => migrate([UNIQUE, LONE], ...FILES));
          await counted();
          await under(() => migrate([TIERED, LONE], ...FILES));
          await counted();
        },
      );
    } finally {
      for (const { held } of gateways) held.resolve([]);
      await Promise.all(ports.map((port) => port.close()));
      await db.close();
    }
  },
});
