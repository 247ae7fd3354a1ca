import assert from "node:assert/strict";
import type { SessionTokens } from "../auth/contract.ts";
import { SessionTokenIssuer } from "../auth/session_token.ts";
import { checkTenantName } from "../storage/tenant_name.ts";
import { enterTenant } from "../tests/postgres.ts";
import { readAnswer, withNotes } from "./testing/notes_server.ts";

Deno.test("a tenant's name cannot hold what separates the parts of a key", () => {
  assert.equal(checkTenantName("acme-2"), "acme-2");
  for (const bad of ["", "a:b", "Acme", "-a", "a b", "a/b", "ä", "x".repeat(64), null, 1, {}]) {
    assert.throws(() => checkTenantName(bad), { code: "VALIDATION" });
  }
});

Deno.test("tenants", async (t) => {
  await withNotes(async ({ send, visitor, call, database, log }) => {
    await t.step("only a tenant that was provisioned can be signed in to", async () => {
      const ask = async (tenant: string) =>
        await readAnswer(
          await send("/auth/anonymous", { method: "POST", headers: { "kontract-tenant": tenant } }),
        );
      assert.equal((await ask("main")).status, 200);
      assert.equal((await ask("acme")).code, "NOT_FOUND");
      for (const bad of ["a:b", "MAIN", "main'", "__proto__"]) {
        assert.equal((await ask(bad)).code, "VALIDATION", bad);
      }
    });

    await t.step("looking for tenants is limited by address", async () => {
      const codes = new Set<string | null>();
      for (let i = 0; i < 70; i++) {
        const headers = { "kontract-tenant": `guess-${i}` };
        codes.add(
          (await readAnswer(await send("/auth/anonymous", { method: "POST", headers }))).code,
        );
      }
      assert.deepEqual([...codes].sort(), ["NOT_FOUND", "RATE_LIMITED"]);
      assert.equal((await visitor()).anonymous, true, "main needs no look");
    });

    await t.step("a session does not follow into another tenant", async () => {
      const ann = await visitor();
      const headers = { authorization: `Bearer ${ann.access}`, "kontract-tenant": "acme" };
      const me = await send("/auth/me", { headers });
      assert.equal((await readAnswer(me)).code, "FORBIDDEN");
    });

    await t.step("shared keys, counters and buckets of two tenants never meet", async () => {
      // Under names that would collide if only joined.
      const issuer = new SessionTokenIssuer({ secrets: database.secrets, clock: Date.now });
      const inTenant = async (tenant: string): Promise<SessionTokens> => {
        const who = { owner: "same-owner", tenant, family: "same-family", anonymous: true };
        return { access: (await issuer.issue(who)).token } as SessionTokens;
      };
      for (const tenant of ["alpha", "alpha-b", "beta"]) {
        await enterTenant(database, tenant);
        const who = await inTenant(tenant);
        assert.deepEqual((await call(who, "share", "k", tenant)).result, {
          before: null,
          tenant,
          count: 1,
        });
        assert.equal((await call(who, "once")).result, true);
        assert.equal((await call(who, "once")).result, false);
        assert.equal((await call(who, "limited")).result, "ok");
        assert.equal((await call(who, "limited")).result, "ok");
        assert.equal((await call(who, "limited")).code, "RATE_LIMITED");
      }
      const again = await call(await inTenant("alpha"), "share", "k", "x");
      assert.deepEqual(again.result, { before: "alpha", tenant: "alpha", count: 2 });
    });

    await t.step("a tenant that is not there has no rows of another", async () => {
      const ann = await visitor();
      await call(ann, "add", "main-only", "secret of main");
      const issuer = new SessionTokenIssuer({ secrets: database.secrets, clock: Date.now });
      const who = { owner: ann.owner, tenant: "gamma", family: "f", anonymous: true };
      const stranger = { access: (await issuer.issue(who)).token } as SessionTokens;
      const read = await call(stranger, "read", "main-only");
      assert.equal(read.status, 500);
      assert.equal(read.result, undefined);
      assert.ok(!log.some((line) => line.includes("secret of main")));
    });
  });
});

Deno.test("a tenant's own address takes its tenant's sessions only", async () => {
  const byHost = (request: Request): string | null =>
    new URL(request.url).hostname === "acme.test" ? "acme" : "main";
  await withNotes(async ({ send, server, visitor }) => {
    const ann = await visitor();
    const at = async (host: string, path: string, headers: Record<string, string>) =>
      await readAnswer(
        await server.fetch(new Request(`http://${host}${path}`, { method: "POST", headers })),
      );
    const bearer = { authorization: `Bearer ${ann.access}` };
    assert.equal((await at("app.test", "/rpc/who", bearer)).status, 200);
    assert.equal((await at("acme.test", "/rpc/who", bearer)).code, "UNAUTHORIZED");
    assert.equal((await at("acme.test", "/auth/me", bearer)).code, "UNAUTHORIZED");
    const asked = { "kontract-tenant": "acme" };
    assert.equal((await at("app.test", "/auth/anonymous", asked)).code, "FORBIDDEN");
    assert.equal((await at("acme.test", "/auth/anonymous", asked)).code, "NOT_FOUND");
    const events = await send("/events?source=notes", { headers: bearer });
    assert.equal(events.status, 200);
    await events.body?.cancel();
    const there = new Request("http://acme.test/events?source=notes", { headers: bearer });
    assert.equal((await readAnswer(await server.fetch(there))).code, "UNAUTHORIZED");
  }, { tenantOf: byHost });
});
