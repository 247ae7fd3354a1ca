/** Databases that cannot hold Kontract, and connections that may not put it there: what a migration says. */
import assert from "node:assert/strict";
import { testDatabase } from "../../tests/postgres.ts";
import { examine } from "../maintenance/doctor/mod.ts";
import { ACCOUNTS, NOTES } from "../testing/tables.ts";
import { migrateUp } from "./mod.ts";
import { migrationStatus } from "./status.ts";

Deno.test({
  name: "a database or a connection that will not do is told, with what it lacks",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const db = await testDatabase([]);
    const { admin, secrets } = db;
    const name = `${db.gatewayRole}_other`;
    const at = (change: Partial<URL>): string => Object.assign(new URL(db.adminUrl), change).href;
    const elsewhere = at({ pathname: `/${name}` });
    const refused = async (adminUrl: string, message: RegExp, code = "CONFIG"): Promise<void> => {
      const migrating = migrateUp({ adminUrl, tables: [], secrets, gatewayRole: name });
      await assert.rejects(
        migrating,
        (error: Error & { code?: string }) =>
          error.code === code && message.test(error.message) &&
          !error.message.includes(new URL(adminUrl).password),
      );
    };
    try {
      await t.step("another encoding than UTF8, which doctor sees too", async () => {
        await admin.unsafe(
          `create database ${name} encoding 'SQL_ASCII' locale 'C' template template0`,
        );
        await refused(elsewhere, /encoding UTF8/);
        const findings = await examine({
          adminUrl: elsewhere,
          gatewayUrl: elsewhere,
          gatewayRole: name,
          prepares: false,
          tables: [],
          migrations: [],
        });
        assert.ok(
          findings.some(({ level, message }) =>
            level === "problem" && message.endsWith("The database must have encoding UTF8.")
          ),
        );
        await admin.unsafe(`drop database ${name}`);
      });

      await t.step(
        "a database that is not there or full, and a role that may not make others",
        async () => {
          await refused(elsewhere, /not accepted/);
          await admin.unsafe(`create role ${name} login password 'pw'`);
          await refused(
            at({ username: name, password: "pw" }),
            /must be able to create roles and schemas/,
          );
          await admin.unsafe(`alter role ${name} connection limit 0`);
          await refused(
            at({ username: name, password: "pw" }),
            /has no connection, memory or disk space left/,
            "DATABASE_UNAVAILABLE",
          );
          await admin.unsafe(`drop role ${name}`);
        },
      );

      await t.step(
        "where nothing is installed yet, the status says what would be made",
        async () => {
          await admin.unsafe(`create database ${name}`);
          const status = await migrationStatus({
            adminUrl: elsewhere,
            tables: [ACCOUNTS, NOTES],
            migrations: [],
          });
          assert.deepEqual([status.installed, status.steps, status.problems], [
            false,
            ["create table 'accounts'", "create table 'notes'"],
            [],
          ]);
          const [made] = await admin`
          select count(*)::int as n from pg_roles where rolname = ${name}`;
          assert.equal(made!.n, 0);
          await admin.unsafe(`drop database ${name}`);
        },
      );
    } finally {
      await admin.unsafe(`drop database if exists ${name} with (force)`);
      await admin.unsafe(`drop role if exists ${name}`);
      await db.close();
    }
  },
});
