import assert from "node:assert/strict";
import { join } from "node:path";
import postgres from "postgres";
import { storageEngine } from "../../storage/engine.ts";
import { examine } from "../../storage/maintenance/doctor/mod.ts";
import { gatewayUrl, migrateUp } from "../../storage/migrate/mod.ts";
import { rebase } from "../../storage/migrate/rebase.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { ACCOUNTS, call, NOTES, run } from "../../storage/testing/tables.ts";
import { databaseToken } from "../postgres.ts";
import { findServers, startServer } from "./installed_server.ts";

const servers = await findServers();
const bin = servers.at(-1)?.bin;
if (bin === undefined) console.warn("SKIPPED: no PostgreSQL is installed for dump and restore");

const TABLES = [ACCOUNTS, NOTES];
const ROLE = "kontract_gateway";
const PASSWORD = "gateway";

async function tool(name: string, ...args: string[]): Promise<string> {
  const output = await new Deno.Command(join(bin!, name), { args, stdin: "null" }).output();
  return new TextDecoder().decode(output.stderr);
}

Deno.test({
  name: "a dump restored into a fresh cluster is refused, then rebased and served",
  ignore: bin === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using first = await startServer(bin!);
    await using second = await startServer(bin!);
    const folder = await Deno.makeTempDir({ prefix: "kontract_restore_" });
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const options = (adminUrl: string) => ({
      adminUrl,
      tables: TABLES,
      secrets: [secret],
      gatewayRole: ROLE,
      gatewayPassword: PASSWORD,
    });
    const open = async (adminUrl: string) => {
      const database = postgresDatabase({ url: gatewayUrl(adminUrl, ROLE, PASSWORD), max: 2 });
      const engine = storageEngine({ database, tables: TABLES });
      return { database, engine, token: await databaseToken(secret) };
    };
    try {
      // The first cluster is far ahead in transaction ids.
      const admin = postgres(first.adminUrl, { max: 1, onnotice: () => {} });
      await migrateUp(options(first.adminUrl));
      await admin.unsafe(
        "do $do$ begin for n in 1..3000 loop perform pg_current_xact_id(); commit; end loop; end $do$",
      );
      await admin.end();
      const before = await open(first.adminUrl);
      const session = await before.engine.openSession(before.token);
      for (const balance of [1, 2]) {
        await run(before.engine, call(session), (s) => s.accounts!.set("a", { balance }));
      }
      const { position } = await before.engine.changes({
        session,
        table: "accounts",
        after: null,
        limit: 1,
      });
      await before.database.close();

      const dump = join(folder, "dump");
      assert.equal(await tool("pg_dump", "-Fc", "-f", dump, first.adminUrl), "");
      await tool("pg_restore", "-d", second.adminUrl, dump); // roles are missing: it complains and goes on

      await assert.rejects(migrateUp(options(second.adminUrl)), { code: "MIGRATION_REFUSED" });
      const steps = (await rebase({ adminUrl: second.adminUrl, gatewayRole: ROLE })).steps;
      assert.equal(steps[0], "table 'accounts': 1 rows rebased, 1 old versions removed");
      await migrateUp(options(second.adminUrl));
      const findings = await examine({
        ...options(second.adminUrl),
        gatewayUrl: null,
        prepares: true,
        migrations: [],
      });
      assert.deepEqual(findings.filter(({ level }) => level === "problem"), []);

      const after = await open(second.adminUrl);
      // The session of before is gone with its cluster's life.
      await assert.rejects(run(after.engine, call(session), (s) => s.accounts!.get("a")), {
        code: "SESSION_REVOKED",
      });
      const fresh = await after.engine.openSession(after.token);
      await run(after.engine, call(fresh), async (s) => {
        assert.equal((await s.accounts!.get("a"))!.balance, 2);
        await s.accounts!.set("a", { balance: 3 });
        await s.accounts!.set("b", { balance: 1 });
      });
      const batch = await after.engine.changes({
        session: fresh,
        table: "accounts",
        after: position,
        limit: 9,
      });
      assert.equal(batch.reset, true);
      await after.database.close();
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
