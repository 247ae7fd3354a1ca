import assert from "node:assert/strict";
import { join } from "node:path";
import { withNotes } from "../../runtime/testing/notes_server.ts";
import { CommandProcess } from "../testing/command_process.ts";

Deno.test("kontract users groups", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "kontract_users_" });
  await Deno.writeTextFile(join(folder, "deno.json"), "{}");
  try {
    await using commands = new CommandProcess();
    await withNotes(async ({ database, call, visitor, send }) => {
      const secret = database.secrets.map((one) => one.toBase64({ alphabet: "base64url" })).join();
      const users = async (...args: string[]): Promise<[number, string]> => {
        const { code, stdout, stderr } = await commands.run(["users", ...args, "--app", folder], {
          DATABASE_URL: database.gatewayUrl,
          DATABASE_ADMIN_URL: "",
          KONTRACT_SECRET: secret,
        });
        return [code, (stdout + stderr).trim()];
      };
      const ann = await visitor();

      await t.step("the first administrator is made, by id", async () => {
        assert.equal((await call(ann, "adminOnly")).code, "FORBIDDEN");
        assert.deepEqual(await users("groups", ann.owner), [0, `${ann.owner}: no groups`]);
        const made = await users("groups", ann.owner, "admin,editor");
        assert.deepEqual(made, [0, `${ann.owner}: admin, editor`]);
        assert.equal((await call(ann, "adminOnly")).status, 200);
      });

      await t.step("or by e-mail; an empty list takes all groups away", async () => {
        const json = { email: "bob@example.com", password: "correct horse battery" };
        const bob = await (await send("/auth/register", { json })).json();
        assert.deepEqual(await users("groups", "Bob@example.com", "admin"), [
          0,
          `${bob.owner}: admin`,
        ]);
        assert.deepEqual(await users("groups", bob.owner, ""), [0, `${bob.owner}: no groups`]);
      });

      await t.step("mistakes say what is wrong", async () => {
        const wrong: [string[], number, RegExp][] = [
          [["groups", "none@example.com", "admin"], 1, /^NOT_FOUND: 'none@example.com'/],
          [["groups", "nobody", "admin"], 1, /^NOT_FOUND: There is no such user/],
          [["groups", ann.owner, "a b"], 1, /^VALIDATION: Groups must be/],
          [["groups"], 2, /^usage: Say 'kontract users groups/],
          [["nothing", "x"], 2, /^usage/],
        ];
        for (const [args, code, message] of wrong) {
          const [status, text] = await users(...args);
          assert.equal(status, code, text);
          assert.match(text, message);
        }
      });
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
