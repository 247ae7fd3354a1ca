/**
 * Callers without a session, accounts from an app's own code, and the form that an app gives its plain HTTP. In a
 * built app on both hosts: `tests/e2e/rest_forms_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { HttpArgument, HttpBinding } from "../_internal/http_route.ts";
import type { RouteMeta } from "../_internal/manifest.ts";
import { ACCESS_COOKIE } from "../auth/cookie.ts";
import type { Table } from "../storage/types.ts";
import { ctx, env } from "./env.ts";
import { checkHttpOptions, type HttpOptions } from "./http_options.ts";
import { rateLimit, requireAuth } from "./middleware/mod.ts";
import { type Note, NOTES, notesApp, type Spec } from "./testing/notes_app.ts";
import { type NotesServer, ORIGIN, withNotes } from "./testing/notes_server.ts";

const SANITIZE = { sanitizeOps: false, sanitizeResources: false };

const at = (address: string, names: readonly string[] = []): HttpBinding => {
  const [method = "", path = ""] = address.split(" ");
  const from: HttpArgument["from"] = method === "GET" ? "query" : "body";
  return {
    method,
    path,
    arguments: names.map((name) => ({ name, from, text: "string", list: false })),
    empty: false,
  };
};

const notes = (): Table<Note> => (env.storage as unknown as { notes: Table<Note> }).notes;
const who = () => ({ owner: ctx.owner, guest: ctx.isGuest, anonymous: ctx.isAnonymous });
const SLOW = rateLimit({ limit: 1, windowMs: 60_000 });
const MEMBERS = requireAuth();
const reading = (session: RouteMeta["session"]): Spec["meta"] => ({ readOnly: true, session });

const SPECS: Readonly<Record<string, Spec>> = {
  strict: { meta: reading("required"), types: [], body: who, http: at("GET /api/strict") },
  maybe: { meta: reading("optional"), types: [], body: who, http: at("GET /api/maybe") },
  never: { meta: reading("none"), types: [], body: who, http: at("GET /api/never") },
  keep: {
    meta: { session: "none" },
    types: ["string"],
    body: async (id: string) => await notes().set(id, { id, text: "", author: ctx.owner }),
    http: at("POST /api/keep", ["id"]),
  },
  few: {
    meta: { session: "none", readOnly: true, rateLimit: { limit: 1, windowMs: 60_000 } },
    types: [],
    body: who,
    http: at("GET /api/few"),
  },
  slow: {
    meta: { session: "none", readOnly: true },
    types: [],
    body: () => SLOW(() => Promise.resolve("slow")),
    http: at("GET /api/slow"),
  },
  members: {
    meta: { session: "optional", readOnly: true },
    types: [],
    body: () => MEMBERS(() => Promise.resolve("in")),
    http: at("GET /api/members"),
  },
  head: {
    meta: { session: "none", readOnly: true },
    types: ["string"],
    body: (name: string) => ctx.header(name),
    http: at("GET /api/head", ["name"]),
  },
  register: {
    meta: { session: "optional" },
    types: ["string", "string"],
    body: async (email: string, password: string) => await env.auth.register({ email, password }),
    http: at("POST /api/register", ["email", "password"]),
  },
  login: {
    meta: { session: "none" },
    types: ["string", "string"],
    body: async (email: string, password: string) => await env.auth.login({ email, password }),
    http: at("POST /api/login", ["email", "password"]),
  },
  account: {
    meta: { session: "optional", readOnly: true },
    types: [],
    body: async () => await env.auth.account(),
    http: at("GET /api/account"),
  },
  change: {
    meta: { session: "optional" },
    types: ["string", "string"],
    body: async (email: string, password: string) =>
      await env.auth.changeCredentials({
        ...(email === "" ? {} : { email }),
        ...(password === "" ? {} : { password }),
      }),
    http: at("POST /api/change", ["email", "password"]),
  },
  changeReading: {
    meta: { readOnly: true },
    types: [],
    body: async () => await env.auth.changeCredentials({ password: "correct horse battery" }),
  },
  crash: {
    meta: { session: "none", readOnly: true },
    types: [],
    body: () => {
      throw new Error("postgres://gateway:pw@10.0.0.1/db");
    },
    http: at("GET /api/crash"),
  },
};

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown> & { readonly error?: { readonly code: string } };
}

/** Sends one request from an address. */
function asker({ server }: NotesServer) {
  return async (
    address: string,
    { token, json, headers = {}, from = "192.0.2.1" }: {
      readonly token?: string;
      readonly json?: unknown;
      readonly headers?: Record<string, string>;
      readonly from?: string;
    } = {},
  ): Promise<Reply> => {
    const [method = "", path = ""] = address.split(" ");
    const response = await server.fetch(
      new Request(ORIGIN + path, {
        method,
        headers: { ...headers, ...(token === undefined ? {} : { authorization: token }) },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      }),
      { remoteAddr: { transport: "tcp", hostname: from, port: 1 }, completed: Promise.resolve() },
    );
    const body = JSON.parse(await response.text());
    return { status: response.status, headers: response.headers, body };
  };
}

