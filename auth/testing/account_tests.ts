/**
 * `me`, `sessions`, `revokeSession`, `logout`, `changePassword`, groups, sweeping.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { SessionTokens } from "../contract.ts";
import type { SessionInfo } from "../account.ts";
import { authTest, OTHER_PASSWORD, PASSWORD, visible } from "./harness.ts";
import type { Caller, Harness, StoreFactory } from "./harness.ts";

const EMAIL = "ann@example.com";
const LOGIN = { email: EMAIL, password: PASSWORD };

const list = async (h: Harness, caller: Caller): Promise<readonly SessionInfo[]> => {
  const answer = await h.call("sessions", {}, caller) as { sessions: SessionInfo[] };
  return answer.sessions;
};

/** Registers the tests. */
export function accountTests(name: string, factory: StoreFactory): void {
  const test = authTest.bind(null, factory);

  test(`${name}: every function about the own account needs a session`, async (h) => {
    const calls = [
      ["me", {}],
      ["sessions", {}],
      ["revokeSession", { id: "x" }],
      ["changePassword", { current: PASSWORD, password: OTHER_PASSWORD }],
      ["requestVerification", {}],
    ] as const;
    for (const [fn, argument] of calls) {
      assert.equal((await h.fails(fn, argument)).code, "UNAUTHORIZED", fn);
    }
    const caller = await h.as(await h.register());
    await h.call("logout", {}, caller);
    for (const [fn, argument] of calls) {
      assert.equal((await h.fails(fn, argument, caller)).code, "SESSION_REVOKED", fn);
    }
  });

  test(`${name}: the list of sessions shows one's own, and which one this is`, async (h) => {
    const first = await h.as(await h.register());
    h.now += 1000;
    const second = await h.tokens("login", LOGIN, { address: "198.51.100.7" });
    await h.register("bob@example.com");
    const sessions = await list(h, await h.as(second));
    assert.deepEqual(sessions.map((one) => [one.address, one.current]), [
      ["198.51.100.7", true],
      ["192.0.2.1", false],
    ]);
    assert.equal(sessions[1]?.id, first.principal.family);
    assert.ok(!JSON.stringify(sessions).includes(second.refresh.slice(22, 60)));
  });

  test(`${name}: revoking a session ends it at once, in the database too`, async (h) => {
    const first = await h.register();
    const caller = await h.as(await h.tokens("login", LOGIN));
    const id = (await h.as(first)).principal.family;
    assert.deepEqual(await h.call("revokeSession", { id }, caller), { revoked: true });
    assert.ok(await h.isRevoked(id));
    assert.equal((await h.fails("refresh", { refresh: first.refresh })).code, "UNAUTHORIZED");
    assert.equal((await list(h, caller)).length, 1);
  });

  test(`${name}: somebody else's session is as unknown as none`, async (h) => {
    const bob = await h.as(await h.register("bob@example.com"));
    const caller = await h.as(await h.register());
    const foreign = await h.fails("revokeSession", { id: bob.principal.family }, caller);
    const none = await h.fails("revokeSession", { id: "nothing" }, caller);
    assert.equal(foreign.code, "NOT_FOUND");
    assert.deepEqual(visible(foreign), visible(none));
    assert.equal(await h.isRevoked(bob.principal.family), false);
    await h.call("me", {}, bob);
  });

  test(`${name}: logout ends this sign-in, everywhere ends all of the owner's`, async (h) => {
    const tokens: SessionTokens[] = [await h.register()];
    for (let i = 0; i < 3; i++) tokens.push(await h.tokens("login", LOGIN));
    const bob = await h.as(await h.register("bob@example.com"));
    const callers = await Promise.all(tokens.map((one) => h.as(one)));
    const [a, b, c, d] = callers as [Caller, Caller, Caller, Caller];
    assert.deepEqual(await h.call("logout", {}, a), { ended: 1 });
    assert.ok(await h.isRevoked(a.principal?.family ?? ""));
    assert.equal((await list(h, b)).length, 3);
    assert.deepEqual(await h.call("logout", { everywhere: true }, b), { ended: 3 });
    for (const one of [b, c, d]) assert.ok(await h.isRevoked(one.principal?.family ?? ""));
    await h.call("me", {}, bob);
  });

  test(`${name}: logout can be said again, and by refresh token alone`, async (h) => {
    const first = await h.register();
    const caller = await h.as(first);
    await h.call("logout", {}, caller);
    assert.deepEqual(await h.call("logout", {}, caller), { ended: 1 });
    assert.deepEqual(await h.call("logout", {}), { ended: 0 });
    const second = await h.tokens("login", LOGIN);
    const { principal } = await h.as(second);
    const guess = Buffer.from(second.refresh, "base64url");
    guess.fill(0, 16, 32);
    const forged = { refresh: guess.toString("base64url") };
    assert.deepEqual(await h.call("logout", forged), { ended: 0 });
    assert.deepEqual(await h.call("logout", { refresh: second.refresh }), { ended: 1 });
    assert.ok(await h.isRevoked(principal.family));
  });

  test(`${name}: an ended session cannot end others`, async (h) => {
    const first = await h.as(await h.register());
    const second = await h.as(await h.tokens("login", LOGIN));
    await h.call("logout", {}, first);
    await h.call("logout", { everywhere: true }, first);
    await h.call("me", {}, second);
  });

  test(`${name}: a change of password that has begun comes to its end, whoever leaves`, async (h) => {
    const caller = await h.as(await h.register());
    const other = await h.as(await h.tokens("login", LOGIN));
    const change = { current: PASSWORD, password: OTHER_PASSWORD };
    // Nobody waits for the answer but the host, for what it was told to wait for.
    h.call("changePassword", change, caller).catch(() => {});
    await h.settle();
    assert.ok(await h.isRevoked(other.principal.family));
    await h.tokens("login", { email: EMAIL, password: OTHER_PASSWORD });
  });

  test(`${name}: a new password needs the old one and ends every other sign-in`, async (h) => {
    const first = await h.register();
    const other = await h.tokens("login", LOGIN);
    const caller = await h.as(first);
    const wrong = { current: OTHER_PASSWORD, password: OTHER_PASSWORD };
    const error = await h.fails("changePassword", wrong, caller);
    assert.deepEqual([error.code, error.data], ["VALIDATION", {
      field: "current",
      reason: "wrong",
    }]);
    const weak = await h.fails("changePassword", { current: PASSWORD, password: "1" }, caller);
    assert.deepEqual(weak.data, { field: "password", reason: "too_short" });
    const change = { current: PASSWORD, password: OTHER_PASSWORD };
    const after = await h.tokens("changePassword", change, caller);
    assert.equal((await h.as(after)).principal.family, caller.principal.family);
    assert.ok(await h.isRevoked((await h.as(other)).principal.family));
    assert.equal((await h.fails("refresh", { refresh: other.refresh })).code, "UNAUTHORIZED");
    assert.equal((await h.fails("refresh", { refresh: first.refresh })).code, "UNAUTHORIZED");
    await h.tokens("refresh", { refresh: after.refresh });
    assert.equal((await h.fails("login", LOGIN)).code, "UNAUTHORIZED");
    await h.tokens("login", { email: EMAIL, password: OTHER_PASSWORD });
    assert.equal((await h.lastMail()).kind, "password_changed");
  });

  test(`${name}: of two password changes at once one wins, and the account has its password`, async (h) => {
    const caller = await h.as(await h.register());
    const passwords = ["first new password", "second new password"];
    const results = await Promise.allSettled(
      passwords.map((password) =>
        h.tokens("changePassword", { current: PASSWORD, password }, caller)
      ),
    );
    const won = results.map((result) => result.status === "fulfilled");
    assert.deepEqual([...won].sort(), [false, true]);
    for (const [at, password] of passwords.entries()) {
      const login = await h.call("login", { email: EMAIL, password }).then(
        () => true,
        () => false,
      );
      assert.equal(login, won[at]);
    }
  });

  test(`${name}: a login whose password changes while it is checked opens nothing`, async (h) => {
    const caller = await h.as(await h.register());
    const change = { current: PASSWORD, password: OTHER_PASSWORD };
    h.meanwhile = () => h.call("changePassword", change, caller);
    assert.equal((await h.fails("login", LOGIN)).code, "UNAUTHORIZED");
    assert.equal((await list(h, caller)).length, 1);
  });

  test(`${name}: a change whose session ends while it is checked changes nothing`, async (h) => {
    const caller = await h.as(await h.register());
    const change = { current: PASSWORD, password: OTHER_PASSWORD };
    h.meanwhile = () => h.call("logout", {}, caller);
    assert.equal((await h.fails("changePassword", change, caller)).code, "SESSION_REVOKED");
    await h.tokens("login", LOGIN);
  });

  test(`${name}: a visitor has no password to change, and guessing the old one is limited`, async (h) => {
    const visitor = await h.as(await h.tokens("anonymous"));
    const change = { current: PASSWORD, password: OTHER_PASSWORD };
    assert.equal((await h.fails("changePassword", change, visitor)).code, "FORBIDDEN");
    const caller = await h.as(await h.register());
    const wrong = { current: "not the password", password: OTHER_PASSWORD };
    for (let i = 0; i < 10; i++) await h.fails("changePassword", wrong, caller);
    assert.equal((await h.fails("changePassword", change, caller)).code, "RATE_LIMITED");
  });

  test(`${name}: groups are what administration set, and nothing a client says`, async (h) => {
    const tokens = await h.register();
    const groups = await h.auth.setGroups(h.tenant, tokens.owner, ["editor", "admin", "editor"]);
    assert.deepEqual(groups, ["admin", "editor"]);
    const me = await h.call("me", {}, await h.as(tokens)) as { ugroups: string[] };
    assert.deepEqual(me.ugroups, ["admin", "editor"]);
    assert.equal(await h.auth.ownerOf(h.tenant, "Ann@Example.com"), tokens.owner);
    assert.equal(await h.auth.ownerOf(h.tenant, "nobody@example.com"), null);
    await assert.rejects(h.auth.setGroups(h.tenant, "nobody", []), { code: "NOT_FOUND" });
    for (const bad of [[""], ["a b"], ["a,b"], ["x".repeat(65)], Array(65).fill("a"), "admin"]) {
      await assert.rejects(h.auth.setGroups(h.tenant, tokens.owner, bad as string[]), {
        code: "VALIDATION",
      });
    }
    const sneaky = { email: "eve@example.com", password: PASSWORD, ugroups: ["admin"] };
    assert.equal((await h.fails("register", sneaky)).code, "VALIDATION");
  });

  test(`${name}: a sweep removes what has ended and nothing else`, async (h, under) => {
    const [hour, day] = [3_600_000, 86_400_000];
    const start = h.now;
    const idle = await h.as(await h.register());
    await h.call("requestReset", { email: "nobody@example.com" });
    assert.equal(await h.auth.sweep(h.tenant, start, start + 3 * hour), 0, "nothing has ended");
    h.now += 10 * day;
    const live = await h.register("bob@example.com");
    const swept = await h.auth.sweep(h.tenant, start, start + 3 * hour);
    assert.equal(swept, 1, "the decoy of the reset");
    h.now += 5 * day;
    const end = start + 14 * day;
    assert.equal(await h.auth.sweep(h.tenant, end, end + 3 * hour), 1, "the idle family");
    assert.equal(await h.auth.sweep(h.tenant, h.now - 3 * hour, h.now), 0);
    const gone = await under.store.transaction(
      h.tenant,
      (tx) => tx.get("_sessions", idle.principal.family),
    );
    assert.equal(gone, null);
    await h.tokens("refresh", { refresh: live.refresh });
    await assert.rejects(h.auth.sweep(h.tenant, 0, h.now), { code: "VALIDATION" });
  });

  test(`${name}: administration ends all sessions of an owner`, async (h) => {
    const tokens = await h.register();
    await h.tokens("login", LOGIN);
    assert.equal(await h.auth.endSessions(h.tenant, tokens.owner), 2);
    assert.equal((await h.fails("me", {}, await h.as(tokens))).code, "SESSION_REVOKED");
  });
}
