import postgres from "postgres";
import assert from "node:assert/strict";
import { startEmbeddedPostgres } from "../../cli/embedded_postgres.ts";
import { findPgBouncer, startPgBouncer } from "./pgbouncer.ts";
import { runSuites, STORAGE_SUITES } from "./suite.ts";

const program = await findPgBouncer();
if (program === null) {
  console.warn("SKIPPED: pgbouncer is not installed (Debian: apt-get install pgbouncer)");
}

Deno.test({
  name: "storage keeps its promises through pgbouncer in transaction mode",
  ignore: program === null,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const server = await startEmbeddedPostgres({});
    try {
      await using bouncer = await startPgBouncer(program!, server.url);
      const url = new URL(server.url);
      url.host = bouncer.address;
      await isPooled(url.href);
      const env = { DATABASE_ADMIN_URL: server.url, KONTRACT_TEST_POOLER: bouncer.address };
      await runSuites([...STORAGE_SUITES, "tests/tenants/provision_test.ts"], env);
      await runSuites(["storage/engine_test.ts", "storage/changes_test.ts"], {
        ...env,
        KONTRACT_TEST_TENANT: "acme",
      });
    } finally {
      await server.stop();
    }
  },
});

/** Two clients share one server connection between their transactions: the mode is what it says. */
async function isPooled(url: string): Promise<void> {
  const [a, b] = [url, url].map((at) =>
    postgres(at, { max: 1, prepare: false, fetch_types: false })
  );
  try {
    const pid = async (sql: postgres.Sql): Promise<unknown> =>
      (await sql`select pg_backend_pid() as pid`)[0]!.pid;
    assert.equal(await pid(a!), await pid(b!));
  } finally {
    await a!.end();
    await b!.end();
  }
}
