/**
 * `register` and `link`, immediate and confirmed: one owner for life, one owner per address, no telling.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { SessionTokens } from "../contract.ts";
import { authTest, OTHER_PASSWORD, PASSWORD, visible } from "./harness.ts";
import type { Harness, StoreFactory } from "./harness.ts";

const EMAIL = "ann@example.com";

/** Registers the tests. */
export function registrationTests(name: string, factory: StoreFactory): void {
  immediateTests(name, factory);
  raceTests(name, factory);
  confirmedTests(name, factory);
}

function immediateTests(name: string, factory: StoreFactory): void {
  const test = authTest.bind(null, factory);

  test(`${name}: registering gives a new owner a session`, async (h) => {
    const tokens = await h.register();
    assert.equal(tokens.anonymous, false);
    const me = await h.call("me", {}, await h.as(tokens)) as Record<string, unknown>;
    assert.equal(me.email, EMAIL);
    assert.equal(me.emailVerified, false);
    assert.deepEqual(me.ugroups, []);
  });

  for (const fn of ["register", "link"] as const) {
    test(`${name}: ${fn} by a visitor keeps owner and session, and replaces the tokens`, async (h) => {
      const before = await h.tokens("anonymous");
      const caller = await h.as(before);
      const after = await h.tokens(fn, { email: EMAIL, password: PASSWORD }, caller);
      assert.equal(after.owner, before.owner);
      assert.equal(after.anonymous, false);
      assert.equal((await h.as(after)).principal.family, caller.principal.family);
      assert.equal(await h.isRevoked(caller.principal.family), false);
      // The old refresh token is dead, and showing it does not end the session of its successor.
      h.now += 3_600_000;
      assert.equal((await h.fails("refresh", { refresh: before.refresh })).code, "UNAUTHORIZED");
      const next = await h.tokens("refresh", { refresh: after.refresh });
      assert.equal(next.owner, before.owner);
      const login = await h.tokens("login", { email: EMAIL, password: PASSWORD });
      assert.equal(login.owner, before.owner);
    });
  }

  test(`${name}: link needs a session, and one that is alive`, async (h) => {
    const argument = { email: EMAIL, password: PASSWORD };
    assert.equal((await h.fails("link", argument)).code, "UNAUTHORIZED");
    const caller = await h.as(await h.tokens("anonymous"));
    await h.call("logout", {}, caller);
    assert.equal((await h.fails("link", argument, caller)).code, "SESSION_REVOKED");
  });

  test(`${name}: a taken address is told apart by its code, and nobody loses anything`, async (h) => {
    const owner = (await h.register()).owner;
    const before = await h.tokens("anonymous");
    const caller = await h.as(before);
    const argument = { email: "ANN@example.com", password: OTHER_PASSWORD };
    const error = await h.fails("link", argument, caller);
    assert.equal(error.code, "UNIQUE_VIOLATION");
    assert.deepEqual(error.data, { field: "email", reason: "taken" });
    assert.equal((await h.fails("register", argument)).code, "UNIQUE_VIOLATION");
    assert.equal((await h.tokens("refresh", { refresh: before.refresh })).anonymous, true);
    assert.equal((await h.tokens("login", { email: EMAIL, password: PASSWORD })).owner, owner);
    assert.equal((await h.fails("login", argument)).code, "UNAUTHORIZED");
  });

  test(`${name}: who has an account registers no second one`, async (h) => {
    const caller = await h.as(await h.register());
    for (const fn of ["register", "link"] as const) {
      const argument = { email: "new@example.com", password: PASSWORD };
      const error = await h.fails(fn, argument, caller);
      assert.equal(error.code, "FORBIDDEN");
      assert.deepEqual(error.data, { reason: "already_linked" });
    }
  });

  test(`${name}: a weak password is refused with the reason, before any work`, async (h) => {
    const reasons: [string, string][] = [
      ["x1!", "too_short"],
      ["Password123!", "common"],
      ["abababababab", "repetitive"],
      ["0123456789", "sequential"],
      ["ann@example", "contains_identity"],
      ["guestbook26", "contains_identity"],
      ["x\0yzabcdef", "not_text"],
    ];
    for (const [password, reason] of reasons) {
      const error = await h.fails("register", { email: EMAIL, password });
      assert.equal(error.code, "VALIDATION");
      assert.deepEqual(error.data, { field: "password", reason });
      assert.ok(!error.message.includes(password));
    }
    assert.deepEqual(h.work, []);
  });

  test(`${name}: registrations from one address are limited`, async (h) => {
    for (let i = 0; i < 20; i++) await h.register(`u${i}@example.com`);
    const argument = { email: "u20@example.com", password: PASSWORD };
    assert.equal((await h.fails("register", argument)).code, "RATE_LIMITED");
  });
}

