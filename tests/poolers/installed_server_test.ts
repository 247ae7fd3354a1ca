import { fetchServers, findServers, startServer } from "./installed_server.ts";
import { runSuites, STORAGE_SUITES } from "./suite.ts";

const long = Deno.env.get("KONTRACT_LONG") === "1";
const servers = [...await findServers(), ...long ? await fetchServers() : []];
if (servers.length === 0) {
  console.warn(
    "SKIPPED: no PostgreSQL 14 or later is installed (Debian: apt-get install postgresql)",
  );
}

const SUITES = [
  ...STORAGE_SUITES,
  "storage/security_test.ts",
  "storage/migrate/migrate_test.ts",
  "storage/migrate/migrations_test.ts",
];
const MORE_SUITES = [
  "storage/bad_input_test.ts",
  "storage/exec/exec_test.ts",
  "storage/migrate/exec/check_test.ts",
  "storage/plan_used_test.ts",
  "storage/pages_test.ts",
  "storage/maintenance/doctor/triggers_test.ts",
  "tests/isolation/anomalies_test.ts",
  "tests/tenants/provision_test.ts",
  "tests/tenants/migrations_test.ts",
];

Deno.test({
  name: "storage keeps its promises on every PostgreSQL that the system has",
  ignore: servers.length === 0,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    for (const { version, bin } of servers) {
      await t.step(`version ${version}`, async () => {
        await using server = await startServer(bin);
        await runSuites([...SUITES, ...long ? MORE_SUITES : []], {
          DATABASE_ADMIN_URL: server.adminUrl,
        });
      });
    }
  },
});
