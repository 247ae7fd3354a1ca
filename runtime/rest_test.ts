/**
 * Plain REST addresses of a gateway: matching, arguments, methods. What a built app does with them, against its
 * OpenAPI document: `tests/e2e/rest_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { HttpArgument, HttpBinding } from "../_internal/http_route.ts";
import type { Table } from "../storage/types.ts";
import { ctx, env } from "./env.ts";
import { RestRouter } from "./rest_router.ts";
import { HttpResp } from "./response.ts";
import { type Note, notesApp, type Spec } from "./testing/notes_app.ts";
import { type NotesServer, withNotes } from "./testing/notes_server.ts";

const SANITIZE = { sanitizeOps: false, sanitizeResources: false };

const argument = (
  name: string,
  from: HttpArgument["from"],
  more: Partial<HttpArgument> = {},
): HttpArgument => ({ name, from, text: "string", list: false, ...more });

const at = (
  address: string,
  args: readonly HttpArgument[] = [],
  empty = false,
): HttpBinding => {
  const [method = "", path = ""] = address.split(" ");
  return { method, path, arguments: args, empty };
};

const slug = argument("slug", "path");
const notes = (): Table<Note> => (env.storage as unknown as { notes: Table<Note> }).notes;
const said = (...args: unknown[]): unknown => args;

const SPECS: Readonly<Record<string, Spec>> = {
  article: { types: ["string"], body: said, http: at("GET /api/articles/{slug}", [slug]) },
  feed: { types: [], body: () => "feed", http: at("GET /api/articles/feed") },
  remove: {
    types: ["string"],
    body: () => undefined,
    http: at("DELETE /api/articles/{slug}", [slug], true),
  },
  list: {
    types: ["string", "number"],
    body: said,
    http: at("GET /api/articles", [
      argument("tag", "query", { absent: "all" }),
      argument("limit", "query", { text: "number", absent: 20 }),
    ]),
  },
  create: {
    types: ["string", "string"],
    body: async (title: string, text: string) => {
      await notes().set(title, { id: title, text, author: ctx.owner });
      return HttpResp.created(said(title, text));
    },
    http: at("POST /api/articles", [
      argument("title", "body"),
      argument("text", "body", { absent: "" }),
    ]),
  },
  note: {
    types: ["string"],
    body: said,
    http: at("PUT /api/note", [argument("note", "whole", { absent: "none" })]),
  },
  count: {
    types: ["number"],
    stream: true,
    body: async function* (n: number) {
      for (let i = 1; i <= n; i++) yield i;
    },
    http: at("GET /api/counts/{n}", [argument("n", "path", { text: "number" })]),
  },
};

/** Sends one request as a visitor and reads its answer. */
async function asker({ send, visitor }: NotesServer) {
  const { access } = await visitor();
  return async (address: string, body?: string, headers: Record<string, string> = {}) => {
    const [method = "", path = ""] = address.split(" ");
    const response = await send(path, {
      method,
      headers: { authorization: `Bearer ${access}`, ...headers },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text };
  };
}

Deno.test("plain REST of a gateway", SANITIZE, async (t) => {
  await withNotes(
    async (notes) => {
      const ask = await asker(notes);
      const judge = async (
        cases: readonly (readonly [
          address: string,
          body: string | undefined,
          status: number,
          text: string,
        ])[],
      ): Promise<void> => {
        for (const [address, body, status, text] of cases) {
          const answer = await ask(address, body);
          const code = status < 400 ? answer.text : JSON.parse(answer.text).error.code;
          assert.deepEqual([answer.status, code], [status, text], `${address} ${body ?? ""}`);
        }
      };

      await t.step(
        "arguments come from the path, the query and the body, with their defaults",
        () =>
          judge([
            ["GET /api/articles/feed", undefined, 200, '"feed"'],
            ["GET /api/articles/a%2Fb%20%C3%BC", undefined, 200, '["a/b ü"]'],
            ["DELETE /api/articles/feed", undefined, 204, ""],
            ["GET /api/articles", undefined, 200, '["all",20]'],
            ["GET /api/articles?limit=1e1&tag=x", undefined, 200, '["x",10]'],
            ["POST /api/articles", '{"title":"t"}', 201, '["t",""]'],
            ["PUT /api/note", '"n"', 200, '["n"]'],
            ["PUT /api/note", undefined, 200, '["none"]'],
          ]),
      );

      await t.step("what has no parameter, is said twice or does not fit is refused", () =>
        judge([
          ["GET /api/articles?lmit=1", undefined, 400, "VALIDATION"],
          ["GET /api/articles?limit=1&limit=2", undefined, 400, "VALIDATION"],
          ["GET /api/articles?limit=ten", undefined, 400, "VALIDATION"],
          ["GET /api/articles?limit=", undefined, 400, "VALIDATION"],
          ["GET /api/articles/%ff", undefined, 400, "BAD_REQUEST"],
          ["POST /api/articles", undefined, 400, "VALIDATION"],
          ["POST /api/articles", "{", 400, "BAD_REQUEST"],
          ["POST /api/articles", "null", 400, "BAD_REQUEST"],
          ["POST /api/articles", '["t"]', 400, "BAD_REQUEST"],
          ["POST /api/articles", '{"title":"t","text":1}', 400, "VALIDATION"],
          ["POST /api/articles", '{"title":"t","extra":1}', 400, "VALIDATION"],
          ["POST /api/articles", '{"__proto__":{"title":"t"}}', 400, "VALIDATION"],
          ["PUT /api/note", "1", 400, "VALIDATION"],
        ]));

      await t.step(
        "a refusal names the parameter as the request has it, and its place",
        async () => {
          const data = async (address: string, body?: string): Promise<unknown> =>
            JSON.parse((await ask(address, body)).text).error.data;
          assert.deepEqual(await data("GET /api/articles?limit=ten"), {
            ...{ path: "limit", expected: "a number", found: "string", in: "query" },
          });
          assert.deepEqual(await data("POST /api/articles", '{"title":1}'), {
            ...{ path: "title", expected: "a string", found: "number", in: "body" },
          });
          assert.deepEqual(await data("PUT /api/note", "1"), {
            ...{ path: "body", expected: "a string", found: "number", in: "body" },
          });
        },
      );

      await t.step("HEAD, OPTIONS and other methods are answered by the path", async () => {
        const allow = "DELETE, GET, HEAD, OPTIONS";
        const head = await ask("HEAD /api/articles/x");
        assert.deepEqual([head.status, head.text], [200, ""]);
        const options = await ask("OPTIONS /api/articles/x");
        assert.deepEqual([options.status, options.headers.get("allow")], [204, allow]);
        const wrong = await ask("PATCH /api/articles/x", "{}");
        assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, allow]);
        for (const path of ["/api", "/api/articles/", "/api//articles", "/api/articles/x/y"]) {
          assert.equal((await ask(`GET ${path}`)).status, 404, path);
        }
      });

      await t.step(
        "a repeat with its key is answered, at another address it is refused",
        async () => {
          const headers = { "idempotency-key": "k1" };
          const made = await ask("POST /api/articles", '{"title":"t"}', headers);
          const again = await ask("POST /api/articles", '{"title":"t"}', headers);
          assert.deepEqual([made.status, again.status, again.text], [201, 201, made.text]);
          assert.equal(again.headers.get("idempotency-replayed"), "true");
          const other = await ask("POST /api/articles", '{"title":"u"}', headers);
          assert.equal(JSON.parse(other.text).error.code, "REPLAY");
        },
      );

      await t.step("a stream answers lines of JSON", async () => {
        const { text } = await ask("GET /api/counts/2");
        const lines = text.trim().split("\n").map((line) => JSON.parse(line));
        assert.deepEqual(lines, [{ element: 1 }, { element: 2 }, { end: true }]);
      });
    },
    {},
    notesApp(SPECS),
  );
});

Deno.test("an address that the compiler would refuse is a configuration error", () => {
  const { routes } = notesApp(SPECS);
  const withAddress = (address: string) => [...routes, { ...routes[0]!, http: at(address) }];
  for (
    const address of ["GET api", "GET /", "GET /{all}", "GET /auth/x", "GET /a//b", "GET /a{b}"]
  ) {
    assert.throws(() => new RestRouter(withAddress(address)), { code: "CONFIG" }, address);
  }
  assert.throws(() => new RestRouter(withAddress("GET /api/articles/{other}")), {
    code: "CONFIG",
    message: /is the address of two functions/,
  });
});
