/**
 * What limits count, how options are checked, and the small doors of the service.
 *
 * @module
 */
import assert from "node:assert/strict";
import { accountSubject, addressSubject, AuthLimits } from "./limits.ts";
import type { Limit, Limits } from "./limits.ts";
import { consoleMailer } from "./mail.ts";
import type { AuthOptions } from "./options.ts";
import type { PasswordScheme } from "./password/mod.ts";
import { normalizeEmail } from "./parse.ts";
import { AUTH_FUNCTIONS, authFunctionOf, createAuthService, sessionTokensOf } from "./service.ts";
import { AUTH_TABLES } from "./tables.ts";
import { MemoryAuthStore } from "./testing/memory_store.ts";

const options = (change: Partial<AuthOptions> = {}): AuthOptions => ({
  secrets: [new Uint8Array(32).fill(3)],
  store: new MemoryAuthStore(),
  limiter: () => Promise.resolve({ allowed: true, retryAfter: 0 }),
  ...change,
});

Deno.test("an IPv4 address counts as itself, an IPv6 address as its /64", () => {
  assert.equal(addressSubject("192.0.2.1"), "192.0.2.1");
  assert.equal(addressSubject("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(addressSubject("::FFFF:c000:201"), "192.0.2.1");
  assert.equal(addressSubject("0:0:0:0:0:ffff:c000:0201"), "192.0.2.1");
  const one = addressSubject("2001:db8:1:2:3:4:5:6");
  for (
    const same of [
      "2001:DB8:1:2::9",
      "2001:0db8:0001:0002::",
      "2001:db8:1:2:ffff:ffff:ffff:ffff%eth0",
    ]
  ) assert.equal(addressSubject(same), one, same);
  for (const other of ["2001:db8:1:3::9", "2001:db8::1", "::1", "fe80::1"]) {
    assert.notEqual(addressSubject(other), one, other);
  }
  assert.equal(addressSubject("x".repeat(1000)), "unknown");
});

Deno.test("callers without a known address share one bucket, twenty times as large", async () => {
  const seen: [string, number][] = [];
  const limits = new AuthLimits((key, limit) => {
    seen.push([key, limit]);
    return Promise.resolve({ allowed: true, retryAfter: 0 });
  }, { anonymous: { limit: 5, windowMs: 1000 } });
  await limits.spend("t", [["anonymous", "unknown"]]);
  await limits.spend("t", [["anonymous", "192.0.2.1"]]);
  assert.deepEqual(seen, [["auth:anonymous:t:unknown", 100], ["auth:anonymous:t:192.0.2.1", 5]]);
});

Deno.test("the first limit that refuses says how long, no other is used up, and accounts appear as hashes only", async () => {
  const keys: string[] = [];
  const limits = new AuthLimits((key) => {
    keys.push(key);
    return Promise.resolve({ allowed: false, retryAfter: keys.length * 1000.5 });
  });
  const account = await accountSubject("t", "ann@example.com");
  assert.match(account, /^[0-9a-f]{16}$/);
  assert.notEqual(account, await accountSubject("u", "ann@example.com"));
  const refused = limits.spend("t", [["loginAddress", "192.0.2.1"], ["loginAccount", account]]);
  await assert.rejects(refused, { code: "RATE_LIMITED", data: { retryAfter: 1001 } });
  assert.deepEqual(keys, ["auth:loginAddress:t:192.0.2.1"]);
  assert.ok(!keys.join().includes("ann"));
});

Deno.test("addresses have one spelling or none", () => {
  assert.equal(normalizeEmail(" Ann.B+tag@Mail.Example.COM "), "ann.b+tag@mail.example.com");
  for (
    const bad of [
      "",
      "@",
      "ann",
      "ann@",
      "@example.com",
      "ann@example",
      "ann@.com",
      "ann@example..com",
      "ann@-a.com",
      "a b@example.com",
      ".ann@example.com",
      "ann.@example.com",
      "a..b@example.com",
      '"a b"@example.com',
      "ann@[127.0.0.1]",
      "ann@127.0.0.1",
      "ann@example.com\nbcc: x@y.zz",
      "ann@exa\u0000mple.com",
      "\u212Aann@example.com",
      "ann@ex\u0430mple.com",
      `${"a".repeat(65)}@example.com`,
      `a@${"b.".repeat(126)}com`,
      "ann@example.com>",
    ]
  ) assert.equal(normalizeEmail(bad), null, bad);
});

Deno.test("options out of range are refused when the service is made", () => {
  const cases: Partial<AuthOptions>[] = [
    { secrets: [] },
    { secrets: [new Uint8Array(16)] },
    { registration: "confirmed" },
    { lifetimes: { access: 1 } },
    { lifetimes: { grace: 60_001 } },
    { lifetimes: { idle: -1 } },
    { lifetimes: { reset: NaN } },
    { skew: 61 },
    { password: { scheme: "pbkdf2", iterations: 12_345 } },
    { password: { scheme: "md5" } as unknown as PasswordScheme },
    { minPasswordLength: 7 },
    { minPasswordLength: 1025 },
    { limits: { loginAccount: { limit: 0, windowMs: 1 } } },
    { limits: { logins: { limit: 1, windowMs: 1 } } as Partial<Limits> },
    { appName: "" },
  ];
  // Null counts as missing where a number is meant.
  const hostile: unknown[] = ["", "x", 7.5, NaN, Symbol("x"), "y".repeat(1e6), [], true];
  for (const value of hostile) {
    for (const name of ["mail", "audit", "registration", "minPasswordLength"]) {
      cases.push({ [name]: value });
    }
    if (value !== "x") cases.push({ appName: value as string }, { issuer: value as string });
    if (value !== 7.5) cases.push({ skew: value as number });
    if (typeof value !== "object") {
      for (const name of ["lifetimes", "limits", "password"]) cases.push({ [name]: value });
    }
    if (value !== 7.5) cases.push({ lifetimes: { idle: value as number } });
    cases.push({ limits: { anonymous: value as Limit } });
  }
  for (const change of cases) {
    const what = Object.keys(change).join();
    assert.throws(() => createAuthService(options(change)), { code: "CONFIG" }, what);
  }
  createAuthService(options());
});

Deno.test("every function has one path, and nothing else has", () => {
  const paths = AUTH_FUNCTIONS.map((name) => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`));
  assert.deepEqual(paths.map(authFunctionOf), AUTH_FUNCTIONS);
  assert.equal(authFunctionOf("change-password"), "changePassword");
  for (const bad of ["changePassword", "to-string", "", "-me", "me-", "__proto__", "constructor"]) {
    assert.equal(authFunctionOf(bad), null, bad);
  }
});

Deno.test("tokens are found in an answer only where all of them are there", () => {
  const tokens = { access: "a", refresh: "r", expiresAt: 1, owner: "o", anonymous: false };
  assert.deepEqual(sessionTokensOf({ status: "registered", ...tokens }), tokens);
  for (const other of [null, "a", { access: "a" }, { ...tokens, expiresAt: "1" }, { sent: true }]) {
    assert.equal(sessionTokensOf(other), null);
  }
});

Deno.test("system tables have names of their own and an index for every search", () => {
  for (const table of AUTH_TABLES) assert.match(table.name, /^_[a-z_]+$/);
  const indexed = (name: string): string[] =>
    AUTH_TABLES.find((table) => table.name === name)?.indexes.map((i) => i.fields.join()) ?? [];
  assert.deepEqual(indexed("_sessions"), ["owner", "bucket"]);
  assert.deepEqual(indexed("_mail_tokens"), ["owner", "bucket"]);
});

Deno.test("the console adapter prints what a developer needs to go on", async () => {
  const lines: string[] = [];
  const mail = { kind: "reset", to: "ann@example.com", tenant: "main", appName: "App" } as const;
  await consoleMailer((line) => lines.push(line)).send({ ...mail, token: "tok", expiresAt: 0 });
  assert.deepEqual(lines, [
    "mail to ann@example.com: App: choose a new password",
    "  token: tok",
    "  valid until 1970-01-01T00:00:00.000Z",
  ]);
});
