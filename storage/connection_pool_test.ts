import assert from "node:assert/strict";
import { enterTenant, testDatabase } from "../tests/postgres.ts";
import { DEFAULT_TENANT } from "./tenant_name.ts";
import { storageEngine } from "./engine.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { ACCOUNTS, type AnyStorage, call, run } from "./testing/tables.ts";

Deno.test({
  name: "a connection that has met many tables of tenants is replaced, and nobody notices",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase([ACCOUNTS]);
    const database = postgresDatabase({ url: db.gatewayUrl, max: 1, tablesPerConnection: 10 });
    const engine = storageEngine({ database, tables: [ACCOUNTS] });
    const work = async (tenant: string): Promise<(n: number) => Promise<unknown>> => {
      const { token } = await enterTenant(db, tenant);
      const session = await engine.openSession(await token());
      const body = async (s: AnyStorage): Promise<unknown> => {
        await s.accounts!.get("a");
        return await s.accounts!.count();
      };
      return (n) =>
        Promise.all(
          Array.from({ length: n }, () => run(engine, call(session, { readOnly: true }), body)),
        );
    };
    const pid = async (): Promise<unknown> => {
      const rows = await db.admin`
        select pid from pg_stat_activity where usename = ${db.gatewayRole} and state = 'idle'
         order by backend_start desc limit 1`;
      return rows[0]?.pid;
    };
    try {
      for (const [tenant, same] of [[DEFAULT_TENANT, true], ["acme", false]] as const) {
        await t.step(`tenant ${tenant}: ${same ? "never" : "after ten statements"}`, async () => {
          const reads = await work(tenant);
          await reads(1);
          const before = await pid();
          await reads(3);
          assert.equal(await pid(), before);
          await reads(30); // most of them wait for the one connection
          await reads(1);
          assert.equal(await pid() === before, same);
        });
      }
    } finally {
      await database.close();
      await db.close();
    }
  },
});
