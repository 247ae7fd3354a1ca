import assert from "node:assert/strict";
import { SessionTokenIssuer } from "../auth/session_token.ts";
import { createHttpTransport } from "../protocol/client.ts";
import { decodeValue, encodeValue } from "../protocol/codec/mod.ts";
import { deriveServerKeys } from "../protocol/mod.ts";
import { NOTES_APP } from "./testing/notes_app.ts";
import { ORIGIN, readAnswer, withNotes } from "./testing/notes_server.ts";

/** A browser's cookies: what `Set-Cookie` said last. */
class Jar {
  readonly #values = new Map<string, string>();

  take(response: Response): readonly string[] {
    const set = response.headers.getSetCookie();
    for (const cookie of set) {
      const [pair = "", ...attributes] = cookie.split("; ");
      const at = pair.indexOf("=");
      assert.deepEqual(attributes.filter((one) => !one.startsWith("Max-Age")), [
        "Path=/",
        "Secure",
        "HttpOnly",
        "SameSite=Lax",
      ]);
      if (attributes.includes("Max-Age=0")) this.#values.delete(pair.slice(0, at));
      else this.#values.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return set;
  }

  set(name: string, value: string): void {
    this.#values.set(name, value);
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  get header(): Record<string, string> {
    return { cookie: [...this.#values].map(([name, value]) => `${name}=${value}`).join("; ") };
  }
}

const OWN = { "sec-fetch-site": "same-origin", origin: ORIGIN };
const ASK = { "kontract-session": "cookie" };

Deno.test("cookie mode", async (t) => {
  await withNotes(async ({ send, server, database }) => {
    const jar = new Jar();
    const post = async (path: string, json: unknown, headers: Record<string, string> = {}) => {
      const response = await send(path, { json, headers: { ...jar.header, ...OWN, ...headers } });
      jar.take(response);
      return response;
    };
    let owner = "";

    await t.step("a sign-in sets both cookies, and no token is in the answer", async () => {
      const response = await post("/auth/anonymous", null, ASK);
      assert.equal(response.status, 200);
      const answer = await response.json();
      owner = answer.owner;
      assert.deepEqual(Object.keys(answer).sort(), ["anonymous", "expiresAt", "owner"]);
      assert.ok(jar.get("__Host-kontract"));
      assert.ok(jar.get("__Host-kontract-refresh"));
    });

    await t.step("calls and auth functions work by cookie alone", async () => {
      const who = await readAnswer(await post("/rpc/who", []));
      assert.equal((who.result as { owner: string }).owner, owner);
      const me = await send("/auth/me", { headers: { ...jar.header, ...OWN } });
      assert.equal((await me.json()).owner, owner);
    });

    await t.step("server-sent events work as a browser's EventSource asks for them", async () => {
      const response = await send("/events?source=notes", {
        headers: { ...jar.header, "sec-fetch-site": "same-origin", accept: "text/event-stream" },
      });
      assert.equal(response.status, 200);
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      while (!text.includes("event: ready")) text += (await reader.read()).value ?? "";
      await reader.cancel();
    });

    await t.step("a token in the address is no token", async () => {
      const token = jar.get("__Host-kontract");
      const response = await send(`/events?source=notes&access_token=${token}`);
      assert.equal((await readAnswer(response)).code, "UNAUTHORIZED");
    });

    await t.step(
      "a request that another site's page caused is refused, and changes nothing",
      async () => {
        const forged: Record<string, string>[] = [
          { "sec-fetch-site": "cross-site" },
          { "sec-fetch-site": "same-site" },
          {},
          { origin: "https://evil.test", "sec-fetch-site": "cross-site" },
          { origin: "null" },
          { origin: "http://sub.app.test", "sec-fetch-site": "same-site" },
        ];
        for (const headers of forged) {
          const response = await send("/rpc/add", {
            json: ["forged", "x"],
            headers: { ...jar.header, ...headers },
          });
          assert.equal((await readAnswer(response)).code, "FORBIDDEN", JSON.stringify(headers));
          const signIn = await send("/auth/anonymous", {
            json: null,
            headers: { ...ASK, ...headers },
          });
          assert.equal((await readAnswer(signIn)).code, "FORBIDDEN", JSON.stringify(headers));
          assert.deepEqual(signIn.headers.getSetCookie(), []);
        }
        for (const path of ["/events?source=notes", "/auth/me"]) {
          const headers = { ...jar.header, "sec-fetch-site": "cross-site" };
          assert.equal((await readAnswer(await send(path, { headers }))).code, "FORBIDDEN");
        }
        assert.equal((await readAnswer(await post("/rpc/read", ["forged"]))).code, "NOT_FOUND");
      },
    );

    await t.step(
      "the sealed channel takes cookies where it is asked to, by the same rule",
      async () => {
        const { pins } = await deriveServerKeys(database.secrets);
        const who = async (headers: Record<string, string>): Promise<unknown> => {
          const transport = createHttpTransport({
            url: ORIGIN,
            app: "notes",
            pins,
            fetch: (input, init) =>
              server.fetch(
                new Request(input, { ...init, headers: { ...Object(init?.headers), ...headers } }),
              ),
          });
          const { op } = NOTES_APP.routes.find(({ name }) => name === "who")!;
          const options = { token: null, mutation: false };
          return await transport.call(op, encodeValue([]), options)
            .then((bytes) => Object(decodeValue(bytes)).owner, (error) => error.code)
            .finally(() => transport.close());
        };
        assert.equal(await who({ ...jar.header, ...OWN, ...ASK }), owner);
        assert.equal(await who({ ...jar.header, ...OWN }), "UNAUTHORIZED", "nobody asked");
        assert.equal(await who({ ...OWN, ...ASK }), "SESSION_EXPIRED", "no cookie");
        const strangers: Record<string, string>[] = [
          {},
          { origin: "https://evil.test" },
          { "sec-fetch-site": "cross-site" },
        ];
        for (const told of strangers) {
          assert.equal(await who({ ...jar.header, ...ASK, ...told }), "NETWORK");
        }
      },
    );
  });
});

Deno.test("a session token that ran out is renewed by cookie on the way", async (t) => {
  await withNotes(async ({ send, database }) => {
    const jar = new Jar();
    const signIn = await send("/auth/anonymous", { json: null, headers: { ...OWN, ...ASK } });
    jar.take(signIn);
    const { owner } = await signIn.json();
    const hourAgo = new SessionTokenIssuer({
      secrets: database.secrets,
      clock: () => Date.now() - 3_600_000,
    });
    /** Headers of a browser whose session token ran out long ago. */
    const late = async (): Promise<Record<string, string>> => {
      const { fam } = JSON.parse(atob(jar.get("__Host-kontract")!.split(".")[1]!));
      const who = { owner, tenant: "main", family: fam, anonymous: true };
      jar.set("__Host-kontract", (await hourAgo.issue(who, Date.now() + 3_600_000)).token);
      return { ...jar.header, ...OWN };
    };

    await t.step("as a bearer token it is refused", async () => {
      await late();
      const headers = { authorization: `Bearer ${jar.get("__Host-kontract")}` };
      const refused = await readAnswer(await send("/rpc/who", { json: [], headers }));
      assert.equal(refused.code, "SESSION_EXPIRED");
    });

    await t.step("a call answers, and brings new cookies", async () => {
      const response = await send("/rpc/who", { json: [], headers: await late() });
      assert.equal(jar.take(response).length, 2);
      assert.equal(((await readAnswer(response)).result as { owner: string }).owner, owner);
    });

    await t.step("so does one that fails, or the renewed token would be lost", async () => {
      const old = jar.get("__Host-kontract-refresh");
      const response = await send("/rpc/read", { json: ["none"], headers: await late() });
      assert.equal(jar.take(response).length, 2);
      assert.equal((await readAnswer(response)).code, "NOT_FOUND");
      assert.notEqual(jar.get("__Host-kontract-refresh"), old);
    });

    await t.step("an EventSource is renewed too", async () => {
      const response = await send("/events?source=notes", { headers: await late() });
      assert.equal(response.status, 200);
      assert.equal(jar.take(response).length, 2);
      await response.body?.cancel();
    });

    await t.step("a refresh cookie that is worth nothing is deleted", async () => {
      const bad = new Jar();
      bad.set("__Host-kontract-refresh", "x".repeat(86));
      const response = await send("/rpc/who", { json: [], headers: { ...bad.header, ...OWN } });
      assert.equal(response.status, 401);
      assert.equal(bad.take(response).length, 2);
      assert.equal(bad.header.cookie, "");
      await response.body?.cancel();
    });
  });
});

Deno.test("pages of listed origins may call with cookies, others may not call at all", async () => {
  const page = "https://app.example.com";
  await withNotes(async ({ send }) => {
    const preflight = await send("/rpc/who", {
      method: "OPTIONS",
      headers: {
        origin: page,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
      },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), page);
    assert.equal(preflight.headers.get("access-control-allow-credentials"), "true");
    assert.match(preflight.headers.get("vary") ?? "", /Origin/);
    const headers = { origin: page, "sec-fetch-site": "same-site", ...ASK };
    const signIn = await send("/auth/anonymous", { json: null, headers });
    assert.equal(signIn.headers.get("access-control-allow-origin"), page);
    assert.equal(signIn.headers.getSetCookie().length, 2);
    await signIn.body?.cancel();
    for (const origin of ["https://app.example.com.evil.test", "http://app.example.com", "null"]) {
      const refused = await send("/rpc/who", {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST" },
      });
      assert.equal(refused.status, 403);
      assert.equal(refused.headers.get("access-control-allow-origin"), null);
      await refused.body?.cancel();
    }
    const own = await send("/health", { headers: { origin: ORIGIN } });
    assert.equal(own.headers.get("access-control-allow-origin"), null);
    await own.body?.cancel();
  }, { origins: [page] });
});
