/**
 * `anonymous`, `login`, `refresh`: success, failure, abuse and races.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { SessionTokens } from "../contract.ts";
import { authTest, OTHER_PASSWORD, PASSWORD, visible } from "./harness.ts";
import type { StoreFactory } from "./harness.ts";

const EMAIL = "ann@example.com";

/** Registers the tests. */
export function signInTests(name: string, factory: StoreFactory): void {
  const test = authTest.bind(null, factory);

  test(`${name}: a visitor gets an identity with the first call`, async (h) => {
    const tokens = await h.tokens("anonymous");
    const { principal } = await h.as(tokens);
    assert.deepEqual(
      { owner: principal.owner, tenant: principal.tenant, anonymous: principal.anonymous },
      { owner: tokens.owner, tenant: h.tenant, anonymous: true },
    );
    assert.equal(tokens.expiresAt, h.now + 15 * 60_000);
    assert.notEqual((await h.tokens("anonymous")).owner, tokens.owner);
  });

  test(`${name}: a caller who has an identity does not lose it to another anonymous call`, async (h) => {
    const caller = await h.as(await h.tokens("anonymous"));
    assert.equal((await h.fails("anonymous", {}, caller)).code, "FORBIDDEN");
  });

  test(`${name}: login opens a session of the same owner, whatever the spelling`, async (h) => {
    const first = await h.register();
    const again = await h.tokens("login", { email: " ANN@Example.COM ", password: PASSWORD });
    assert.equal(again.owner, first.owner);
    assert.equal(again.anonymous, false);
    const families = [(await h.as(first)).principal.family, (await h.as(again)).principal.family];
    assert.notEqual(families[0], families[1]);
  });

  test(`${name}: unknown user and wrong password look the same and cost the same`, async (h) => {
    await h.register();
    const seen: { error: unknown; work: string[] }[] = [];
    const tries = [
      { email: EMAIL, password: OTHER_PASSWORD },
      { email: "nobody@example.com", password: OTHER_PASSWORD },
      { email: EMAIL, password: "x".repeat(4000) },
      { email: EMAIL, password: "" },
    ];
    for (const argument of tries) {
      h.work.length = 0;
      seen.push({ error: visible(await h.fails("login", argument)), work: [...h.work] });
    }
    for (const one of seen) assert.deepEqual(one, seen[0]);
    assert.deepEqual(seen[0]?.work, ["pbkdf2 100000"]);
  });

  test(`${name}: login raises an old hash to today's cost`, async (h, under) => {
    const owner = await h.auth.importAccount(h.tenant, {
      email: EMAIL,
      // PBKDF2-HMAC-SHA256, 1,000 iterations, made with node:crypto.
      hash: await importedHash(PASSWORD),
      ugroups: ["editor"],
    });
    const tokens = await h.tokens("login", { email: EMAIL, password: PASSWORD });
    assert.equal(tokens.owner, owner);
    assert.ok(h.audited().includes("password_rehashed"));
    const stored = await under.store.transaction(
      h.tenant,
      (tx) => tx.get("_credentials", `password:${EMAIL}`),
    );
    assert.match(String(stored?.hash), /^\$kontract-pbkdf2-sha256\$i=100000,k=1\$/);
    h.events.length = 0;
    await h.tokens("login", { email: EMAIL, password: PASSWORD });
    assert.ok(!h.audited().includes("password_rehashed"));
  });

  test(`${name}: guesses are limited per account and address, before any work`, async (h) => {
    await h.register();
    const wrong = { email: EMAIL, password: OTHER_PASSWORD };
    for (let i = 0; i < 10; i++) assert.equal((await h.fails("login", wrong)).code, "UNAUTHORIZED");
    h.work.length = 0;
    const refused = await h.fails("login", { email: EMAIL, password: PASSWORD });
    assert.equal(refused.code, "RATE_LIMITED");
    assert.deepEqual(refused.data, { retryAfter: 1000 });
    assert.deepEqual(h.work, []);
    // Its owner is elsewhere and is not locked out, however long a stranger goes on.
    for (let i = 0; i < 110; i++) await h.fails("login", wrong);
    await h.tokens("login", { email: EMAIL, password: PASSWORD }, { address: "198.51.100.9" });
    // An address without an account is limited alike.
    const nobody = { email: "nobody@example.com", password: OTHER_PASSWORD };
    const from = { address: "203.0.113.5" };
    for (let i = 0; i < 10; i++) await h.fails("login", nobody, from);
    assert.deepEqual(visible(await h.fails("login", nobody, from)), visible(refused));
    assert.ok(h.audited().includes("rate_limited"));
  });

  test(`${name}: identities from one address are limited, an IPv6 /64 being one`, async (h) => {
    for (let i = 0; i < 60; i++) {
      await h.call("anonymous", {}, { address: `2001:db8::${i.toString(16)}` });
    }
    const next = { address: "2001:db8:0:0:ffff::1" };
    assert.equal((await h.fails("anonymous", {}, next)).code, "RATE_LIMITED");
    await h.call("anonymous", {}, { address: "2001:db8:0:1::1" });
  });

  test(`${name}: a refresh token works once and gives the next`, async (h) => {
    const first = await h.tokens("anonymous");
    h.now += 600_000;
    const second = await h.tokens("refresh", { refresh: first.refresh });
    assert.equal(second.owner, first.owner);
    assert.notEqual(second.refresh, first.refresh);
    const [a, b] = [await h.as(first), await h.as(second)];
    assert.equal(a.principal.family, b.principal.family);
    h.now += 600_000;
    assert.notEqual(
      (await h.tokens("refresh", { refresh: second.refresh })).refresh,
      first.refresh,
    );
  });

  test(`${name}: a replaced refresh token that comes back ends the family at once`, async (h) => {
    const first = await h.tokens("anonymous");
    const { principal } = await h.as(first);
    const second = await h.tokens("refresh", { refresh: first.refresh });
    h.now += 10_000;
    const reuse = await h.fails("refresh", { refresh: first.refresh });
    assert.equal(reuse.code, "SESSION_REVOKED");
    assert.ok(await h.isRevoked(principal.family), "the database refuses the family");
    assert.equal((await h.fails("refresh", { refresh: second.refresh })).code, "UNAUTHORIZED");
    assert.equal((await h.fails("me", {}, { principal })).code, "SESSION_REVOKED");
    assert.ok(h.audited().includes("refresh_reused"));
  });

  test(`${name}: two tabs that refresh at once end with one and the same token`, async (h) => {
    const first = await h.tokens("anonymous");
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => h.tokens("refresh", { refresh: first.refresh })),
    );
    assert.equal(new Set(answers.map((answer) => answer.refresh)).size, 1);
    h.now += 60_000;
    const next = await h.tokens("refresh", { refresh: (answers[0] as SessionTokens).refresh });
    assert.equal(next.owner, first.owner);
    assert.equal(h.audited().filter((type) => type === "refreshed").length, 2);
  });

  test(`${name}: forgiveness covers one step back, not two`, async (h) => {
    const first = await h.tokens("anonymous");
    const second = await h.tokens("refresh", { refresh: first.refresh });
    await h.tokens("refresh", { refresh: second.refresh });
    await h.tokens("refresh", { refresh: second.refresh });
    assert.equal((await h.fails("refresh", { refresh: first.refresh })).code, "SESSION_REVOKED");
  });

  test(`${name}: a forged token of a known family changes nothing`, async (h) => {
    const tokens = await h.tokens("anonymous");
    const bytes = Buffer.from(tokens.refresh, "base64url");
    const messages = new Set<string>();
    for (
      const forged of [
        Buffer.concat([bytes.subarray(0, 16), Buffer.alloc(48, 1)]).toString("base64url"),
        Buffer.concat([Buffer.alloc(16, 1), bytes.subarray(16)]).toString("base64url"),
        tokens.refresh.slice(0, -1),
        `${tokens.refresh}A`,
        "A",
        "A".repeat(86),
        tokens.access.replaceAll(".", "_").slice(0, 86),
      ]
    ) {
      const error = await h.fails("refresh", { refresh: forged });
      assert.equal(error.code, "UNAUTHORIZED");
      messages.add(error.message);
    }
    assert.equal(messages.size, 1);
    await h.tokens("refresh", { refresh: tokens.refresh });
  });

  test(`${name}: a family ends when idle, and at its absolute end though in use`, async (h) => {
    const day = 86_400_000;
    const idle = await h.register("idle@example.com");
    const busy = await h.register("busy@example.com");
    let current = busy.refresh;
    for (let week = 1; week <= 12; week++) {
      h.now += 7 * day;
      current = (await h.tokens("refresh", { refresh: current })).refresh;
    }
    assert.equal((await h.fails("refresh", { refresh: idle.refresh })).code, "SESSION_EXPIRED");
    h.now += 6 * day;
    assert.equal((await h.fails("refresh", { refresh: current })).code, "SESSION_EXPIRED");
    const visitor = await h.tokens("anonymous");
    h.now += 89 * day;
    await h.tokens("refresh", { refresh: visitor.refresh });
  });

  test(`${name}: what is not an argument is a validation error that names the field`, async (h) => {
    const cases: [Parameters<typeof h.call>[0], unknown, string, string][] = [
      ["login", null, "email", "missing"],
      ["login", "text", "", "not_an_object"],
      ["login", [], "", "not_an_object"],
      ["login", { email: 7, password: "x" }, "email", "not_a_text"],
      ["login", { email: { $ne: "" }, password: "x" }, "email", "not_a_text"],
      ["login", { email: "ann", password: "x" }, "email", "not_an_email"],
      ["login", { email: "ann@b@c.de", password: "x" }, "email", "not_an_email"],
      ["login", { email: "\u0430nn@example.com", password: "x" }, "email", "not_an_email"],
      ["login", { email: "ann@example.com\n", password: ["x"] }, "password", "not_a_text"],
      ["login", { email: EMAIL, password: "x".repeat(4097) }, "password", "too_long"],
      ["login", { email: EMAIL, password: "x", admin: true }, "admin", "unknown_field"],
      ["login", JSON.parse('{"__proto__":{"email":"a@b.cd"}}'), "__proto__", "unknown_field"],
      ["refresh", {}, "refresh", "missing"],
      ["refresh", { refresh: "a b" }, "refresh", "not_a_token"],
      ["refresh", { refresh: "A".repeat(1_000_000) }, "refresh", "not_a_token"],
      ["anonymous", { owner: "admin" }, "owner", "unknown_field"],
    ];
    for (const [fn, argument, field, reason] of cases) {
      const error = await h.fails(fn, argument);
      assert.equal(error.code, "VALIDATION");
      assert.deepEqual(error.data, { field, reason });
      if (reason === "unknown_field") {
        assert.ok(error.message.startsWith(`'${field}' must be left out`));
      }
    }
    assert.deepEqual(h.work, [], "bad input costs no derivation");
  });

  test(`${name}: a function that does not exist, or a name of Object's, is not found`, async (h) => {
    for (const fn of ["nothing", "toString", "__proto__", "constructor", ""]) {
      assert.equal((await h.fails(fn as "me")).code, "ROUTE_NOT_FOUND");
    }
  });

  test(`${name}: a session of one tenant opens nothing in another`, async (h) => {
    const { principal } = await h.as(await h.tokens("anonymous"));
    const error = await h.fails("me", {}, { principal, tenant: "other" });
    assert.equal(error.code, "UNAUTHORIZED");
  });
}

async function importedHash(password: string): Promise<string> {
  const { pbkdf2Sync } = await import("node:crypto");
  const salt = Buffer.from("0123456789abcdef");
  const base64 = (bytes: Uint8Array): string => bytes.toBase64({ omitPadding: true });
  const hash = pbkdf2Sync(password, salt, 1000, 32, "sha256");
  return `$pbkdf2-sha256$i=1000$${base64(salt)}$${base64(hash)}`;
}
