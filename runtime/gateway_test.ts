import assert from "node:assert/strict";
import { AUTH_TABLES } from "../auth/tables.ts";
import { deriveServerKeys, SYSTEM_OPS } from "../protocol/mod.ts";
import { decodeValue, encodeValue } from "../protocol/codec/mod.ts";
import { createHttpTransport } from "../protocol/client.ts";
import { createSocketTransport } from "../protocol/socket_transport.ts";
import type { SessionTokens } from "../auth/contract.ts";
import { SessionTokenIssuer } from "../auth/session_token.ts";
import { type TestDatabase, testDatabase } from "../tests/postgres.ts";
import { createServer, type KontractServer } from "./deno/mod.ts";
import { gates, leftover, NOTES, NOTES_APP, runs } from "./testing/notes_app.ts";

const ORIGIN = "http://app.test";

interface Fixture {
  readonly database: TestDatabase;
  readonly server: KontractServer;
  readonly log: string[];
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  token(): Promise<SessionTokens>;
}

/** Settings of a server of the database. */
function settingsOf(database: TestDatabase): Record<string, string> {
  return {
    DATABASE_URL: database.gatewayUrl,
    KONTRACT_SECRET: database.secrets.map((secret) => secret.toBase64({ alphabet: "base64url" }))
      .join(","),
    KONTRACT_KEY_SET: "a.signed.set",
  };
}

async function withServer(body: (fixture: Fixture) => Promise<void>): Promise<void> {
  const database = await testDatabase([...AUTH_TABLES, NOTES]);
  const log: string[] = [];
  const settings = settingsOf(database);
  const server = createServer(NOTES_APP, {
    env: (name) => settings[name],
    public: null,
    logSink: (_level, line) => log.push(line),
  });
  const post: Fixture["post"] = (path, content, headers = {}) =>
    server.fetch(
      new Request(`${ORIGIN}${path}`, {
        method: "POST",
        headers,
        body: content === undefined
          ? null
          : typeof content === "string"
          ? content
          : JSON.stringify(content),
      }),
    );
  const token = async (): Promise<SessionTokens> => await (await post("/auth/anonymous")).json();
  try {
    await body({ database, server, log, post, token });
  } finally {
    await server.close();
    await database.close();
  }
}

const bearer = (tokens: SessionTokens): Record<string, string> => ({
  authorization: `Bearer ${tokens.access}`,
});

async function refusal(
  response: Response,
): Promise<{ status: number; code: string; message: string }> {
  const { error } = await response.json();
  assert.equal(typeof error.requestId, "string");
  assert.equal(response.headers.get("x-request-id") !== null, true);
  return { status: response.status, code: error.code, message: error.message };
}