Deno.test(
  "guests: who comes without a session, where a function lets them",
  SANITIZE,
  async (t) => {
    await withNotes(
      async (server) => {
        const ask = asker(server);
        const { access, owner } = await server.visitor();
        const bearer = { token: `Bearer ${access}` };
        const guest = { owner: "_guest", guest: true, anonymous: true };
        const visitor = { owner, guest: false, anonymous: true };

        await t.step(
          "a session is needed, looked at where there is one, or never looked at",
          async () => {
            assert.equal((await ask("GET /api/strict")).status, 401);
            assert.deepEqual((await ask("GET /api/strict", bearer)).body, visitor);
            assert.deepEqual((await ask("GET /api/maybe")).body, guest);
            assert.deepEqual((await ask("GET /api/maybe", bearer)).body, visitor);
            assert.deepEqual((await ask("GET /api/never")).body, guest);
            assert.deepEqual((await ask("GET /api/never", bearer)).body, guest);
            assert.deepEqual((await ask("POST /rpc/maybe", { json: [] })).body, { result: guest });
          },
        );

        await t.step("a token that is none is refused where sessions are looked at", async () => {
          for (const token of ["Bearer abc", "Bearer", "Basic YTpi", `Bearer ${access}x`]) {
            assert.equal((await ask("GET /api/maybe", { token })).status, 401, token);
            assert.equal((await ask("GET /api/never", { token })).status, 200, token);
          }
          // A header without a word in it is none: clients send one where they have no token.
          assert.deepEqual((await ask("GET /api/maybe", { token: "" })).body, guest);
          assert.equal((await ask("GET /api/strict", { token: "" })).status, 401);
          const cookie = `${ACCESS_COOKIE}=${access}`;
          const mode = (site: string) => ({ headers: { cookie, "sec-fetch-site": site } });
          for (const [site, status] of [["cross-site", 403], ["same-origin", 200]] as const) {
            const { headers } = mode(site);
            assert.equal((await ask("GET /api/maybe", { token: "", headers })).status, status);
          }
          assert.equal((await ask("GET /api/maybe", mode("cross-site"))).status, 403);
          assert.deepEqual((await ask("GET /api/maybe", mode("same-origin"))).body, visitor);
          assert.deepEqual((await ask("GET /api/never", mode("cross-site"))).body, guest);
        });

        await t.step("guests are nobody's members, and share limits by address only", async () => {
          assert.equal((await ask("GET /api/members")).status, 401);
          for (const path of ["/api/few", "/api/slow"]) {
            assert.equal((await ask(`GET ${path}`)).status, 200);
            assert.equal((await ask(`GET ${path}`)).status, 429);
            assert.equal((await ask(`GET ${path}`, { from: "192.0.2.2" })).status, 200);
          }
        });

        await t.step("one guest's Idempotency-Key never finds another's answer", async () => {
          const headers = { "idempotency-key": "k1" };
          const keyed = await ask("POST /api/keep", { json: { id: "a" }, headers });
          assert.deepEqual([keyed.status, keyed.body.error?.code], [400, "BAD_REQUEST"]);
          assert.equal((await ask("POST /api/keep", { json: { id: "a" } })).status, 200);
        });

        await t.step("a function reads the headers of its request, but no cookies", async () => {
          const headers = { "x-signature": "s", cookie: "secret=1" };
          const read = async (name: string) =>
            (await ask(`GET /api/head?name=${name}`, { headers })).body as unknown;
          assert.deepEqual([await read("X-Signature"), await read("x-none")], ["s", null]);
          assert.equal(await read("Cookie"), null);
        });
      },
      {},
      notesApp(SPECS),
    );
  },
);

