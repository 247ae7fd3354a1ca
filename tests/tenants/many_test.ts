/**
 * Commands that look at every table of every tenant hold the locks of few of them at a time, so that a server
 * has room for them however many tenants there are. `KONTRACT_LONG=1` makes as many as would not fit.
 *
 * @module
 */
import assert from "node:assert/strict";
import { storageEngine } from "../../storage/engine.ts";
import { examine, type Finding } from "../../storage/maintenance/doctor/mod.ts";
import { collectGarbage } from "../../storage/maintenance/garbage.ts";
import { migrateUp } from "../../storage/migrate/mod.ts";
import { rebase } from "../../storage/migrate/rebase.ts";
import { migrationStatus } from "../../storage/migrate/status.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { createTenant } from "../../storage/tenants.ts";
import { code } from "../../storage/testing/expect_code.ts";
import { call, field, index, number, run, table } from "../../storage/testing/tables.ts";
import { testDatabase } from "../postgres.ts";

const long = Deno.env.get("KONTRACT_LONG") === "1";
const TENANTS = long ? 400 : 8;
const TABLES = Array.from(
  { length: long ? 20 : 3 },
  (_, i) => table(`table${i}`, [field("n", number)], { indexes: [index(["n"])] }),
);
/** The tables of one tenant with their indexes. */
const LOCKS_AT_ONCE = 10 * TABLES.length;
/** The tenant that comes last. */
const LAST = "zz";

