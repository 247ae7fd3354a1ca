import assert from "node:assert/strict";
import { until } from "../tests/until.ts";
import { gates } from "./testing/notes_app.ts";
import { readAnswer, withNotes } from "./testing/notes_server.ts";

Deno.test("env.auth", async (t) => {
  await withNotes(async ({ server, call, visitor, another, log, send }) => {
    const root = await visitor();
    const bob = await visitor();
    await server.auth.setGroups("main", root.owner, ["admin"]);

    await t.step("an admin's call makes another admin, whose next call counts as one", async () => {
      assert.equal((await call(bob, "adminOnly")).code, "FORBIDDEN");
      const set = await call(root, "setGroups", bob.owner, "editor,admin,admin");
      assert.deepEqual(set.result, ["admin", "editor"]);
      assert.equal((await call(bob, "adminOnly")).status, 200);
      assert.ok(log.some((line) => line.includes(`admin,editor by ${root.owner}`)));
    });

    await t.step("a member who was removed has no group in the next call", async () => {
      assert.equal((await call(root, "setGroups", bob.owner, "editor")).status, 200);
      assert.equal((await call(bob, "adminOnly")).code, "FORBIDDEN");
    });

    await t.step("a member removed by another gateway changes nothing any more", async () => {
      await call(root, "setGroups", bob.owner, "admin");
      assert.equal((await call(bob, "adminOnly")).status, 200);
      await another().auth.setGroups("main", bob.owner, []);
      assert.equal((await call(bob, "setGroups", bob.owner, "admin")).code, "FORBIDDEN");
      assert.equal((await call(bob, "ownerOf", "x@example.com")).code, "FORBIDDEN");
      assert.equal((await call(bob, "endSessions", root.owner)).code, "FORBIDDEN");
      assert.equal((await call(root, "adminOnly")).status, 200);
    });

    await t.step("a member removed while the call runs changes nothing any more", async () => {
      await call(root, "setGroups", bob.owner, "admin");
      const late = call(bob, "setGroupsLate", bob.owner);
      await until(() => gates.has("late"));
      await call(root, "setGroups", bob.owner, "editor");
      gates.get("late")?.();
      assert.equal((await late).code, "FORBIDDEN");
      assert.deepEqual(await server.auth.groupsOf("main", bob.owner), ["editor"]);
    });

    await t.step(
      "a function without a group, or a read-only one, cannot change groups",
      async () => {
        assert.equal((await call(root, "setGroupsOpenly", root.owner, "admin")).code, "INTERNAL");
        assert.ok(log.some((line) => line.includes("'setGroupsOpenly' declares none")));
        assert.equal((await call(root, "setGroupsReading", root.owner)).code, "INTERNAL");
        assert.deepEqual(await server.auth.groupsOf("main", root.owner), ["admin"]);
      },
    );

    await t.step("unknown users and odd groups are refused by name", async () => {
      assert.equal((await call(root, "setGroups", "nobody", "admin")).code, "NOT_FOUND");
      assert.equal((await call(root, "setGroups", bob.owner, "a b")).code, "VALIDATION");
      assert.equal((await call(root, "setGroups", bob.owner, "")).code, "VALIDATION");
    });

    await t.step("an account is found by its e-mail, and its sessions are ended", async () => {
      const json = { email: "Ann@example.com", password: "correct horse battery" };
      const ann = await (await send("/auth/register", { json })).json();
      assert.equal((await call(root, "ownerOf", "ann@Example.com")).result, ann.owner);
      assert.equal((await call(root, "ownerOf", "none@example.com")).result, null);
      assert.equal((await call(ann, "add", "a1", "mine")).status, 201);
      assert.equal((await call(root, "endSessions", ann.owner)).result, 1);
      assert.equal((await call(ann, "add", "a2", "mine")).code, "SESSION_REVOKED");
      const refreshed = await send("/auth/refresh", { json: { refresh: ann.refresh } });
      assert.equal((await readAnswer(refreshed)).code, "UNAUTHORIZED");
    });
  });
});
