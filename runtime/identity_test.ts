/**
 * A visitor keeps its identity: no sign-up makes a new one because a token had run out, could not be
 * renewed at the moment, or came by another way.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { AuthMail } from "../auth/mail.ts";
import { SessionTokenIssuer } from "../auth/session_token.ts";
import { createHttpTransport } from "../protocol/client.ts";
import { decodeValue, encodeValue } from "../protocol/codec/mod.ts";
import { deriveServerKeys } from "../protocol/mod.ts";
import { SYSTEM_OPS } from "../protocol/rpc.ts";
import { decodeWireError, RemoteError } from "../protocol/wire_error.ts";
import { type ClientAuth, createAuth } from "./client/auth.ts";
import { ClientSession } from "./client/session.ts";
import type { ClientStorage } from "./client/session_storage.ts";
import { NOTES_APP } from "./testing/notes_app.ts";
import { ORIGIN, withNotes } from "./testing/notes_server.ts";

const OWN = { "sec-fetch-site": "same-origin", origin: ORIGIN };
const ASK = { "kontract-session": "cookie" };
const AGO = 16 * 60_000;
const password = "seven green ladders";

type Notes = Parameters<Parameters<typeof withNotes>[0]>[0];

/** The same claims in a token that ran out a minute ago. */
async function aged(notes: Notes, access: string): Promise<string> {
  const payload = Uint8Array.fromBase64(access.split(".")[1]!, { alphabet: "base64url" });
  const claims = JSON.parse(new TextDecoder().decode(payload));
  const { secrets } = notes.database;
  const issuer = new SessionTokenIssuer({ secrets, clock: () => Date.now() - AGO });
  const { sub: owner, ten: tenant, fam: family, anon: anonymous } = claims;
  return (await issuer.issue({ owner, tenant, family, anonymous })).token;
}

/** The generated client's session and auth over plain requests, with a store that can be aged. */
function clientOf(notes: Notes) {
  const store = new Map<string, string>();
  const storage: ClientStorage = {
    get: (key) => Promise.resolve(store.get(key) ?? null),
    set: (key, value) => {
      if (value === null) store.delete(key);
      else store.set(key, value);
      return Promise.resolve();
    },
  };
  const send = async (name: string, argument: unknown, token: string | null): Promise<unknown> => {
    const path = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const response = await notes.send(`/auth/${path}`, {
      json: argument,
      ...(token === null ? {} : { headers: { authorization: `Bearer ${token}` } }),
    });
    const text = await response.text();
    const body = text === "" ? null : JSON.parse(text);
    if (response.ok) return body;
    const error = new TextEncoder().encode(JSON.stringify(body.error));
    throw new RemoteError(decodeWireError(error));
  };
  const session = new ClientSession("key", storage, (name, arg) => send(name, arg, null), false);
  return {
    auth: createAuth(() => session, send, (listener) => session.onChange(listener)),
    stored: (): { access: string } => JSON.parse(store.get("key")!),
    async age(): Promise<void> {
      const kept = JSON.parse(store.get("key")!);
      const access = await aged(notes, kept.access);
      const [expiresAt, receivedAt] = [kept.expiresAt - AGO, kept.receivedAt - AGO];
      store.set("key", JSON.stringify({ ...kept, access, expiresAt, receivedAt }));
    },
  };
}

function ownerOf(session: { readonly kind: string }): string {
  assert.equal(session.kind, "active");
  return (session as { readonly kind: "active"; readonly owner: string }).owner;
}

Deno.test("who signs up after a token ran out is still who they were, with their rows", async () => {
  await withNotes(async (notes) => {
    const { auth, age, stored } = clientOf(notes);
    const before = ownerOf(await auth.anonymous());
    const call = async (name: string, args: readonly unknown[]): Promise<Response> =>
      await notes.send(`/rpc/${name}`, {
        json: args,
        headers: { authorization: `Bearer ${stored().access}` },
      });
    assert.equal((await call("add", ["mine", "x"])).status, 201);
    await age();
    const { session } = await auth.register({ email: "ada@example.com", password });
    assert.equal(ownerOf(session), before);
    assert.equal((await (await call("who", [])).json()).result.owner, before);
    assert.equal((await (await call("read", ["mine"])).json()).result.text, "x");
  });
});

