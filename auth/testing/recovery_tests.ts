/**
 * Reset and verification by mail: single use, no telling who has an account, nothing secret in the log.
 *
 * @module
 */
import assert from "node:assert/strict";
import { authTest, OTHER_PASSWORD, PASSWORD, visible } from "./harness.ts";
import type { StoreFactory } from "./harness.ts";

const EMAIL = "ann@example.com";

/** Registers the tests. */
export function recoveryTests(name: string, factory: StoreFactory): void {
  const test = authTest.bind(null, factory);

  test(`${name}: a reset by mail sets the password and ends every sign-in`, async (h) => {
    const tokens = await h.register();
    assert.deepEqual(await h.call("requestReset", { email: EMAIL }), { sent: true });
    const mail = await h.lastMail();
    assert.deepEqual([mail.kind, mail.to], ["reset", EMAIL]);
    assert.equal(mail.expiresAt, h.now + 30 * 60_000);
    const argument = { token: mail.token, password: OTHER_PASSWORD };
    assert.deepEqual(await h.call("resetPassword", argument), { reset: true });
    const { principal } = await h.as(tokens);
    assert.ok(await h.isRevoked(principal.family));
    assert.equal((await h.fails("me", {}, { principal })).code, "SESSION_REVOKED");
    assert.equal((await h.fails("refresh", { refresh: tokens.refresh })).code, "UNAUTHORIZED");
    assert.equal(
      (await h.fails("login", { email: EMAIL, password: PASSWORD })).code,
      "UNAUTHORIZED",
    );
    const after = await h.tokens("login", { email: EMAIL, password: OTHER_PASSWORD });
    assert.equal(after.owner, tokens.owner);
    assert.equal((await h.lastMail()).kind, "password_changed");
    const me = await h.call("me", {}, await h.as(after)) as { emailVerified: boolean };
    assert.equal(me.emailVerified, true, "the mailbox was reached");
  });

  test(
    `${name}: asking for a reset is the same for a known and an unknown address`,
    async (h, under) => {
      await h.register();
      const seen: unknown[] = [];
      for (const email of [EMAIL, "nobody@example.com"]) {
        h.work.length = 0;
        h.events.length = 0;
        const operations: string[] = [];
        const { transaction } = under.store;
        under.store.transaction = (tenant, body) =>
          transaction.call(under.store, tenant, (tx) =>
            body({
              get: (table, id) => (operations.push(`get ${table}`), tx.get(table, id)),
              find: (table, filter) => (operations.push(`find ${table}`), tx.find(table, filter)),
              set: (table, row) => (operations.push(`set ${table}`), tx.set(table, row)),
              delete: (table, id) => (operations.push(`delete ${table}`), tx.delete(table, id)),
            })) as ReturnType<typeof transaction> as never;
        const answer = await h.call("requestReset", { email });
        under.store.transaction = transaction;
        seen.push({ answer, work: [...h.work], audit: h.audited(), operations });
      }
      assert.deepEqual(seen[0], seen[1]);
      await h.settle();
      assert.deepEqual(h.mails.map((mail) => mail.to), [EMAIL]);
      // The limit counts what was said, known or not.
      for (const email of [EMAIL, "nobody@example.com"]) {
        for (let i = 0; i < 4; i++) await h.call("requestReset", { email });
        assert.equal((await h.fails("requestReset", { email })).code, "RATE_LIMITED");
      }
    },
  );

  test(`${name}: a reset token counts once, even when used twice at once`, async (h) => {
    await h.register();
    await h.call("requestReset", { email: EMAIL });
    const { token } = await h.lastMail();
    const results = await Promise.allSettled([
      h.call("resetPassword", { token, password: OTHER_PASSWORD }),
      h.call("resetPassword", { token, password: "thirteen loud owls" }),
    ]);
    assert.deepEqual(results.map((result) => result.status).sort(), ["fulfilled", "rejected"]);
    assert.equal(
      (await h.fails("resetPassword", { token, password: PASSWORD })).code,
      "UNAUTHORIZED",
    );
  });

  test(`${name}: used, expired, foreign and invented tokens are refused alike, before any work`, async (h) => {
    const tokens = await h.register();
    await h.call("requestReset", { email: EMAIL });
    const first = (await h.lastMail()).token;
    await h.call("requestReset", { email: EMAIL });
    const second = (await h.lastMail()).token;
    await h.call("requestVerification", {}, await h.as(tokens));
    const verify = (await h.lastMail()).token;
    await h.call("resetPassword", { token: second, password: OTHER_PASSWORD });
    await h.call("requestReset", { email: EMAIL });
    const late = (await h.lastMail()).token;
    h.now += 30 * 60_000;
    h.work.length = 0;
    const seen = [];
    for (const token of [first, second, verify, late, "A".repeat(43), tokens.refresh]) {
      const error = await h.fails("resetPassword", { token, password: PASSWORD });
      seen.push(visible(error));
    }
    for (const one of seen) assert.deepEqual(one, seen[0]);
    assert.deepEqual(h.work, []);
  });

  test(`${name}: a refused new password does not use the token up`, async (h) => {
    await h.register();
    await h.call("requestReset", { email: EMAIL });
    const { token } = await h.lastMail();
    const weak = await h.fails("resetPassword", { token, password: "password" });
    assert.deepEqual(weak.data, { field: "password", reason: "common" });
    await h.call("resetPassword", { token, password: OTHER_PASSWORD });
  });

  test(`${name}: a password change makes mailed reset tokens void`, async (h) => {
    const caller = await h.as(await h.register());
    await h.call("requestReset", { email: EMAIL });
    const { token } = await h.lastMail();
    await h.call("changePassword", { current: PASSWORD, password: OTHER_PASSWORD }, caller);
    const argument = { token, password: PASSWORD };
    assert.equal((await h.fails("resetPassword", argument)).code, "UNAUTHORIZED");
  });

  test(`${name}: an address is verified by its token, once`, async (h) => {
    const caller = await h.as(await h.register());
    assert.deepEqual(await h.call("requestVerification", {}, caller), { sent: true });
    const { token, kind } = await h.lastMail();
    assert.equal(kind, "verify");
    assert.deepEqual(await h.call("verifyEmail", { token }), { verified: true, email: EMAIL });
    const me = await h.call("me", {}, caller) as { emailVerified: boolean };
    assert.equal(me.emailVerified, true);
    assert.equal((await h.fails("verifyEmail", { token })).code, "UNAUTHORIZED");
    assert.deepEqual(await h.call("requestVerification", {}, caller), { sent: false });
    const visitor = await h.as(await h.tokens("anonymous"));
    assert.equal((await h.fails("requestVerification", {}, visitor)).code, "FORBIDDEN");
  });

  test(`${name}: neither rows, audit events nor errors hold a secret`, async (h, under) => {
    const secrets: string[] = [PASSWORD, OTHER_PASSWORD];
    const tokens = await h.register();
    secrets.push(tokens.access, tokens.refresh);
    await h.call("requestReset", { email: EMAIL });
    secrets.push(String((await h.lastMail()).token));
    const errors = [
      await h.fails("login", { email: EMAIL, password: OTHER_PASSWORD }),
      await h.fails("refresh", { refresh: tokens.refresh.slice(0, 85) }),
    ];
    const rows = await under.store.transaction(h.tenant, async (tx) => [
      await tx.get("_users", tokens.owner),
      await tx.get("_credentials", `password:${EMAIL}`),
      ...await tx.find("_sessions", { owner: tokens.owner }),
      ...await tx.find("_mail_tokens", { owner: tokens.owner }),
    ]);
    assert.equal(rows.length, 4);
    const audit = JSON.stringify(h.events);
    assert.ok(!audit.includes(EMAIL), "audit events name accounts by hash");
    const text = [JSON.stringify(rows), audit, ...errors.map((one) => JSON.stringify(visible(one)))]
      .join("\n");
    for (const secret of secrets) assert.ok(!text.includes(secret));
    const half = Buffer.from(tokens.refresh, "base64url").subarray(16).toString("base64url");
    assert.ok(!text.includes(half));
  });

  authTest(
    factory,
    `${name}: mail that cannot be sent is an audit event, not an answer`,
    async (h) => {
      await h.register();
      assert.deepEqual(await h.call("requestReset", { email: EMAIL }), { sent: true });
      await h.settle();
      assert.ok(h.audited().includes("mail_failed"));
    },
    { mail: { send: () => Promise.reject(new Error("smtp down")) } },
  );

  authTest(factory, `${name}: a store that fails never shows its error`, async (h, under) => {
    const { transaction } = under.store;
    under.store.transaction = () => Promise.reject(new Error("relation tbl_7f does not exist"));
    const error = await h.fails("anonymous");
    under.store.transaction = transaction;
    assert.equal(error.code, "INTERNAL");
    assert.ok(!error.message.includes("tbl_"));
  });
}
