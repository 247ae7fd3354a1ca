/**
 * PostgreSQL is killed in the middle of a migration that renames a table, changes its rows, and changes another
 * in place: before the one transaction has ended everything is as it was, after it everything is as it is to be,
 * and the next run completes either.
 *
 * @module
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { TableDef } from "../../_internal/manifest.ts";
import { storageEngine } from "../../storage/engine.ts";
import type { MigrationFile } from "../../storage/migrate/migration.ts";
import { migrateUp } from "../../storage/migrate/mod.ts";
import { migrationStatus } from "../../storage/migrate/status.ts";
import { makeTenant } from "../../storage/migrate/tenant_admin.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { code } from "../../storage/testing/expect_code.ts";
import {
  type AnyRow,
  type AnyStorage,
  call,
  field,
  index,
  number,
  run,
  string,
  table,
} from "../../storage/testing/tables.ts";
import { databaseToken } from "../postgres.ts";
import { until } from "../until.ts";
import { OwnServer } from "./own_server.ts";

const BEFORE = [table("things", [field("size", string)]), table("others", [field("x", number)])];
const AFTER = [
  table("items", [field("size", number)]),
  table("others", [field("x", number), field("tier", string, { default: "free" })], {
    indexes: [index(["tier", "x"])],
  }),
];
const FILE: MigrationFile = {
  name: "0001_items",
  hash: "1",
  load: () =>
    Promise.resolve({
      up(m) {
        m.renameTable("things", "items");
        m.transform("items", (row) => ({ ...row, size: Number(row.size) }));
      },
    }),
};

Deno.test({
  name: "faults: PostgreSQL is killed while a migration runs",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const server = await OwnServer.start(BEFORE);
    const database = postgresDatabase({ url: server.gatewayUrl, max: 1 });
    // The keys of this test's own secret are those that its migrations install.
    const secret = new Uint8Array(randomBytes(32));
    const options = (tables: readonly TableDef[], ...migrations: MigrationFile[]) => ({
      adminUrl: server.adminUrl,
      tables,
      secrets: [secret],
      migrations,
    });
    const up = () => migrateUp(options(AFTER, FILE));
    const within = async <T>(
      tables: readonly TableDef[],
      tenant: string,
      work: (s: AnyStorage) => Promise<T>,
    ): Promise<T> => {
      const engine = storageEngine({ database, tables });
      const session = await engine.openSession(await databaseToken(secret, { tenant }));
      return (await run(engine, call(session), work)).value;
    };
    /** The rows of both tables, read and written by a build of before or after. */
    const works = async (tables: readonly TableDef[], tenant: string): Promise<AnyRow[]> =>
      await within(tables, tenant, async (s) => {
        const name = tables[0]!.name;
        const size = tables === BEFORE ? "7" : 7;
        await s[name]!.set("w", { size });
        await s.others!.set("w", { x: 1 });
        await s[name]!.delete("w");
        return [
          ...await s[name]!.query().orderBy("id"),
          ...await s.others!.query({ x: 2 }),
        ];
      });
    /** Data tables that there are, over those that some row of `storage` knows. */
    const leftOver = async (): Promise<number> => {
      const [row] = await server.admin`
        select (select count(*) from pg_class where relnamespace = 'kontract_private'::regnamespace
                   and relname ~ '^tbl_[0-9a-f]+$')::int
             - (select count(*) + count(retired) from kontract.storage)::int as n`;
      return Number(row!.n);
    };
    const waits = async (): Promise<boolean> =>
      (await server.admin`select 1 from pg_stat_activity where wait_event_type = 'Lock'
          and application_name like 'kontract migrate%'`).length > 0;
    /** Runs statements in a transaction that stays open until the crash or `release`. */
    const hold = async (text: string): Promise<() => Promise<void>> => {
      const connection = server.connect();
      await connection.unsafe(`begin; ${text}`);
      return () => connection.end({ timeout: 0 });
    };
    try {
      await migrateUp(options(BEFORE));
      await makeTenant(server.adminUrl, "acme");
      for (const tenant of ["main", "acme"]) {
        await within(BEFORE, tenant, async (s) => {
          await s.things!.set("a", { size: "1" });
          await s.things!.set("b", { size: "2" });
          await s.others!.set("o", { x: 2 });
        });
      }

      await t.step(
        "before its transaction has ended the old schema stands, and serves",
        async () => {
          // The last row that the transaction writes: names, rows, checks and the swap are all done by then.
          const release = await hold(
            "select 1 from kontract_private.meta where name = 'generic' for update",
          );
          const migrating = assert.rejects(up(), code("DATABASE_UNAVAILABLE"));
          await until(waits);
          await server.crash();
          await Promise.all([migrating, release()]);
          assert.ok(await leftOver() > 0, "the copy of the rows is there, and nobody knows it");
          for (const tenant of ["main", "acme"]) {
            assert.deepEqual(await works(BEFORE, tenant), [
              { id: "a", size: "1" },
              { id: "b", size: "2" },
              { id: "o", x: 2 },
            ]);
          }
          const { files } = await migrationStatus(options(BEFORE, FILE));
          assert.deepEqual(files.map(({ state }) => state), ["pending"]);
        },
      );

      await t.step("after it the new one stands, and the next run does the rest", async () => {
        const release = await hold(
          "select 1 from kontract_private.meta where name = 'generic' for update",
        );
        const migrating = assert.rejects(up(), code("DATABASE_UNAVAILABLE"));
        await until(waits);
        // From here on the new check of 'others', which comes after the transaction, has to wait.
        const [others] = await server.admin`
          select ptr from kontract.storage where owner = 'main' and id = 'others'`;
        const writer = await hold(
          `lock table kontract_private.${others!.ptr} in row exclusive mode`,
        );
        await release();
        await until(async () =>
          (await server.admin`select 1 from kontract.storage where owner = 'main' and id = 'items'`)
              .length > 0 && await waits()
        );
        await server.crash();
        await Promise.all([migrating, writer()]);
        const fires = async (): Promise<number> =>
          (await server.admin`select 1 from pg_trigger where tgname like 'shape%'
              and tgrelid = ${`kontract_private.${others!.ptr}`}::regclass`).length;
        assert.equal(await fires(), 0, "the check had to wait");
        const after = [
          { id: "a", size: 1 },
          { id: "b", size: 2 },
          { id: "o", x: 2, tier: "free" },
        ];
        assert.deepEqual(await works(AFTER, "main"), after);
        assert.deepEqual((await works(BEFORE, "acme")).length, 3, "its turn had not come");
        await up();
        assert.equal(await fires(), 1);
        for (const tenant of ["main", "acme"]) {
          assert.deepEqual(await works(AFTER, tenant), after);
          await assert.rejects(works(BEFORE, tenant), code("SCHEMA_MISMATCH"));
        }
        assert.equal(await leftOver(), 0);
        const status = await migrationStatus(options(AFTER, FILE));
        assert.deepEqual([status.files[0]!.state, status.steps, status.lagging], [
          "applied",
          [],
          [],
        ]);
      });
    } finally {
      await database.close();
      await server.stop();
    }
  },
});
