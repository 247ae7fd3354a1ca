/**
 * The making and the end of tenants, as a gateway does it: whole or not at all, by whoever may, whatever
 * else goes on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import type { StorageSession } from "../../storage/contract.ts";
import { storageEngine } from "../../storage/engine.ts";
import { collectGarbage } from "../../storage/maintenance/garbage.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { createTenant, dropTenant, listTenants } from "../../storage/tenants.ts";
import { ACCOUNTS, call, NOTES, PEOPLE, run } from "../../storage/testing/tables.ts";
import postgres from "postgres";
import { AUTH_TABLES } from "../../auth/tables.ts";
import { testDatabase } from "../postgres.ts";
import { until } from "../until.ts";

const tables = [...AUTH_TABLES, ACCOUNTS, NOTES, PEOPLE];
const db = await testDatabase(tables, {}, "alone");
const database = postgresDatabase({ url: db.gatewayUrl, max: 16 });
const engine = storageEngine({ database, tables });
const system = await engine.openSession(await db.token({ owner: "system", system: true }));
const ours = { session: system, actor: null };

const login = async (tenant: string, owner = "alice", family?: string): Promise<StorageSession> =>
  await engine.openSession(
    await db.token({ tenant, owner, ...(family === undefined ? {} : { family }) }),
  );

function code(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof KontractError, String(error));
    assert.equal(error.code, expected, error.message);
    return true;
  };
}

/** What is left of a tenant: notes, rows of `storage`, and physical tables that nothing names. */
async function remains(tenant: string): Promise<Record<string, number>> {
  const [row] = await db.admin`
    select (select count(*)::int from kontract_private.tenants where name = ${tenant}) as notes,
           (select count(*)::int from kontract.storage where owner = ${tenant}) as rows,
           (select count(*)::int from kontract.trxs where tenant = ${tenant}) as sessions,
           (select count(*)::int from kontract_private.effects where tenant = ${tenant}) as effects,
           (select count(*)::int from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'kontract_private' and c.relkind = 'r' and c.relname like 'tbl\\_%'
               and not exists (select 1 from kontract.storage st where st.ptr = c.relname)) as orphans`;
  return row as unknown as Record<string, number>;
}

const NOTHING = { notes: 0, rows: 0, sessions: 0, effects: 0, orphans: 0 };