Deno.test("guests store nothing where rows have owners", SANITIZE, async () => {
  const app = notesApp(SPECS);
  await withNotes(
    async (server) => {
      const answer = await asker(server)("POST /api/keep", { json: { id: "a" } });
      assert.deepEqual([answer.status, answer.body.error?.code], [401, "UNAUTHORIZED"]);
    },
    {},
    { ...app, tables: [{ ...NOTES, rows: "owner" }] },
  );
});

Deno.test("accounts from an app's own code", SANITIZE, async (t) => {
  await withNotes(
    async (server) => {
      const ask = asker(server);
      const email = "ada@example.com";
      const password = "correct horse battery";
      const post = async (name: string, json: unknown, token?: string) =>
        await ask(`POST /api/${name}`, {
          json,
          ...(token === undefined ? {} : { token: `Bearer ${token}` }),
        });
      const codeOf = async (name: string, json: unknown, token?: string) =>
        (await post(name, json, token)).body.error?.code;
      let owner = "";

      await t.step("a guest gets a new account, a visitor keeps the id", async () => {
        const made = await post("register", { email, password });
        const session = made.body.session as { owner: string; access: string };
        assert.equal(made.body.status, "registered");
        owner = session.owner;
        const me = await ask("GET /api/account", { token: `Bearer ${session.access}` });
        assert.deepEqual([me.body.owner, me.body.email, me.body.anonymous], [owner, email, false]);
        assert.equal((await ask("GET /api/account")).status, 401);
        const visitor = await server.visitor();
        const linked = await post("register", { email: "b@b.bb", password }, visitor.access);
        assert.equal((linked.body.session as { owner: string }).owner, visitor.owner);
      });

      await t.step("rules, taken addresses and wrong passwords are those of /auth", async () => {
        assert.equal(await codeOf("register", { email, password }), "UNIQUE_VIOLATION");
        assert.equal(
          await codeOf("register", { email: "c@c.cc", password: "password123" }),
          "VALIDATION",
        );
        assert.equal(await codeOf("login", { email, password: "wrong" }), "UNAUTHORIZED");
        assert.equal(await codeOf("login", { email: "no@no.no", password }), "UNAUTHORIZED");
        assert.equal((await post("login", { email, password })).body.owner, owner);
      });

      await t.step("address and password change together; other sign-ins end", async () => {
        const [mine, other] = [
          (await post("login", { email, password })).body.access as string,
          (await post("login", { email, password })).body.access as string,
        ];
        const next = "another horse battery";
        assert.equal(
          await codeOf("change", { email: "b@b.bb", password: "" }, mine),
          "UNIQUE_VIOLATION",
        );
        assert.equal(await codeOf("change", { email: "", password: "short" }, mine), "VALIDATION");
        const changed = await post("change", { email: "ada@new.example", password: next }, mine);
        assert.deepEqual([changed.status, changed.body.owner], [200, owner]);
        assert.equal(await codeOf("login", { email, password }), "UNAUTHORIZED");
        assert.equal(
          (await post("login", { email: "ada@new.example", password: next })).status,
          200,
        );
        const account = (token: string) => ask("GET /api/account", { token: `Bearer ${token}` });
        assert.equal((await account(mine)).body.email, "ada@new.example");
        assert.equal((await account(other)).body.error?.code, "SESSION_REVOKED");
        // The address is free again.
        assert.equal((await post("register", { email, password })).status, 200);
      });

      await t.step("who has no account or only reads changes nothing", async () => {
        const { access } = await server.visitor();
        assert.equal(await codeOf("change", { email: "d@d.dd", password: "" }), "UNAUTHORIZED");
        assert.equal(
          await codeOf("change", { email: "d@d.dd", password: "" }, access),
          "FORBIDDEN",
        );
        const reading = await ask("POST /rpc/changeReading", {
          json: [],
          token: `Bearer ${access}`,
        });
        assert.equal(reading.body.error?.code, "INTERNAL");
      });
    },
    {},
    notesApp(SPECS),
  );
});