Deno.test({
  name: `${TENANTS} tenants: what looks at all of them needs the locks of one`,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase(TABLES, {}, long ? "alone" : "shared");
    const { adminUrl, gatewayRole, secrets } = db;
    const database = postgresDatabase({ url: db.gatewayUrl, max: 2 });
    const engine = storageEngine({ database, tables: TABLES });
    const options = { adminUrl, gatewayRole, tables: TABLES, migrations: [] };
    const session = await engine.openSession(await db.token({ owner: "system", system: true }));
    for (const name of [...Array(TENANTS - 1).keys().map((i) => `t${i}`), LAST]) {
      await createTenant(database, { session, actor: null }, name);
    }
    const inLast = await engine.openSession(await db.token({ tenant: LAST }));
    const [row] = await db.admin`
      select 'kontract_private.' || ptr as name from kontract.storage
       where owner = ${LAST} order by id desc limit 1`;
    const lastTable = String(row!.name);
    const last = TABLES.map(({ name }) => name).sort().at(-1)!;

    /** Holds the table that is looked at last until the command waits there; its locks are counted. */
    const few = async <T>(work: () => Promise<T>): Promise<T> => {
      const held = Promise.withResolvers<void>();
      const release = Promise.withResolvers<void>();
      const holder = db.admin.begin(async (tx) => {
        await tx.unsafe(`lock table ${lastTable} in access exclusive mode`);
        held.resolve();
        await release.promise;
      });
      await held.promise;
      const working = work();
      try {
        for (;;) {
          const [waiting] = await db.admin`
            select (select count(*)::int from pg_locks l join pg_class c on c.oid = l.relation
                     where l.database = d.oid and c.relnamespace = 'kontract_private'::regnamespace
                       and exists (select 1 from kontract.storage st where st.owner <> 'main'
                                      and st.ptr = substring(c.relname from '^tbl_[0-9a-f]{24}'))) as locks
              from pg_stat_activity a join pg_database d on d.oid = a.datid
             where d.datname = current_database() and a.wait_event_type = 'Lock'
               and a.application_name like 'kontract %'`;
          if (waiting !== undefined) {
            assert.ok(Number(waiting.locks) <= LOCKS_AT_ONCE, `${waiting.locks} locks`);
            break;
          }
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      } finally {
        release.resolve();
        await holder;
      }
      return await working;
    };
    const problems = async (): Promise<readonly Finding[]> =>
      (await examine({ ...options, gatewayUrl: null, prepares: true }))
        .filter(({ level, check }) => level === "problem" || check === "garbage");
    try {
      for (let n = 0; n < 5; n++) {
        await run(engine, call(inLast), (s) => s[last]!.set("a", { n }));
      }

      await t.step("status and doctor", async () => {
        const status = await few(() => migrationStatus(options));
        assert.deepEqual([status.rebase, status.steps, status.lagging], [null, [], []]);
        const found = await few(problems);
        assert.deepEqual(found.map(({ level, check }) => [level, check]), [["ok", "garbage"]]);
      });

      await t.step(
        "a change of functions leaves tables alone that are as they should be",
        async () => {
          const rows = async (): Promise<unknown> =>
            await db.admin`select st.id, st.xmin::text as written,
              (select json_agg(t.tgname order by t.oid) from pg_trigger t where t.tgrelid = c.oid) as triggers,
              (select json_agg(i.indexrelid order by i.indexrelid) from pg_index i
                where i.indrelid = c.oid) as indexes
            from kontract.storage st join pg_class c on c.relname = st.ptr
           where st.owner <> 'main' order by st.owner, st.id`;
          const asAfterAnother = async (): Promise<void> => {
            await db.admin`update kontract_private.tenants set state = 'other'`;
            await db
              .admin`update kontract_private.meta set value = '' where name in ('state', 'generic')`;
          };
          const before = await rows();
          await asAfterAnother();
          await migrateUp({ ...options, secrets });
          assert.deepEqual(await rows(), before);
          assert.deepEqual((await migrationStatus(options)).lagging, []);
          // What one of them lacks is seen all the same, and made.
          const [index] = await db.admin`
          select jsonb_object_keys(indexes) as name from kontract.storage where owner = 't0' limit 1`;
          await db.admin.unsafe(`drop index kontract_private.${index!.name}`);
          await asAfterAnother();
          await migrateUp({ ...options, secrets });
          assert.deepEqual((await problems()).map(({ check }) => check), ["garbage"]);
        },
      );

      await t.step("old versions of every tenant are counted, and collected", async () => {
        await db.admin`insert into kontract_private.markers (at, incarnation, horizon)
          select now() - make_interval(hours => h), epoch, pg_snapshot_xmax(pg_current_snapshot())
            from (select epoch from kontract.storage limit 1) st, unnest(array[0, 3]) h`;
        const waits = async (): Promise<string> => (await problems())[0]!.message;
        assert.match(await waits(), /; 4 versions wait\.$/);
        const report = await collectGarbage(database, { session });
        assert.deepEqual([report.removed, report.finished], [4, true]);
        assert.match(await waits(), /; 0 versions wait\.$/);
      });

      await t.step("a tenant's rows from the future are found, and rebased", async () => {
        await db.admin.unsafe(`update ${lastTable}
          set _txid = (_txid::text::bigint + 1000000000)::text::xid8,
              _born = (_born::text::bigint + 1000000000)::text::xid8`);
        const { rebase: reason } = await migrationStatus(options);
        assert.match(
          reason!,
          new RegExp(`table '${last}' of tenant '${LAST}' has rows from the f`),
        );
        const { steps } = await few(() => rebase({ adminUrl, gatewayRole }));
        assert.deepEqual(steps, [
          `table '${last}' of tenant '${LAST}': 1 rows rebased, 0 old versions removed`,
          "new epoch: every session, snapshot and resume token of before has ended",
        ]);
        const read = (s: typeof inLast) => run(engine, call(s), (all) => all[last]!.get("a"));
        await assert.rejects(read(inLast), code("SESSION_REVOKED"));
        await migrateUp({ ...options, secrets });
        assert.equal((await migrationStatus(options)).rebase, null);
        const again = await engine.openSession(await db.token({ tenant: LAST }));
        assert.deepEqual((await read(again)).value, { id: "a", n: 4 });
      });
    } finally {
      await database.close();
      await db.close();
    }
  },
});
