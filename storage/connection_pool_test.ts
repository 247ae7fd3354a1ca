import assert from "node:assert/strict";
import postgres from "postgres";
import { enterTenant, testDatabase } from "../tests/postgres.ts";
import { until } from "../tests/until.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { DEFAULT_TENANT } from "./tenant_name.ts";
import { storageEngine } from "./engine.ts";
import { postgresDatabase } from "./postgres_database.ts";
import { code } from "./testing/expect_code.ts";
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
      await until(async () => await connections() === 0);
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
      await until(async () => await blocked() !== 0);
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
      await until(async () => await left() === 0);
    } finally {
      await db.close();
    }
  },
});

Deno.test({
  name:
    "where the server has no room for more connections, statements take turns on those there are",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase([ACCOUNTS]);
    const limit = (n: number) =>
      db.admin.unsafe(`alter role ${db.gatewayRole} connection limit ${n}`);
    const database = postgresDatabase({ url: db.gatewayUrl, max: 8, connectTimeout: 1 });
    const engine = storageEngine({ database, tables: [ACCOUNTS] });
    const session = await engine.openSession(await db.token());
    const write = (n: number): Promise<unknown> =>
      run(engine, call(session), (s) => s.accounts!.set(`a${n}`, { balance: n }));
    const all = (): Promise<unknown> => Promise.all(Array.from({ length: 40 }, (_, n) => write(n)));
    const { held, connection } = await takeConnection(db.gatewayUrl);
    try {
      await t.step("all calls are answered, by one connection as well", async () => {
        await limit(2);
        await all();
      });
      await t.step("where there is none they wait until there is", async () => {
        await db.admin`select pg_terminate_backend(pid) from pg_stat_activity
          where usename = ${db.gatewayRole} and pid <> ${held}`;
        await limit(1);
        const waiting = all();
        await limit(2);
        await waiting;
      });
      await t.step("and are told after a while that the server is busy", async () => {
        await db.admin`select pg_terminate_backend(pid) from pg_stat_activity
          where usename = ${db.gatewayRole} and pid <> ${held}`;
        await limit(1);
        await assert.rejects(write(1), code("OVERLOADED"));
        const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => write(n)));
        assert.deepEqual(
          new Set(outcomes.map((each) => each.status === "rejected" && each.reason.code)),
          new Set(["OVERLOADED"]),
        );
        await limit(2);
        await all();
      });
    } finally {
      await connection.end();
      await database.close();
      await db.close();
    }
  },
});

Deno.test({
  name: "where there is room again, who waits is not held up by long statements of others",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([]);
    const open = () => postgres(db.gatewayUrl, { max: 1, backoff: false, onnotice: () => {} });
    const limits = { max: 4, idleMs: 60_000, tables: 1, fullMs: 60_000 };
    const pool = new ConnectionPool(open, limits);
    let refusals = 0;
    const isFull = (error: unknown): boolean => {
      const full = (error as { code?: unknown }).code === "53300";
      if (full) refusals++;
      return full;
    };
    const start = (text: string) =>
      pool.use((client) => client.unsafe(text), { isBroken: () => true, isFull, tables: 0 });
    const connections = async (): Promise<number> => {
      const [row] = await db.admin`
        select count(*)::int as n from pg_stat_activity where usename = ${db.gatewayRole}`;
      return row!.n;
    };
    const limit = (n: number) =>
      db.admin.unsafe(`alter role ${db.gatewayRole} connection limit ${n}`);
    const long = "set lock_timeout = '10s'; select pg_advisory_lock(1)";
    try {
      await db.admin.begin(async (tx) => {
        await tx`select pg_advisory_xact_lock(1)`;
        await limit(1);
        const first = start(long);
        await until(async () => await connections() !== 0);
        const second = start(long);
        await until(() => refusals !== 0);
        const third = start("select 1");
        await limit(-1);
        assert.equal(
          await Promise.race([
            third.then(() => "answered"),
            ...[first, second].map((each) => each.then(() => "held up", () => "held up")),
          ]),
          "answered",
        );
      });
    } finally {
      await pool.close(() => new Error("closed"));
      await db.close();
    }
  },
});

/** A connection beside the pool, and the process that serves it. */
async function takeConnection(url: string): Promise<{ held: number; connection: postgres.Sql }> {
  const connection = postgres(url, { max: 1, onnotice: () => {} });
  const [row] = await connection`select pg_backend_pid() as pid`;
  return { held: Number(row!.pid), connection };
}