Deno.test("an app gives its plain HTTP a form of its own", SANITIZE, async (t) => {
  const seen: string[] = [];
  const http: HttpOptions = {
    scheme: "Token",
    unknown: "ignore",
    error({ code, status, route, requestId, message }) {
      seen.push(`${route} ${code} ${message}`);
      assert.match(requestId, /^[0-9a-f-]{36}$/);
      if (code === "METHOD_NOT_ALLOWED") throw new Error("a mistake of the app's");
      return { status: status === 400 ? 422 : status, body: { errors: [code] } };
    },
  };
  await withNotes(
    async (server) => {
      const ask = asker(server);
      const { access } = await server.visitor();

      await t.step("tokens come under its scheme, and under Bearer", async () => {
        for (const scheme of ["Token", "token", "Bearer"]) {
          assert.equal(
            (await ask("GET /api/strict", { token: `${scheme} ${access}` })).status,
            200,
          );
        }
        const refused = await ask("GET /api/strict", { token: `Basic ${access}` });
        assert.equal(refused.status, 401);
        assert.equal(refused.headers.get("www-authenticate"), "Token");
      });

      await t.step("its errors have its form, the framework's own included", async () => {
        const body = async (address: string, json?: unknown) => {
          const { status, body } = await ask(address, json === undefined ? {} : { json });
          return [status, body];
        };
        assert.deepEqual(await body("GET /api/strict"), [401, { errors: ["UNAUTHORIZED"] }]);
        assert.deepEqual(await body("POST /api/keep", []), [422, { errors: ["BAD_REQUEST"] }]);
        assert.deepEqual(await body("POST /api/keep", {}), [422, { errors: ["VALIDATION"] }]);
        assert.deepEqual(await body("GET /api/crash"), [500, { errors: ["INTERNAL"] }]);
        assert.ok(!seen.join().includes("postgres:"), "server internals stay inside");
        assert.ok(seen.some((one) => one.startsWith("crash INTERNAL")));
        const rpc = await ask("POST /rpc/keep", { json: [1] });
        assert.deepEqual([rpc.status, rpc.body.error?.code], [400, "VALIDATION"]);
      });

      await t.step(
        "a mistake in it leaves the framework's answer, and a line in the log",
        async () => {
          const wrong = await ask("POST /api/strict", { json: {} });
          assert.deepEqual([wrong.status, wrong.body.error?.code], [405, "METHOD_NOT_ALLOWED"]);
          assert.equal(wrong.headers.get("allow"), "GET, HEAD, OPTIONS");
          assert.ok(server.log.some((line) => line.includes("http_error_failed")));
        },
      );

      await t.step("what a function has no place for is passed over", async () => {
        assert.equal((await ask("GET /api/maybe?more=1")).status, 200);
        const kept = await ask("POST /api/keep", { json: { id: "a", more: 1 } });
        assert.deepEqual(kept.body, { id: "a", text: "", author: "_guest" });
      });
    },
    { http },
    notesApp(SPECS),
  );
});

Deno.test("options of plain HTTP that mean nothing are a configuration error", () => {
  const wrong: readonly unknown[] = [
    ...[null, 1, { scheme: "" }, { scheme: "a b" }, { unknown: "maybe" }, { error: {} }],
  ];
  for (const one of wrong) {
    assert.throws(() => checkHttpOptions(one as HttpOptions), { code: "CONFIG" });
  }
  assert.deepEqual(checkHttpOptions({ scheme: "Token" }), { scheme: "Token" });
});