function raceTests(name: string, factory: StoreFactory): void {
  const test = authTest.bind(null, factory);

  test(`${name}: two visitors who link one address at once: one gets it, the other keeps what it had`, async (h) => {
    for (let round = 0; round < 5; round++) {
      const email = `race${round}@example.com`;
      const visitors = [await h.tokens("anonymous"), await h.tokens("anonymous")];
      const results = await Promise.allSettled(visitors.map(async (visitor) => {
        return await h.tokens("link", { email, password: PASSWORD }, await h.as(visitor));
      }));
      const won = results.filter((result) => result.status === "fulfilled");
      const lost = results.filter((result) => result.status === "rejected");
      assert.equal(won.length, 1);
      assert.equal(lost[0]?.reason.code, "UNIQUE_VIOLATION");
      const owner = (won[0]?.value as SessionTokens).owner;
      assert.equal((await h.tokens("login", { email, password: PASSWORD })).owner, owner);
      const loser = visitors.find((visitor) => visitor.owner !== owner) as SessionTokens;
      assert.equal((await h.tokens("refresh", { refresh: loser.refresh })).anonymous, true);
    }
  });

  test(`${name}: two tabs of one visitor that link the same address at once both end signed in`, async (h) => {
    const visitor = await h.tokens("anonymous");
    const caller = await h.as(visitor);
    const argument = { email: EMAIL, password: PASSWORD };
    const both = await Promise.all([
      h.tokens("link", argument, caller),
      h.tokens("link", argument, caller),
    ]);
    h.now += 3_600_000;
    for (const tokens of both) {
      assert.equal(tokens.owner, visitor.owner);
      assert.equal((await h.tokens("refresh", { refresh: tokens.refresh })).anonymous, false);
    }
  });

  test(
    `${name}: two tabs of one visitor that link different addresses at once: the first stands`,
    async (h, under) => {
      const caller = await h.as(await h.tokens("anonymous"));
      const emails = ["one@example.com", "two@example.com"];
      const results = await Promise.allSettled(
        emails.map((email) => h.tokens("link", { email, password: PASSWORD }, caller)),
      );
      assert.deepEqual(results.map((result) => result.status).sort(), ["fulfilled", "rejected"]);
      const lost = results.find((result) => result.status === "rejected");
      assert.equal(lost?.reason.code, "FORBIDDEN");
      const owner = caller.principal.owner;
      const mine = await under.store.transaction(
        h.tenant,
        (tx) => tx.find("_credentials", { owner }),
      );
      assert.equal(mine.length, 1);
    },
  );

  test(`${name}: five registrations of one address at once make one account`, async (h) => {
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => h.register()));
    assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
    for (const result of results) {
      if (result.status === "rejected") assert.equal(result.reason.code, "UNIQUE_VIOLATION");
    }
  });
}

