import assert from "node:assert/strict";
import { withNotes } from "./testing/notes_server.ts";

Deno.test("env.tenants", async (t) => {
  await withNotes(async ({ server, call, visitor, another, send, log }) => {
    const root = await visitor();
    const bob = await visitor();
    await server.auth.setGroups("main", root.owner, ["admin"]);
    const signIn = (tenant: string): Promise<Response> =>
      send("/auth/anonymous", { method: "POST", headers: { "kontract-tenant": tenant } });

    await t.step(
      "a group's member in main makes tenants, which can be signed in to at once",
      async () => {
        assert.equal((await signIn("acme")).status, 404);
        assert.equal((await call(root, "moveIn", "acme")).result, true);
        assert.equal((await call(root, "moveIn", "acme")).result, false);
        assert.equal((await signIn("acme")).status, 200);
        assert.deepEqual((await call(root, "tenants")).result, ["acme"]);
      },
    );

    await t.step("nobody else does, and bad names are refused", async () => {
      assert.equal((await call(bob, "moveIn", "bobs")).code, "FORBIDDEN");
      assert.equal((await call(root, "moveIn", "No Name")).code, "VALIDATION");
      assert.equal((await call(root, "moveOut", "main")).code, "VALIDATION");
      const inside = await (await signIn("acme")).json();
      await server.auth.setGroups("acme", inside.owner, ["admin"]);
      assert.equal((await call(inside, "moveIn", "other")).code, "FORBIDDEN");
      assert.deepEqual(await server.tenants.list().then((all) => all.map(({ name }) => name)), [
        "acme",
      ]);
    });

    await t.step("a function without a group, or a read-only one, makes none", async () => {
      assert.equal((await call(root, "moveInOpenly", "x")).code, "INTERNAL");
      assert.ok(log.some((line) => line.includes("'moveInOpenly' declares none")));
      assert.equal((await call(root, "moveInReading", "x")).code, "INTERNAL");
      assert.equal((await server.tenants.list()).length, 1);
    });

    await t.step("a member removed by another gateway makes none any more", async () => {
      await another().auth.setGroups("main", root.owner, []);
      assert.equal((await call(root, "moveIn", "late")).code, "FORBIDDEN");
      await server.auth.setGroups("main", root.owner, ["admin"]);
      assert.equal((await call(root, "moveOut", "acme")).result, true);
      assert.equal((await signIn("acme")).status, 404);
    });
  });
});
