/**
 * Migrations bring every tenant along, whatever happens on the way. That each kind of change does to a
 * tenant's rows what it does to those of `main` is the migrations' own suite, run in a tenant by
 * `suites_test.ts` where `KONTRACT_LONG=1`.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { TableDef } from "../../_internal/manifest.ts";
import { KontractError } from "../../_internal/errors.ts";
import { storageEngine } from "../../storage/engine.ts";
import { examine } from "../../storage/maintenance/doctor/mod.ts";
import { migrateDown } from "../../storage/migrate/down.ts";
import type { MigrationFile } from "../../storage/migrate/migration.ts";
import { migrateUp } from "../../storage/migrate/mod.ts";
import { makeTenant, removeTenant, tenantStatus } from "../../storage/migrate/tenant_admin.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import {
  type AnyRow,
  call,
  field,
  index,
  number,
  run,
  string,
  table,
} from "../../storage/testing/tables.ts";
import { testDatabase } from "../postgres.ts";

const FIRST = table("things", [field("size", string)]);
const NEXT = table("things", [field("size", number), field("color", string, { default: "red" })], {
  indexes: [index(["size"])],
});

async function open() {
  const db = await testDatabase([FIRST]);
  const database = postgresDatabase({ url: db.gatewayUrl });
  const { adminUrl, gatewayRole, secrets } = db;
  const within = async <T>(
    def: TableDef,
    tenant: string,
    work: (t: never) => Promise<T>,
  ): Promise<T> => {
    const engine = storageEngine({ database, tables: [def] });
    const session = await engine.openSession(await db.token({ tenant }));
    return (await run(engine, call(session), (s) => work(s.things as never))).value;
  };
  return {
    db,
    up: (def: TableDef, ...migrations: MigrationFile[]) =>
      migrateUp({ adminUrl, tables: [def], secrets, gatewayRole, migrations }),
    down: (...migrations: MigrationFile[]) => migrateDown({ adminUrl, gatewayRole, migrations }),
    doctor: (def: TableDef, ...migrations: MigrationFile[]) =>
      examine({
        adminUrl,
        gatewayUrl: null,
        gatewayRole,
        prepares: false,
        tables: [def],
        migrations,
      }),
    set: (def: TableDef, tenant: string, id: string, row: AnyRow) =>
      within(def, tenant, (t: { set(id: string, row: AnyRow): Promise<AnyRow> }) => t.set(id, row)),
    get: (def: TableDef, tenant: string, id: string) =>
      within(def, tenant, (t: { get(id: string): Promise<AnyRow | null> }) => t.get(id)),
    lagging: async () =>
      (await tenantStatus(adminUrl)).filter(({ lags }) => lags).map(({ name }) => name),
    async close(): Promise<void> {
      await database.close();
      await db.close();
    },
  };
}

const toNumber: MigrationFile = {
  name: "0001_number",
  hash: "1",
  load: () =>
    Promise.resolve({
      up: (m) => m.transform("things", (row) => ({ ...row, size: Number(row.size) })),
      down: (m) =>
        m.transform("things", ({ color: _, ...row }) => ({ ...row, size: String(row.size) })),
    }),
};

Deno.test({
  name: "migrations bring all tenants along",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const world = await open();
    const { db, up, down, doctor, set, get, lagging } = world;
    const { adminUrl } = db;
    const test = (name: string, fn: () => Promise<void>): Promise<boolean> => t.step(name, fn);
    try {
      for (const name of ["acme", "globex", "initech"]) await makeTenant(adminUrl, name);
      await set(FIRST, "acme", "a", { size: "12" });
      await set(FIRST, "globex", "a", { size: "many" });

      await test("a tenant whose rows stand in the way refuses the run, by name, and nothing has changed", async () => {
        const refused = (why: RegExp) => (error: unknown): boolean => {
          assert.ok(error instanceof KontractError);
          assert.equal(error.code, "MIGRATION_REFUSED");
          assert.match(error.message, why);
          return true;
        };
        await assert.rejects(up(NEXT), refused(/^Tenant 'acme': Table 'things', field 'size'/));
        const strict: MigrationFile = {
          ...toNumber,
          load: () =>
            Promise.resolve({
              up: (m) =>
                m.transform("things", (row) => {
                  if (Number.isNaN(Number(row.size))) throw new Error("no number");
                  return { ...row, size: Number(row.size) };
                }),
            }),
        };
        await assert.rejects(up(NEXT, strict), refused(/^Tenant 'globex': .*row 'a'.*no number/));
        assert.deepEqual(await get(FIRST, "acme", "a"), { id: "a", size: "12" });
        const [left] = await db.admin`
          select (select count(*)::int from kontract_private.rebuilds) as rebuilds,
                 (select count(*)::int from kontract_private.migration_files) as files`;
        assert.deepEqual({ ...left }, { rebuilds: 0, files: 0 });
        await set(FIRST, "globex", "a", { size: "7" });
      });

      await test("one run changes the rows of all of them", async () => {
        await set(FIRST, "main", "a", { size: "0" });
        const { steps } = await up(NEXT, toNumber);
        assert.ok(steps.includes("bring along 3 tenants: acme, globex, initech"), steps.join("\n"));
        assert.deepEqual(await get(NEXT, "acme", "a"), { id: "a", size: 12, color: "red" });
        assert.deepEqual(await get(NEXT, "globex", "a"), { id: "a", size: 7, color: "red" });
        assert.deepEqual(await lagging(), []);
        assert.equal((await up(NEXT, toNumber)).changed, false);
      });

      await test("a new tenant is made as the source is now, with its indexes", async () => {
        await makeTenant(adminUrl, "late");
        await set(NEXT, "late", "a", { size: 1, color: "blue" });
        const [row] = await db.admin`select indexes from kontract.storage where owner = 'late'`;
        assert.deepEqual(Object.values(row!.indexes), [["size"]]);
      });

      await test("the way back leads back everywhere, for a tenant made since as well", async () => {
        await down(toNumber);
        assert.deepEqual(await get(FIRST, "acme", "a"), { id: "a", size: "12" });
        assert.deepEqual(await get(FIRST, "late", "a"), { id: "a", size: "1" });
        await makeTenant(adminUrl, "later");
        await set(FIRST, "later", "a", { size: "3" });
        await up(NEXT, toNumber);
        assert.deepEqual(await get(NEXT, "later", "a"), { id: "a", size: 3, color: "red" });
        assert.deepEqual(await get(NEXT, "late", "a"), { id: "a", size: 1, color: "red" });
      });

      await test("a run that was killed before its last tenant is gone on with; status and doctor tell", async () => {
        // As it is left by a kill after `main` and some tenants: one is where it was before.
        await down(toNumber);
        const [before] = await db.admin`
          select state, run from kontract_private.tenants where name = 'globex'`;
        await db.admin.begin(async (tx) => {
          await tx`delete from kontract_private.tenants where name = 'globex'`;
          await tx`update kontract.storage set owner = 'globex-away' where owner = 'globex'`;
        });
        await up(NEXT, toNumber);
        await db.admin.begin(async (tx) => {
          await tx`update kontract.storage set owner = 'globex' where owner = 'globex-away'`;
          await tx`insert into kontract_private.tenants (name, state, run)
            values ('globex', ${before!.state}, ${before!.run})`;
        });
        assert.deepEqual(await lagging(), ["globex"]);
        const findings = await doctor(NEXT, toNumber);
        const found = findings.filter(({ check }) => check === "tenants");
        assert.deepEqual(found.map(({ level, message }) => `${level}: ${message}`), [
          "warning: 1 tenant(s) lag behind the last migration: globex.",
        ]);
        assert.deepEqual(await get(FIRST, "globex", "a"), { id: "a", size: "7" }, "it works on");
        const { steps, changed } = await up(NEXT, toNumber);
        assert.deepEqual([changed, steps], [true, ["bring along 1 tenant: globex"]]);
        assert.deepEqual(await get(NEXT, "globex", "a"), { id: "a", size: 7, color: "red" });
        const [now] = (await doctor(NEXT, toNumber)).filter(({ check }) => check === "tenants");
        assert.equal(now!.level, "ok", now!.message);
      });

      await test("tenants that come and go during a migration are whole or gone", async () => {
        const more = [0, 1, 2, 3].map((n) => field(`more${n}`, string, { optional: true }));
        const wide = (n: number): TableDef =>
          table("things", [...NEXT.fields.slice(1), ...more.slice(0, n + 1)], {
            indexes: NEXT.indexes,
          });
        let going = true;
        const churn = Array.from({ length: 2 }, async (_, i) => {
          for (let n = 0; going; n++) {
            for (const work of [makeTenant, removeTenant]) {
              await work(adminUrl, `churn-${i}`).catch((error: unknown) => {
                assert.ok(error instanceof KontractError, String(error));
                assert.ok(["CONFIG", "CONFLICT"].includes(error.code), error.message);
              });
            }
          }
        });
        for (let n = 0; n < 2; n++) {
          await up(wide(n), toNumber).catch((error: unknown) => {
            assert.ok(error instanceof KontractError, String(error));
          });
        }
        going = false;
        await Promise.all(churn);
        await up(wide(3), toNumber);
        assert.deepEqual(await lagging(), []);
        const [left] = await db.admin`
          select count(*)::int as n from pg_class c where c.relkind = 'r' and c.relname like 'tbl\\_%'
             and not exists (select 1 from kontract.storage st
                              where st.ptr = c.relname or st.retired->>'ptr' = c.relname)`;
        assert.equal(left!.n, 0);
        assert.equal((await get(wide(3), "acme", "a"))!.size, 12);
      });
    } finally {
      await world.close();
    }
  },
});
