import assert from "node:assert/strict";
import postgres from "postgres";
import { testDatabase } from "../../tests/postgres.ts";
import { withMigrationLock } from "./session_lock.ts";

const WAIT_MS = 1500;

Deno.test({
  name: "a migration waits for another as long as that one gets on, and no longer",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([]);
    const connect = () => postgres(db.adminUrl, { max: 1, onnotice: () => {} });
    const [holder, waiter] = [connect(), connect()];
    try {
      const held = Promise.withResolvers<void>();
      const release = Promise.withResolvers<void>();
      let many = true;
      const holding = withMigrationLock(holder, async () => {
        held.resolve();
        while (many) await holder`select 1`;
        await holder.unsafe(`select pg_sleep(${WAIT_MS * 2 / 1000})`);
      });
      await held.promise;
      let got = false;
      const waiting = withMigrationLock(waiter, () => Promise.resolve(got = true), WAIT_MS);
      waiting.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS * 2));
      assert.equal(got, false);
      // One long statement, an index build for one.
      many = false;
      await holding;
      assert.equal(await waiting, true);

      const idle = withMigrationLock(holder, () => release.promise);
      while (
        !(await db.admin`select 1 from pg_locks where locktype = 'advisory' and granted
        and database = (select oid from pg_database where datname = current_database())`).length
      );
      const busy = withMigrationLock(waiter, () => Promise.resolve(), WAIT_MS);
      await assert.rejects(busy, { code: "CONFIG", message: /does not end/ });
      release.resolve();
      await idle;
    } finally {
      await holder.end();
      await waiter.end();
      await db.close();
    }
  },
});