Deno.test("gateway", async (t) => {
  await withServer(async ({ server, log, post, token, database }) => {
    const alice = await token();
    const bob = await token();

    await t.step("an anonymous session writes and another reads it", async () => {
      const added = await post("/rpc/add", ["n1", "hello"], bearer(alice));
      assert.equal(added.status, 201);
      assert.equal(added.headers.get("location"), "/notes/n1");
      const { result } = await added.json();
      assert.deepEqual(result, { id: "n1", text: "hello", author: alice.owner });
      const read = await post("/rpc/read", { args: ["n1"] }, bearer(bob));
      assert.deepEqual(await read.json(), { result });
    });

    await t.step(
      "a secret that the database does not know is told to the log, not to callers, of any tenant",
      async () => {
        const lines: string[] = [];
        const secret = "A".repeat(43);
        const settings = { ...settingsOf(database), KONTRACT_SECRET: secret };
        const stranger = createServer(NOTES_APP, {
          env: (name) => settings[name as keyof typeof settings],
          public: null,
          logSink: (_level, line) => lines.push(line),
        });
        const secrets = [Uint8Array.fromBase64(secret, { alphabet: "base64url" })];
        const issuer = new SessionTokenIssuer({ secrets, clock: Date.now });
        const there = { owner: "o", tenant: "acme", family: "f", anonymous: true };
        const headers = { authorization: `Bearer ${(await issuer.issue(there)).token}` };
        try {
          for (
            const request of [
              new Request(`${ORIGIN}/auth/anonymous`, { method: "POST" }),
              new Request(`${ORIGIN}/rpc/who`, { method: "POST", body: "[]", headers }),
            ]
          ) {
            lines.length = 0;
            const { status, code, message } = await refusal(await stranger.fetch(request));
            assert.deepEqual([status, code], [500, "INTERNAL"]);
            assert.doesNotMatch(message, /KONTRACT_SECRET/);
            assert.match(lines.join("\n"), /"call_failed".*does not know this KONTRACT_SECRET/);
          }
        } finally {
          await stranger.close();
        }
      },
    );

    await t.step("ctx is the caller's own", async () => {
      const answers = await Promise.all(
        [alice, bob].map(async (who) =>
          (await (await post("/rpc/who", [], bearer(who))).json()).result
        ),
      );
      assert.deepEqual(answers.map(({ owner }) => owner), [alice.owner, bob.owner]);
      assert.deepEqual(answers.map(({ route }) => route), ["who", "who"]);
    });

    await t.step("every wrong request gets its own code and status", async () => {
      const as = bearer(alice);
      const cases: [string, Promise<Response>, number, string][] = [
        ["no token", post("/rpc/who", []), 401, "UNAUTHORIZED"],
        [
          "forged token",
          post("/rpc/who", [], { authorization: "Bearer a.b.c" }),
          401,
          "UNAUTHORIZED",
        ],
        [
          "other scheme",
          post("/rpc/who", [], { authorization: "Basic eA==" }),
          401,
          "UNAUTHORIZED",
        ],
        ["unknown route", post("/rpc/nothing", [], as), 404, "ROUTE_NOT_FOUND"],
        ["prototype as route", post("/rpc/__proto__", [], as), 404, "ROUTE_NOT_FOUND"],
        ["odd route name", post("/rpc/%2e%2e%2fx", [], as), 404, "ROUTE_NOT_FOUND"],
        ["unknown path", post("/elsewhere"), 404, "NOT_FOUND"],
        ["malformed JSON", post("/rpc/read", "[1,", as), 400, "BAD_REQUEST"],
        ["no array", post("/rpc/read", { x: 1 }, as), 400, "BAD_REQUEST"],
        ["args is no array", post("/rpc/read", { args: "x" }, as), 400, "BAD_REQUEST"],
        ["more than args", post("/rpc/read", { args: ["x"], y: 1 }, as), 400, "BAD_REQUEST"],
        ["too few", post("/rpc/read", [], as), 400, "VALIDATION"],
        ["too many", post("/rpc/read", ["a", "b"], as), 400, "VALIDATION"],
        ["wrong type", post("/rpc/read", [7], as), 400, "VALIDATION"],
        ["too large", post("/rpc/read", ["x".repeat(1 << 20)], as), 413, "TOO_LARGE"],
        ["too deep", post("/rpc/read", "[".repeat(200) + "]".repeat(200), as), 400, "BAD_REQUEST"],
        ["missing row", post("/rpc/read", ["none"], as), 404, "NOT_FOUND"],
        ["not in the group", post("/rpc/adminOnly", [], as), 403, "FORBIDDEN"],
        ["app's own error", post("/rpc/full", [], as), 422, "NOTE_FULL"],
        ["unknown auth function", post("/auth/nothing"), 404, "ROUTE_NOT_FOUND"],
        [
          "bad idempotency key",
          post("/rpc/who", [], { ...as, "idempotency-key": "a b" }),
          400,
          "BAD_REQUEST",
        ],
        [
          "foreign page",
          post("/rpc/who", [], { ...as, origin: "https://evil.test" }),
          403,
          "FORBIDDEN",
        ],
        ["sandboxed page", post("/rpc/who", [], { ...as, origin: "null" }), 403, "FORBIDDEN"],
      ];
      for (const [what, response, status, code] of cases) {
        const got = await refusal(await response);
        assert.deepEqual({ what, status: got.status, code: got.code }, { what, status, code });
      }
      const get = await server.fetch(new Request(`${ORIGIN}/rpc/who`));
      assert.equal((await refusal(get)).code, "METHOD_NOT_ALLOWED");
    });

    await t.step("a body that is no UTF-8 is refused", async () => {
      const response = await server.fetch(
        new Request(`${ORIGIN}/rpc/read`, {
          method: "POST",
          headers: bearer(alice),
          body: new Uint8Array([0x5b, 0x22, 0xff, 0x22, 0x5d]),
        }),
      );
      assert.equal((await refusal(response)).code, "BAD_REQUEST");
    });

    await t.step("SQL in every string is only text", async () => {
      const evil = `'); drop table kontract.storage; -- $1 \\ " {`;
      const added = await post("/rpc/add", [evil, evil], bearer(alice));
      assert.equal(added.status, 201);
      const read = await post("/rpc/read", [evil], bearer(alice));
      assert.equal((await read.json()).result.text, evil);
    });

    await t.step(
      "what crashes inside leaves as INTERNAL, and its story is in the log",
      async () => {
        const response = await post("/rpc/crash", [], bearer(alice));
        const text = await response.text();
        assert.equal(response.status, 500);
        const { error } = JSON.parse(text);
        assert.equal(error.code, "INTERNAL");
        assert.ok(!/hunter2|postgres|10\.0\.0\.1|\.ts:/.test(text));
        const line = log.find((entry) => entry.includes(error.requestId)) ?? "";
        assert.ok(line.includes("password=hunter2"));
        assert.ok(line.includes("notes_app.ts"));
        assert.ok(!line.includes(":pw@"), "passwords of connection strings are cut out");
        const config = await refusal(await post("/rpc/config", [], bearer(alice)));
        assert.deepEqual(config.code, "INTERNAL");
      },
    );

    await t.step("no token and no arguments are in the log", () => {
      const all = log.join("\n");
      for (const secret of [alice.access, alice.refresh, bob.access, "drop table kontract"]) {
        assert.ok(!all.includes(secret));
      }
    });

    await t.step("noContent and redirect have no body", async () => {
      const gone = await post("/rpc/gone", [], bearer(alice));
      assert.deepEqual([gone.status, await gone.text()], [204, ""]);
      const away = await post("/rpc/away", [], bearer(alice));
      assert.deepEqual([away.status, away.headers.get("location")], [303, "/elsewhere"]);
      await away.body?.cancel();
    });

    await t.step("a rate limit says when to come back", async () => {
      for (let i = 0; i < 2; i++) {
        assert.equal((await (await post("/rpc/limited", [], bearer(alice))).json()).result, "ok");
      }
      const refused = await post("/rpc/limited", [], bearer(alice));
      assert.equal(refused.status, 429);
      assert.ok(Number(refused.headers.get("retry-after")) >= 1);
      const { error } = await refused.json();
      assert.ok(error.data.retryAfter > 0);
      const other = await post("/rpc/limited", [], bearer(bob));
      assert.equal(other.status, 200, "another session has a bucket of its own");
      await other.body?.cancel();
    });

    await t.step("a call past its deadline is given up and writes nothing", async () => {
      const response = await post("/rpc/slow", ["slow1"], bearer(alice));
      assert.equal((await refusal(response)).code, "DEADLINE_EXCEEDED");
      gates.get("slow1")?.();
      const read = await post("/rpc/read", ["slow1"], bearer(alice));
      assert.equal((await refusal(read)).code, "NOT_FOUND");
    });

    await t.step("work left behind by a call cannot reach storage any more", async () => {
      assert.equal((await (await post("/rpc/leave", [], bearer(alice))).json()).result, "left");
      gates.get("leave")?.();
      assert.equal((await leftover as { code?: string }).code, "CONTEXT_ENDED");
    });

    await t.step("a kept handle acts as whoever uses it", async () => {
      await (await post("/rpc/keep", [], bearer(alice))).body?.cancel();
      const used = await post("/rpc/useKept", [], bearer(bob));
      assert.equal((await used.json()).result, bob.owner);
      const kept = await (await post("/rpc/read", ["kept"], bearer(bob))).json();
      assert.equal(kept.result.author, bob.owner);
    });

    await t.step("one Idempotency-Key is one effect, and its answer is the same", async () => {
      await (await post("/rpc/add", ["n2", ""], bearer(alice))).body?.cancel();
      const headers = { ...bearer(alice), "idempotency-key": "k-1" };
      const first = await (await post("/rpc/append", ["n2", "a"], headers)).json();
      const again = await post("/rpc/append", ["n2", "a"], headers);
      assert.equal(again.headers.get("idempotency-replayed"), "true");
      assert.deepEqual([first, await again.json()], [{ result: "a" }, { result: "a" }]);
      const other = await post("/rpc/append", ["n2", "b"], headers);
      assert.equal((await refusal(other)).code, "REPLAY");
      const read = await (await post("/rpc/read", ["n2"], bearer(alice))).json();
      assert.equal(read.result.text, "a");
    });

    await t.step("concurrent appends all arrive, each exactly once", async () => {
      await (await post("/rpc/add", ["n3", ""], bearer(alice))).body?.cancel();
      const answers = await Promise.all(Array.from({ length: 5 }, async () => {
        const response = await post("/rpc/append", ["n3", "x"], bearer(alice));
        return [response.status, await response.json()];
      }));
      const done = answers.filter(([status]) => status === 200).length;
      for (const [status, body] of answers) {
        if (status !== 200) assert.equal(body.error.code, "CONFLICT");
      }
      const read = await (await post("/rpc/read", ["n3"], bearer(alice))).json();
      assert.equal(read.result.text, "x".repeat(done));
      assert.ok((runs.get("append") ?? 0) >= done);
    });

    await t.step("a stream's elements are made in the caller's context", async () => {
      const response = await post("/rpc/count", [3], bearer(bob));
      const lines = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
      assert.deepEqual(lines, [
        ...[1, 2, 3].map((i) => ({ element: { i, owner: bob.owner } })),
        { end: true },
      ]);
    });

    await t.step("a new group counts in the next call", async () => {
      await server.auth.setGroups("main", alice.owner, ["admin"]);
      const response = await post("/rpc/adminOnly", [], bearer(alice));
      assert.equal((await response.json()).result, "secret of admins");
    });

    await t.step("GET /auth/me tells who is calling", async () => {
      const me = await server.fetch(new Request(`${ORIGIN}/auth/me`, { headers: bearer(alice) }));
      assert.equal((await me.json()).owner, alice.owner);
    });

    await t.step("the same functions answer through raystream", async () => {
      const { pins } = await deriveServerKeys(database.secrets);
      const transport = createHttpTransport({
        url: ORIGIN,
        app: "notes",
        pins,
        fetch: (input, init) => server.fetch(new Request(input, init)),
      });
      const op = (name: string): number =>
        NOTES_APP.routes.find((route) => route.name === name)!.op;
      const call = async (name: string, args: unknown[], who: SessionTokens | null) =>
        decodeValue(
          await transport.call(op(name), encodeValue(args), {
            token: who?.access ?? null,
            mutation: true,
          }),
        );
      const anonymous = decodeValue(
        await transport.call(SYSTEM_OPS.AUTH, encodeValue(["anonymous", null]), {
          token: null,
          mutation: true,
        }),
      ) as SessionTokens;
      assert.equal((await call("who", [], anonymous) as { owner: string }).owner, anonymous.owner);
      assert.deepEqual(await call("add", ["r1", "sealed"], anonymous), {
        id: "r1",
        text: "sealed",
        author: anonymous.owner,
      });
      const code = (error: Error): unknown => (error as { code?: unknown }).code;
      await assert.rejects(call("who", [], null), (e: Error) => code(e) === "UNAUTHORIZED");
      await assert.rejects(call("read", [1], anonymous), (e: Error) => code(e) === "RAY_DECODE");
      const session = { token: anonymous.access, mutation: true };
      const removed = transport.call(9999, encodeValue([]), session);
      await assert.rejects(
        removed,
        /There is no such function: reload the page if it is of another/,
      );
      await assert.rejects(
        call("crash", [], anonymous),
        (e: Error) => code(e) === "INTERNAL" && !e.message.includes("hunter2"),
      );
      const seen: unknown[] = [];
      const elements = transport.stream(op("count"), encodeValue([2]), {
        token: anonymous.access,
        mutation: false,
      });
      for await (const element of elements) seen.push(decodeValue(element));
      assert.deepEqual(seen, [1, 2].map((i) => ({ i, owner: anonymous.owner })));
      transport.close();
    });

    await t.step("a WebSocket carries calls and streams, and only for allowed pages", async () => {
      const http = Deno.serve(
        { port: 0, hostname: "127.0.0.1", onListen: () => {} },
        (request, info) => server.fetch(request, info),
      );
      const url = `http://127.0.0.1:${http.addr.port}`;
      const { pins } = await deriveServerKeys(database.secrets);
      const transport = createSocketTransport({ url, app: "notes", pins });
      try {
        const session = decodeValue(
          await transport.call(SYSTEM_OPS.AUTH, encodeValue(["anonymous", null]), {
            token: null,
            mutation: true,
          }),
        ) as SessionTokens;
        const op = NOTES_APP.routes.find(({ name }) => name === "count")!.op;
        const seen: unknown[] = [];
        const elements = transport.stream(op, encodeValue([2]), {
          token: session.access,
          mutation: false,
        });
        for await (const element of elements) seen.push(decodeValue(element));
        assert.deepEqual(seen, [1, 2].map((i) => ({ i, owner: session.owner })));
        const refused = await server.fetch(
          new Request(`${url}/raystream`, {
            headers: { upgrade: "websocket", origin: "https://evil.test" },
          }),
        );
        assert.equal((await refused.json()).error.code, "FORBIDDEN");
      } finally {
        transport.close();
        await http.shutdown();
      }
    });

    await t.step("a message goes out when its call has committed, and only then", async () => {
      const follow = (source: string): Promise<Response> =>
        server.fetch(
          new Request(`${ORIGIN}/events?source=${encodeURIComponent(source)}`, {
            headers: bearer(bob),
          }),
        );
      const { result: source } = await (await post("/rpc/grantNews", [], bearer(bob))).json();
      const { result: lent } = await (await post("/rpc/grantNews", [], bearer(alice))).json();
      for (const bad of ["topic:news", lent, source.replace("news", "other")]) {
        assert.equal((await refusal(await follow(bad))).code, "PERMISSION_DENIED");
      }
      const response = await follow(source);
      assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      const until = async (what: string): Promise<void> => {
        const late = setTimeout(() => void reader.cancel(), 10_000);
        while (!text.includes(what)) {
          const { done, value } = await reader.read();
          if (done) throw new Error(`ended before '${what}': ${text}`);
          text += value;
        }
        clearTimeout(late);
      };
      await until("event: ready");
      await (await post("/rpc/emit", ["fail"], bearer(alice))).body?.cancel();
      await (await post("/rpc/emit", ["good"], bearer(alice))).body?.cancel();
      await until('"good"');
      assert.ok(!text.includes('"fail"'));
      await reader.cancel();
    });

    await t.step("a logout ends the session at once", async () => {
      const carol = await token();
      assert.equal((await post("/rpc/who", [], bearer(carol))).status, 200);
      await (await post("/auth/logout", undefined, bearer(carol))).body?.cancel();
      const after = await refusal(await post("/rpc/add", ["n9", "x"], bearer(carol)));
      assert.equal(after.status, 401);
    });

    await t.step("the signed key set is shown as it is, to GET alone", async () => {
      const set = await server.fetch(new Request(`${ORIGIN}/raystream/keys`));
      assert.deepEqual([set.status, await set.text()], [200, "a.signed.set"]);
      assert.equal((await refusal(await post("/raystream/keys"))).status, 405);
    });

    await t.step("health answers without a session", async () => {
      const health = await server.fetch(new Request(`${ORIGIN}/health?database`));
      assert.deepEqual(await health.json(), { status: "ok", app: "notes", build: "test" });
    });
  });
});

Deno.test("a dead database is a typed 503, and nothing of it leaves", async () => {
  const settings: Record<string, string> = {
    DATABASE_URL: "postgres://gateway:pw@127.0.0.1:1/none",
    KONTRACT_SECRET: new Uint8Array(32).fill(7).toBase64({ alphabet: "base64url" }),
  };
  const log: string[] = [];
  const server = createServer(NOTES_APP, {
    env: (name) => settings[name],
    public: null,
    logSink: (_level, line) => log.push(line),
  });
  try {
    const response = await server.fetch(
      new Request(`${ORIGIN}/auth/anonymous`, { method: "POST" }),
    );
    const text = await response.text();
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("retry-after"), "1");
    assert.equal(JSON.parse(text).error.code, "DATABASE_UNAVAILABLE");
    assert.ok(!/127\.0\.0\.1|ECONN|postgres/.test(text));
    const health = await server.fetch(new Request(`${ORIGIN}/health`));
    assert.equal(health.status, 200);
    await health.body?.cancel();
  } finally {
    await server.close();
  }
});