Deno.test("in cookies too, and where the session cannot be renewed at the moment", async () => {
  await withNotes(async (notes) => {
    const visitor = await notes.visitor();
    const old = await aged(notes, visitor.access);
    const headers = {
      ...OWN,
      ...ASK,
      cookie: `__Host-kontract=${old}; __Host-kontract-refresh=${visitor.refresh}`,
    };
    // Others behind the same address have used the limit up.
    while ((await notes.send("/auth/refresh", { json: { refresh: "x" } })).status !== 429);
    const json = { email: "eve@example.com", password };
    const refused = await notes.send("/auth/register", { json, headers });
    assert.equal(refused.status, 429);
    assert.deepEqual(refused.headers.getSetCookie(), []);
  }, { auth: { limits: { refreshAddress: { limit: 3, windowMs: 600_000 } } } });
  await withNotes(async (notes) => {
    const visitor = await notes.visitor();
    const old = await aged(notes, visitor.access);
    const cookie = `__Host-kontract=${old}; __Host-kontract-refresh=${visitor.refresh}`;
    const json = { email: "eve@example.com", password };
    const answer = await notes.send("/auth/register", {
      json,
      headers: { ...OWN, ...ASK, cookie },
    });
    assert.equal((await answer.json()).owner, visitor.owner);
    // Whose session has ended for good can sign up as somebody new.
    const dead = `__Host-kontract=${old}; __Host-kontract-refresh=${
      visitor.refresh.slice(0, -4)
    }AAAA`;
    const other = await notes.send("/auth/register", {
      json: { email: "new@example.com", password },
      headers: { ...OWN, ...ASK, cookie: dead },
    });
    assert.equal(other.status, 200);
    assert.notEqual((await other.json()).owner, visitor.owner);
  });
});

Deno.test("a bearer token is who is asking, also where the answer goes into cookies", async () => {
  await withNotes(async (notes) => {
    const visitor = await notes.visitor();
    const bearer = { authorization: `Bearer ${visitor.access}` };
    const post = (path: string, json: unknown): Promise<Response> =>
      notes.send(path, { json, headers: { ...bearer, ...OWN, ...ASK } });
    const me = await post("/auth/me", null);
    assert.equal((await me.json()).owner, visitor.owner);
    const registered = await post("/auth/register", { email: "bob@example.com", password });
    assert.equal((await registered.json()).owner, visitor.owner);
    assert.equal(registered.headers.getSetCookie().length, 2);
    const out = await post("/auth/logout", {});
    assert.deepEqual(await out.json(), { ended: 1 });
    assert.equal((await notes.send("/auth/me", { headers: bearer })).status, 401);
  });
});

Deno.test("every auth function works from the client, sealed", async () => {
  const mails: AuthMail[] = [];
  const mail = { send: (one: AuthMail) => (mails.push(one), Promise.resolve()) };
  await withNotes(async (notes) => {
    const { pins } = await deriveServerKeys(notes.database.secrets);
    const line = createHttpTransport({
      url: ORIGIN,
      app: NOTES_APP.app,
      pins,
      fetch: (input, init) => notes.server.fetch(new Request(input, init)),
    });
    const send = async (name: string, argument: unknown, token: string | null): Promise<unknown> =>
      decodeValue(
        await line.call(SYSTEM_OPS.AUTH, encodeValue([name, argument]), { token, mutation: true }),
      );
    const visitor = (): ClientAuth => {
      const store = new Map<string, string>();
      const storage: ClientStorage = {
        get: (key) => Promise.resolve(store.get(key) ?? null),
        set: (key, value) =>
          Promise.resolve(void (value === null ? store.delete(key) : store.set(key, value))),
      };
      const session = new ClientSession(
        "key",
        storage,
        (name, arg) => send(name, arg, null),
        false,
      );
      return createAuth(() => session, send, (listener) => session.onChange(listener));
    };
    /** The token of the newest mail of a kind, which is sent behind the answer. */
    const mailed = async (kind: AuthMail["kind"]): Promise<string> => {
      for (;;) {
        const found = mails.findLast((one) => one.kind === kind);
        if (found !== undefined) return found.token!;
        await new Promise((done) => setTimeout(done, 5));
      }
    };
    const [here, there] = [visitor(), visitor()];
    const [email, other] = ["kim@example.com", "eleven quiet rivers"];
    const owner = ownerOf(await here.anonymous());
    assert.equal(ownerOf((await here.link({ email, password })).session), owner);
    assert.equal(ownerOf(await there.login({ email, password })), owner);
    assert.equal(ownerOf(await there.refresh()), owner);
    const sessions = await here.sessions();
    assert.equal(sessions.length, 2);
    await here.revokeSession({ id: sessions.find(({ current }) => !current)!.id });
    await assert.rejects(
      there.me(),
      (error: { code?: string }) => /REVOKED|UNAUTH/.test(error.code!),
    );
    await there.login({ email, password });
    assert.equal(ownerOf(await here.changePassword({ current: password, password: other })), owner);
    await assert.rejects(there.login({ email, password }), { code: "UNAUTHORIZED" });
    assert.equal((await here.me()).emailVerified, false);
    await here.requestVerification();
    await here.verifyEmail({ token: await mailed("verify") });
    assert.equal((await here.me()).emailVerified, true);
    await visitor().requestReset({ email });
    await there.resetPassword({ token: await mailed("reset"), password });
    assert.equal(ownerOf(await there.login({ email, password })), owner);
    await there.logout({ everywhere: true });
    assert.deepEqual(await there.state(), { kind: "none" });
    await assert.rejects(
      here.me(),
      (error: { code?: string }) => /REVOKED|UNAUTH/.test(error.code!),
    );
    line.close();
  }, { auth: { registration: "immediate", mail } });
});
