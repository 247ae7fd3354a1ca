import assert from "node:assert/strict";
import { join } from "node:path";
import { ACCOUNTS } from "../../storage/testing/tables.ts";
import { testDatabase } from "../../tests/postgres.ts";
import { CommandProcess } from "../testing/command_process.ts";

Deno.test("kontract tenants", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "kontract_tenants_" });
  await Deno.writeTextFile(join(folder, "deno.json"), "{}");
  const db = await testDatabase([ACCOUNTS]);
  await using commands = new CommandProcess();
  const tenants = async (
    args: readonly string[],
    env: Record<string, string> = {},
  ): Promise<[number, string]> => {
    const { code, stdout, stderr } = await commands.run(["tenants", ...args, "--app", folder], {
      DATABASE_URL: db.gatewayUrl,
      DATABASE_ADMIN_URL: db.adminUrl,
      ...env,
    });
    return [code, (stdout + stderr).trim()];
  };
  try {
    await t.step("creates, lists and drops, each as often as one likes", async () => {
      assert.deepEqual(await tenants(["list"]), [0, "There is no tenant beside 'main'."]);
      assert.deepEqual(await tenants(["create", "acme"]), [0, "Tenant 'acme' is there."]);
      assert.deepEqual(await tenants(["create", "acme"]), [0, "Tenant 'acme' was there already."]);
      const [, json] = await tenants(["list", "--json"]);
      const [listed] = JSON.parse(json);
      assert.deepEqual([listed.name, listed.lags], ["acme", false]);
      const owners = await db
        .admin`select distinct pg_get_userbyid(c.relowner) as owner from pg_class c
        join kontract.storage st on st.ptr = c.relname`;
      assert.deepEqual(owners.map(({ owner }) => owner), ["kontract_owner"]);
      assert.deepEqual(await tenants(["drop", "acme", "--yes"]), [0, "Tenant 'acme' is gone."]);
      const none = [0, "There was no tenant 'acme'."];
      assert.deepEqual(await tenants(["drop", "acme", "--yes"]), none);
    });

    await t.step("mistakes say what is wrong", async () => {
      const wrong: [string[], number, RegExp][] = [
        [["create", "No"], 1, /^VALIDATION: A tenant's name/],
        [["drop", "main", "--yes"], 1, /^VALIDATION: The tenant 'main'/],
        [["drop", "acme"], 2, /^usage: All rows and users of tenant 'acme'/],
        [["create"], 2, /^usage: Say 'kontract tenants/],
        [["list", "x"], 2, /^usage/],
      ];
      for (const [args, code, message] of wrong) {
        const [status, text] = await tenants(args);
        assert.equal(status, code, text);
        assert.match(text, message);
      }
      const [status, text] = await tenants(["list"], { DATABASE_ADMIN_URL: "" });
      assert.equal(status, 1);
      assert.match(text, /^CONFIG: DATABASE_URL is set and DATABASE_ADMIN_URL is not/);
    });

    await t.step("a database that was never migrated is told to be", async () => {
      await db.admin.unsafe("drop schema kontract_private cascade; drop schema kontract cascade");
      const [status, text] = await tenants(["create", "acme"]);
      assert.equal(status, 1);
      assert.match(text, /run 'kontract migrate up' first/);
    });
  } finally {
    await db.close();
    await Deno.remove(folder, { recursive: true });
  }
});
