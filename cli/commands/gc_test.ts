import assert from "node:assert/strict";
import { join } from "node:path";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { ACCOUNTS, call, run } from "../../storage/testing/tables.ts";
import { testDatabase } from "../../tests/postgres.ts";
import { CommandProcess } from "../testing/command_process.ts";

Deno.test({
  name: "kontract gc removes old versions as the gateway, with no admin's string",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const db = await testDatabase([ACCOUNTS]);
    const database = postgresDatabase({ url: db.gatewayUrl, max: 1 });
    const folder = await Deno.makeTempDir({ prefix: "kontract_gc_" });
    const env = {
      DATABASE_URL: db.gatewayUrl,
      KONTRACT_SECRET: db.secrets[0]!.toBase64({ alphabet: "base64url", omitPadding: true }),
    };
    await using commands = new CommandProcess();
    const gc = (...args: string[]) => commands.run(["gc", folder, ...args], env);
    try {
      await Deno.writeTextFile(join(folder, "deno.json"), "{}");
      const engine = storageEngine({ database, tables: [ACCOUNTS] });
      const session = await engine.openSession(await db.token());
      for (const balance of [1, 2, 3]) {
        await run(engine, call(session), (s) => s.accounts!.set("a", { balance }));
      }
      const first = await gc();
      assert.equal(first.code, 0, first.stderr);
      assert.match(first.stdout, /Nothing is old enough yet/);
      await db.admin`update kontract_private.markers set at = at - interval '10 minutes'`;
      assert.match((await gc()).stdout, /Nothing is old enough yet/);
      const second = await gc("--retention", "5", "--json");
      assert.equal(second.code, 0, second.stderr);
      assert.equal(JSON.parse(second.stdout).removed, 2);
      const other = { ...env, KONTRACT_SECRET: "A".repeat(43) };
      const unknown = await commands.run(["gc", folder], other);
      assert.equal(unknown.code, 1);
      assert.match(
        unknown.stderr,
        /^CONFIG: The database refuses .* it does not know this KONTRACT_SECRET/,
      );
      for (const wrong of ["4", "soon", "-1", "99999999"]) {
        const refused = await gc(`--retention=${wrong}`);
        assert.equal(refused.code, 2);
        assert.match(refused.stderr, /--retention must be from 5 to 525600 minutes/);
      }
    } finally {
      await database.close();
      await Deno.remove(folder, { recursive: true });
      await db.close();
    }
  },
});
