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

Deno.test({
  name: "connections that nobody needs end by themselves, and the next caller gets one",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([ACCOUNTS]);
    const database = postgresDatabase({ url: db.gatewayUrl, max: 4, idleTimeout: 0.2 });
    const engine = storageEngine({ database, tables: [ACCOUNTS] });
    const connections = async (): Promise<number> => {
      const [row] = await db.admin`
        select count(*)::int as n from pg_stat_activity where usename = ${db.gatewayRole}`;
      return row!.n;
    };
    try {
      const session = await engine.openSession(await db.token());
      const count = () =>
        run(engine, call(session, { readOnly: true }), (s) => s.accounts!.count());
      await Promise.all([count(), count(), count()]);
      while (await connections() > 0) await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal((await count()).value, 0);
      assert.equal(await connections(), 1);
    } finally {
      await database.close();
      await db.close();
    }
  },
});

Deno.test({
  name:
    "closing ends who works last, refuses who waits and who comes later, and leaves no connection",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([ACCOUNTS]);
    const blocked = async (): Promise<number> => {
      const [row] = await db.admin`select count(*)::int as n from pg_stat_activity
        where usename = ${db.gatewayRole} and wait_event_type = 'Lock'`;
      return row!.n;
    };
    const database = postgresDatabase({ url: db.gatewayUrl, max: 1 });
    const engine = storageEngine({ database, tables: [ACCOUNTS] });
    try {
      const session = await engine.openSession(await db.token());
      const count = () =>
        run(engine, call(session, { readOnly: true }), (s) => s.accounts!.count());
      const [table] = await db.admin`select ptr from kontract.storage where id = 'accounts'`;
      const stopped = Promise.withResolvers<void>();
      const held = Promise.withResolvers<void>();
      const holder = db.admin.begin(async (tx) => {
        await tx.unsafe(`lock table kontract_private.${table!.ptr}`);
        held.resolve();
        await stopped.promise;
      });
      await held.promise;
      const working = count();
      while (await blocked() === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      const refused = assert.rejects(count(), { code: "DATABASE_UNAVAILABLE" });
      const closed = database.close();
      await refused;
      stopped.resolve();
      await Promise.all([closed, holder]);
      assert.equal((await working).value, 0);
      await assert.rejects(count(), { code: "DATABASE_UNAVAILABLE" });
      const left = async (): Promise<number> => {
        const [row] = await db.admin`
          select count(*)::int as n from pg_stat_activity where usename = ${db.gatewayRole}`;
        return row!.n;
      };
      // The server's process ends a little after its connection.
      while (await left() > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    } finally {
      await db.close();
    }
  },
});