function confirmedTests(name: string, factory: StoreFactory): void {
  const confirmed = (
    title: string,
    body: (h: Harness) => Promise<void>,
  ): void => authTest(factory, `${name}: ${title}`, body, { registration: "confirmed" });

  const establish = async (h: Harness, email = EMAIL): Promise<SessionTokens> => {
    const pending = await h.tokens("register", { email, password: PASSWORD });
    const { token } = await h.lastMail();
    return await h.tokens("verifyEmail", { token }, await h.as(pending));
  };

  confirmed("an address is somebody's only after its token came back", async (h) => {
    const pending = await h.tokens("register", { email: EMAIL, password: PASSWORD });
    assert.equal(pending.anonymous, true);
    const login = { email: EMAIL, password: PASSWORD };
    assert.equal((await h.fails("login", login)).code, "UNAUTHORIZED");
    const mail = await h.lastMail();
    assert.deepEqual([mail.kind, mail.to, mail.appName], ["register", EMAIL, "Guestbook"]);
    const done = await h.tokens("verifyEmail", { token: mail.token }, await h.as(pending));
    assert.equal(done.owner, pending.owner);
    assert.equal(done.anonymous, false);
    assert.equal((await h.tokens("login", login)).owner, pending.owner);
    const me = await h.call("me", {}, await h.as(done)) as Record<string, unknown>;
    assert.deepEqual([me.email, me.emailVerified], [EMAIL, true]);
    // The tokens from before are replaced.
    assert.equal((await h.fails("refresh", { refresh: pending.refresh })).code, "UNAUTHORIZED");
  });

  confirmed("registering looks and costs the same for a free and a taken address", async (h) => {
    await establish(h);
    const seen: unknown[] = [];
    const callers = [
      {},
      await h.as(await h.tokens("anonymous")),
    ];
    for (const caller of callers) {
      for (const email of ["free@example.com", EMAIL]) {
        h.work.length = 0;
        const mails = h.mails.length;
        const answer = await h.call("register", { email, password: PASSWORD }, caller) as Record<
          string,
          unknown
        >;
        await h.settle();
        seen.push({
          status: answer.status,
          names: Object.keys(answer).sort(),
          anonymous: answer.anonymous,
          lengths: [String(answer.access).length, String(answer.refresh).length],
          work: [...h.work],
          mails: h.mails.length - mails,
        });
      }
    }
    assert.deepEqual(seen[0], seen[1]);
    assert.deepEqual(seen[2], seen[3]);
    const kinds = h.mails.slice(-4).map((mail) => [mail.kind, mail.token === null]);
    assert.deepEqual(kinds[1], ["registration_attempt", true]);
    assert.deepEqual(kinds[3], ["registration_attempt", true]);
  });

  confirmed("elsewhere, the link needs the password that was chosen", async (h) => {
    await h.tokens("register", { email: EMAIL, password: PASSWORD });
    const { token } = await h.lastMail();
    const stranger = await h.as(await h.tokens("anonymous"));
    for (
      const [password, caller] of [[undefined, {}], [OTHER_PASSWORD, {}], [undefined, stranger]]
    ) {
      const argument = password === undefined ? { token } : { token, password };
      const error = await h.fails("verifyEmail", argument, caller as Record<string, never>);
      assert.deepEqual([error.code, error.data], ["UNAUTHORIZED", { reason: "proof_needed" }]);
    }
    const answer = await h.call("verifyEmail", { token, password: PASSWORD });
    assert.deepEqual(answer, { verified: true, email: EMAIL });
    await h.tokens("login", { email: EMAIL, password: PASSWORD });
  });

  confirmed("of two who registered one address, the first to confirm has it", async (h) => {
    const both = [];
    for (let i = 0; i < 2; i++) {
      const tokens = await h.tokens("register", { email: EMAIL, password: PASSWORD });
      both.push({ tokens, token: (await h.lastMail()).token });
    }
    const results = await Promise.allSettled(both.map(async ({ tokens, token }) => {
      return await h.tokens("verifyEmail", { token }, await h.as(tokens));
    }));
    const lost = results.filter((result) => result.status === "rejected");
    assert.equal(lost.length, 1);
    assert.equal(lost[0]?.reason.code, "UNIQUE_VIOLATION");
  });

  confirmed("a link followed twice, even at once, counts once", async (h) => {
    const pending = await h.tokens("register", { email: EMAIL, password: PASSWORD });
    const { token } = await h.lastMail();
    const caller = await h.as(pending);
    const results = await Promise.allSettled([
      h.call("verifyEmail", { token }, caller),
      h.call("verifyEmail", { token }, caller),
    ]);
    assert.deepEqual(results.map((result) => result.status).sort(), ["fulfilled", "rejected"]);
    const error = await h.fails("verifyEmail", { token }, caller);
    const unknown = await h.fails("verifyEmail", { token: "A".repeat(43) }, caller);
    assert.deepEqual(visible(error), visible(unknown));
  });

  confirmed("an expired link says what any dead link says", async (h) => {
    const pending = await h.tokens("register", { email: EMAIL, password: PASSWORD });
    const { token } = await h.lastMail();
    const caller = await h.as(pending);
    h.now += 24 * 3_600_000;
    assert.equal((await h.fails("verifyEmail", { token }, caller)).code, "UNAUTHORIZED");
  });
}
