import { findServers, startServer } from "./debian_server.ts";
import { runSuites, STORAGE_SUITES } from "./suite.ts";

const servers = await findServers();
if (servers.length === 0) {
  console.warn(
    "SKIPPED: no PostgreSQL 14 or later is installed (Debian: apt-get install postgresql)",
  );
}

Deno.test({
  name: "storage keeps its promises on the PostgreSQL that the system has",
  ignore: servers.length === 0,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    for (const { version, bin } of servers) {
      await t.step(`version ${version}`, async () => {
        await using server = await startServer(bin);
        await runSuites([
          ...STORAGE_SUITES,
          "storage/security_test.ts",
          "storage/migrate/migrate_test.ts",
          "storage/migrate/migrations_test.ts",
        ], { DATABASE_ADMIN_URL: server.adminUrl });
      });
    }
  },
});