Deno.test({
  name: "tenants are made and dropped from code",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    try {
      await test("a new tenant has every declared table, each of its own, and none is named after it", async () => {
        assert.equal(await createTenant(database, ours, "acme"), true);
        assert.equal(await createTenant(database, ours, "globex"), true);
        const rows = await db.admin`select owner, id, ptr from kontract.storage order by owner, id`;
        for (const tenant of ["acme", "globex", "main"]) {
          const names = rows.filter(({ owner }) => owner === tenant).map(({ id }) => id);
          assert.deepEqual(names, tables.map(({ name }) => name).sort(), tenant);
        }
        assert.equal(new Set(rows.map(({ ptr }) => ptr)).size, rows.length);
        const [named] = await db.admin`select count(*)::int as n from pg_class
          where relname like '%acme%' or relname like '%globex%'`;
        assert.equal(named!.n, 0);
        const [argued] = await db.admin`select count(*)::int as n from pg_trigger
          where encode(tgargs, 'escape') like '%acme%'`;
        assert.equal(argued!.n, 0, "everybody may read a trigger's arguments");
        const [others] = await db.admin`select count(*)::int as n from pg_class c
          join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'kontract_private' and pg_get_userbyid(c.relowner) <> 'kontract_owner'`;
        assert.equal(others!.n, 0, "all belongs to the owner");
      });

      await test("the same key in three tenants is three rows", async () => {
        for (const tenant of ["main", "acme", "globex"]) {
          const session = await login(tenant);
          await run(
            engine,
            call(session),
            (s) => s.accounts!.set("a", { balance: tenant.length, email: "same@example.com" }),
          );
        }
        for (const tenant of ["main", "acme", "globex"]) {
          const session = await login(tenant, "bob");
          const { value } = await run(engine, call(session), async (s) => ({
            got: (await s.accounts!.get("a"))!.balance,
            count: await s.accounts!.query().count(),
            rows: (await Array.fromAsync(s.accounts!)).length,
          }));
          assert.deepEqual(value, { got: tenant.length, count: 1, rows: 1 });
        }
      });

      await test("making what is there changes nothing and says so", async () => {
        assert.equal(await createTenant(database, ours, "acme"), false);
        assert.equal(await createTenant(database, ours, "main"), false);
        const { value } = await run(engine, call(await login("acme")), (s) => s.accounts!.get("a"));
        assert.equal(value!.balance, 4);
      });

      await test("of many that make a tenant at once one does, and it is whole", async () => {
        const done = await Promise.all(
          Array.from({ length: 8 }, () => createTenant(database, ours, "rush")),
        );
        assert.deepEqual(done.filter((made) => made), [true]);
        const { rows, orphans } = await remains("rush");
        assert.deepEqual([rows, orphans], [tables.length, 0]);
      });

      await test("different tenants are made and dropped side by side", async () => {
        const names = Array.from({ length: 6 }, (_, i) => `side-${i}`);
        await Promise.all(names.map((name) => createTenant(database, ours, name)));
        await Promise.all(names.map((name) => dropTenant(database, ours, name)));
        for (const name of names) assert.deepEqual(await remains(name), NOTHING);
      });

      await test("a name that is none is refused here and in the database", async () => {
        const bad = [
          "",
          "A",
          "-a",
          "a b",
          "a\0",
          "ä",
          "a".repeat(64),
          "a'; drop table x; --",
          "a\n",
        ];
        for (const name of [...bad, null, 7, ["a"]] as readonly string[]) {
          await assert.rejects(
            createTenant(database, ours, name),
            code("VALIDATION"),
            String(name),
          );
          await assert.rejects(dropTenant(database, ours, name), code("VALIDATION"), String(name));
        }
        for (const name of bad.filter((text) => !text.includes("\0"))) {
          await assert.rejects(
            database.execute("create_tenant", [system.sid, name, null, null]),
            /23514|check/,
            name,
          );
          assert.deepEqual(await remains(name), NOTHING);
        }
      });

      await test("main cannot be dropped, past the gateway's own check either", async () => {
        await assert.rejects(dropTenant(database, ours, "main"), code("VALIDATION"));
        await assert.rejects(
          database.execute("drop_tenant", [system.sid, "main", null, null]),
          /tenant/,
        );
      });

      await test("only a system session of main makes, drops or lists", async () => {
        const token = await db.token({ tenant: "acme", owner: "system", system: true });
        const others = [await login("main"), await login("acme"), await engine.openSession(token)];
        for (const session of others) {
          const theirs = { session, actor: null };
          await assert.rejects(createTenant(database, theirs, "mine"), code("FORBIDDEN"));
          await assert.rejects(dropTenant(database, theirs, "globex"), code("FORBIDDEN"));
          await assert.rejects(listTenants(database, theirs), code("FORBIDDEN"));
        }
        const forged = { session: { ...system, sid: "x".repeat(43) }, actor: null };
        await assert.rejects(createTenant(database, forged, "mine"), code("SESSION_REVOKED"));
        assert.deepEqual(await remains("mine"), NOTHING);
      });

      await test("an actor must be in the group when it is done", async () => {
        const as = (owner: string) => ({ session: system, actor: { owner, group: "ops" } });
        const user = { anonymous: false, emailVerified: false, createdAt: 1, ugroups: ["ops"] };
        await run(engine, call(system), (s) => s._users!.set("olga", user));
        assert.equal(await createTenant(database, as("olga"), "olgas"), true);
        await run(engine, call(system), (s) => s._users!.update("olga", { ugroups: [] }));
        await assert.rejects(dropTenant(database, as("olga"), "olgas"), code("FORBIDDEN"));
        await assert.rejects(listTenants(database, as("nobody")), code("FORBIDDEN"));
        assert.equal(await dropTenant(database, ours, "olgas"), true);
      });

      await test("the list names all of them, in order, page by page", async () => {
        const names = (await listTenants(database, ours)).map(({ name }) => name);
        assert.deepEqual(names, ["acme", "globex", "rush"]);
        const row =
          (await database.execute("list_tenants", [system.sid, null, null, "acme", 1]))[0]!;
        assert.equal((row.tenants as unknown[][])[0]![0], "globex");
      });

      await test("a creation that is killed in the middle leaves nothing", async () => {
        const before = await remains("half");
        await db.admin.begin(async (tx) => {
          // Its first table is made by then; the row of `storage` cannot be.
          await tx`lock table kontract.storage in share mode`;
          const making = createTenant(database, ours, "half").catch((error: unknown) => error);
          const waiting = async () =>
            await tx`select pid from pg_locks l join pg_class c on c.oid = l.relation
              where c.relname = 'storage' and not l.granted`;
          await until(async () => (await waiting()).length > 0);
          for (const { pid } of await waiting()) await tx`select pg_terminate_backend(${pid})`;
          assert.ok(await making instanceof KontractError);
        });
        assert.deepEqual(await remains("half"), before);
        assert.equal(await createTenant(database, ours, "half"), true);
        assert.equal(await dropTenant(database, ours, "half"), true);
        assert.deepEqual(await remains("half"), NOTHING);
      });

      await test("a creation that meets a migration's change of templates waits for it", async () => {
        let result: Promise<boolean> | null = null;
        await db.admin.begin(async (tx) => {
          await tx.unsafe("select pg_advisory_xact_lock(hashtextextended('kontract tenants', 0))");
          const making = createTenant(database, ours, "patient");
          await until(async () =>
            (await tx`select 1 from pg_locks where locktype = 'advisory' and not granted`).length >
              0
          );
          result = making;
        });
        assert.equal(await result, true);
        assert.equal(await dropTenant(database, ours, "patient"), true);
      });

      await test("who is in a call when the tenant goes gets a typed error, and no row stays", async () => {
        await createTenant(database, ours, "doomed");
        const session = await login("doomed");
        await run(engine, call(session), (s) => s.accounts!.set("a", { balance: 1 }));
        const dropped = Promise.withResolvers<void>();
        const reading = Promise.withResolvers<void>();
        const under = run(engine, call(session), async (s) => {
          await s.accounts!.get("a");
          reading.resolve();
          await dropped.promise;
          await s.accounts!.set("a", { balance: 2 });
        });
        under.catch(() => {});
        await reading.promise;
        assert.equal(await dropTenant(database, ours, "doomed"), true);
        dropped.resolve();
        await assert.rejects(under, code("SESSION_REVOKED"));
        await assert.rejects(
          run(engine, call(session), (s) => s.accounts!.get("a")),
          code("SESSION_REVOKED"),
        );
        assert.deepEqual(await remains("doomed"), NOTHING);
        assert.equal(await dropTenant(database, ours, "doomed"), false);
      });

      await test("under load a tenant goes at once or after the commit, never in between", async () => {
        await createTenant(database, ours, "busy");
        const session = await login("busy");
        const codes = new Set<string>();
        let going = true;
        let committed = 0;
        const clients = Array.from({ length: 6 }, async (_, i) => {
          while (going) {
            try {
              await run(engine, call(session), async (s) => {
                const row = await s.accounts!.get(`k${i % 3}`);
                await s.accounts!.set(`k${i % 3}`, { balance: Number(row?.balance ?? 0) + 1 });
              });
              committed++;
            } catch (error) {
              assert.ok(error instanceof KontractError, String(error));
              codes.add(error.code);
              if (error.code !== "CONFLICT") return;
            }
          }
        });
        await until(() => Promise.resolve(committed > 20));
        assert.equal(await dropTenant(database, ours, "busy"), true);
        going = false;
        await Promise.all(clients);
        codes.delete("CONFLICT");
        for (const found of codes) {
          assert.ok(["SESSION_REVOKED", "SCHEMA_MISMATCH"].includes(found), found);
        }
        assert.deepEqual(await remains("busy"), NOTHING);
      });

      await test("a tenant of the same name is another one: no row, session or position of before", async () => {
        await createTenant(database, ours, "twice");
        const family = "f".repeat(16);
        const before = await login("twice", "alice", family);
        await run(engine, call(before), (s) => s.accounts!.set("a", { balance: 1 }));
        const options = { session: before, table: "accounts", limit: 10 };
        const { position } = await engine.changes({ ...options, after: null });
        await dropTenant(database, ours, "twice");
        await createTenant(database, ours, "twice");
        await assert.rejects(
          run(engine, call(before), (s) => s.accounts!.get("a")),
          code("SESSION_REVOKED"),
        );
        await assert.rejects(login("twice", "alice", family), code("SESSION_REVOKED"));
        const session = await login("twice", "alice", "another");
        const { value } = await run(engine, call(session), (s) => s.accounts!.get("a"));
        assert.equal(value, null);
        const batch = await engine.changes({ ...options, session, after: position });
        assert.equal(batch.reset, true);
        await dropTenant(database, ours, "twice");
      });

      await test("families that only the tenant's own table knows end with it", async () => {
        await createTenant(database, ours, "families");
        const token = await db.token({ tenant: "families", owner: "system", system: true });
        const inside = await engine.openSession(token);
        await run(engine, call(inside), (s) =>
          s._sessions!.set("quiet", {
            owner: "alice",
            stem: "s",
            current: "c",
            rotatedAt: 1,
            createdAt: 1,
            idleUntil: 1,
            expiresAt: 1,
            address: "unknown",
            bucket: "b",
          }));
        await dropTenant(database, ours, "families");
        await createTenant(database, ours, "families");
        await assert.rejects(login("families", "alice", "quiet"), code("SESSION_REVOKED"));
        await dropTenant(database, ours, "families");
      });

      await test("a session opens only in a tenant that is there", async () => {
        const early = await db.token({ tenant: "later" });
        await assert.rejects(login("later"), code("SCHEMA_MISMATCH"));
        assert.equal(await createTenant(database, ours, "later"), true);
        // The clock of a gateway may be behind: no tenant of this name was before, so it does not matter.
        await engine.openSession(early);
        await dropTenant(database, ours, "later");
        await assert.rejects(login("later"), code("SCHEMA_MISMATCH"));
      });

      await test("a token for a tenant that is gone opens nothing in the next of its name", async () => {
        await createTenant(database, ours, "again");
        for (let i = 0; i < 3; i++) {
          const early = await db.token({ tenant: "again", family: `never seen ${i}` });
          await dropTenant(database, ours, "again");
          await createTenant(database, ours, "again");
          const session = await login("again", "alice");
          await run(engine, call(session), (s) => s.accounts!.set("a", { balance: i }));
          await assert.rejects(engine.openSession(early), code("UNAUTHORIZED"));
        }
        await dropTenant(database, ours, "again");
      });

      await test("dropping a tenant waits for a session that is just being opened, and ends it", async () => {
        await createTenant(database, ours, "closing");
        const token = await db.token({ tenant: "closing", family: "late" });
        const opened = Promise.withResolvers<string>();
        let done = false;
        // As the gateway's role does it, but by a transaction that can be held open.
        const opening = db.admin.begin(async (tx) => {
          const [row] = await tx`
            select sid, pg_backend_pid() as pid from kontract.open_session(${token})`;
          opened.resolve(String(row!.sid));
          await until(async () => {
            const [waiting] = await db.admin`
              select 1 from pg_stat_activity where ${
              Number(row!.pid)
            } = any (pg_blocking_pids(pid))`;
            return done || waiting !== undefined;
          });
        });
        const sid = await opened.promise;
        const dropped = dropTenant(database, ours, "closing").finally(() => done = true);
        await opening;
        assert.equal(await dropped, true);
        await createTenant(database, ours, "closing");
        const session = { ...await login("closing"), sid };
        await assert.rejects(
          run(engine, call(session), (s) => s.accounts!.get("a")),
          code("SESSION_REVOKED"),
        );
        await dropTenant(database, ours, "closing");
      });

      await test("garbage of every tenant is collected, and a tenant that goes meanwhile is no failure", async () => {
        const session = await login("acme");
        for (let i = 0; i < 3; i++) {
          await run(engine, call(session), (s) => s.accounts!.set("g", { balance: i }));
        }
        await db.admin`delete from kontract_private.markers`;
        await db.admin`insert into kontract_private.markers (at, incarnation, horizon)
          select now() - interval '2 hours', min(epoch), pg_snapshot_xmin(pg_current_snapshot())
            from kontract.storage`;
        const report = await collectGarbage(database, { session: system });
        assert.equal(report.finished, true);
        assert.ok(report.removed >= 2, `${report.removed} removed`);
        const { value } = await run(engine, call(session), (s) => s.accounts!.get("g"));
        assert.equal(value!.balance, 2);
      });

      await test("a collector that waits for a tenant that is being dropped stands in nobody's way", async () => {
        await createTenant(database, ours, "going");
        const session = await login("going");
        for (let i = 0; i < 3; i++) {
          await run(engine, call(session), (s) => s.accounts!.set("g", { balance: i }));
        }
        await db
          .admin`update kontract_private.markers set horizon = pg_snapshot_xmin(pg_current_snapshot())`;
        await db.admin`delete from kontract_private.meta where name = 'collected'`;
        /** Whether some statement waits for a lock of this kind. */
        const waits = (kind: string) => async (): Promise<boolean> =>
          (await db.admin`select 1 from pg_locks l where not l.granted and l.locktype = ${kind}
              and l.pid in (select pid from pg_stat_activity where datname = current_database())`)
            .length > 0;
        // Somebody holds the drop up between its locks and the end of the tables.
        const held = Promise.withResolvers<void>();
        const release = Promise.withResolvers<void>();
        const holder = db.admin.begin(async (tx) => {
          await tx`insert into kontract_private.tombstones (tenant, family, until)
            values ('going', '', now())`;
          held.resolve();
          await release.promise;
          await tx`select 1 from pg_stat_activity`;
        });
        await held.promise;
        const sql = postgres(db.adminUrl, { max: 1, onnotice: () => {} });
        const dropping = sql`select kontract_private.remove_tenant('going') as done`;
        dropping.catch(() => {});
        await until(waits("transactionid"));
        const collecting = collectGarbage(database, { session: system });
        await until(waits("advisory"));
        release.resolve();
        await holder;
        const [[row], report] = await Promise.all([dropping, collecting]);
        await sql.end();
        assert.equal(row!.done, true);
        assert.equal(report.finished, true);
        assert.deepEqual(await remains("going"), NOTHING);
      });
    } finally {
      await database.close();
      await db.close();
    }
  },
});
