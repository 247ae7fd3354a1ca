/**
 * Plain REST in a built app: a RealWorld-shaped API over real storage, its answers judged by its own
 * OpenAPI document.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import { startTestApp } from "../../cli/test_app.ts";
import { build, formatDiagnostics } from "../../compiler/mod.ts";
import { makeApp } from "../../compiler/testing/app.ts";
import { CONDUIT } from "../../compiler/testing/conduit.ts";

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

const PAGE = "https://pages.example";

Deno.test("plain REST routes", { sanitizeOps: false, sanitizeResources: false }, async (t) => {
  await using app = await makeApp(CONDUIT, "conduit");
  const built = await build({ root: app.root, hosts: ["deno"] });
  assert.equal(formatDiagnostics(built.diagnostics), "");
  await using running = await startTestApp({
    folder: app.root,
    env: { KONTRACT_ORIGINS: PAGE },
  });
  const send = async (
    method: string,
    path: string,
    { json, headers = {} }: { json?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> => {
    const response = await fetch(running.url + path, {
      method,
      headers,
      ...(json === undefined
        ? {}
        : { body: typeof json === "string" ? json : JSON.stringify(json) }),
    });
    const { status } = response;
    return { status, headers: response.headers, text: await response.text() };
  };
  const signedIn = await send("POST", "/auth/anonymous");
  const as = { authorization: `Bearer ${JSON.parse(signedIn.text).access}` };
  const call = (method: string, path: string, json?: unknown) =>
    send(method, path, { headers: as, ...(json === undefined ? {} : { json }) });
  const article = { title: "On Paths", body: "Long.", tagList: ["http"] };

  await t.step("a POST with a body by name creates, with its own status and header", async () => {
    const made = await call("POST", "/api/articles", { article });
    assert.equal(made.status, 201, made.text);
    assert.equal(made.headers.get("location"), "/api/articles/on-paths");
    assert.equal(made.headers.get("cache-control"), "no-store");
    assert.deepEqual(JSON.parse(made.text), {
      article: { slug: "on-paths", createdAt: "1970-01-01T00:00:00.000Z", ...article },
    });
  });

  await t.step("a literal segment wins over a parameter, and parameters are decoded", async () => {
    assert.equal(
      (await call("POST", "/api/articles", { article: { title: "feed", body: "" } })).status,
      201,
    );
    const feed = JSON.parse((await call("GET", "/api/articles/feed")).text);
    assert.deepEqual(Object.keys(feed).sort(), ["articles", "articlesCount"]);
    const odd = { title: "a/b %?ü", body: "" };
    assert.equal((await call("POST", "/api/articles", { article: odd })).status, 201);
    const found = await call("GET", `/api/articles/${encodeURIComponent("a/b-%?ü")}`);
    assert.equal(JSON.parse(found.text).article.title, odd.title);
    // DELETE is known for the parameter only, and 'feed' is a value of it.
    const gone = await call("DELETE", "/api/articles/feed");
    assert.deepEqual([gone.status, gone.text], [204, ""]);
  });

  await t.step("query parameters filter, have defaults, and are checked", async () => {
    const list = async (query: string) =>
      JSON.parse((await call("GET", `/api/articles${query}`)).text);
    assert.equal((await list("?tag=http")).articlesCount, 1);
    assert.equal((await list("?tag=none")).articlesCount, 0);
    assert.equal((await list("?limit=1")).articles.length, 1);
    assert.equal((await list("?offset=1&limit=20")).articles.length, 1);
    for (
      const [query, path] of [
        ["?limit=ten", "limit"],
        ["?limit=1.5", "limit"],
        ["?limit=", "limit"],
        ["?limit=1&limit=2", "limit"],
        ["?lmit=1", "lmit"],
      ] as const
    ) {
      const { status, text } = await call("GET", `/api/articles${query}`);
      const { error } = JSON.parse(text);
      assert.deepEqual([status, error.code, error.data.path, error.data.in], [
        400,
        "VALIDATION",
        path,
        "query",
      ], query);
    }
  });

  await t.step("dates, bigints, lists, booleans and literals are read from texts", async () => {
    const read = async (path: string) => JSON.parse(JSON.parse((await call("GET", path)).text));
    assert.deepEqual(await read("/api/forms/2020-01-02"), [1577923200000, [], null, "asc", null]);
    assert.deepEqual(
      await read(
        "/api/forms/2020-01-02?ids=1&ids=-20000000000000000001&exact=false&sort=desc&level=2",
      ),
      [1577923200000, ["1", "-20000000000000000001"], false, "desc", 2],
    );
    for (const bad of ["x", "2020-01-02?exact=1", "2020-01-02?sort=up", "2020-01-02?level=3"]) {
      assert.equal((await call("GET", `/api/forms/${bad}`)).status, 400, bad);
    }
  });

  await t.step(
    "a whole body, optional and null values of a body arrive as they were said",
    async () => {
      const change = { bio: null, image: "i" };
      const patched = await call("PATCH", "/api/forms/monday?dryRun=false", change);
      assert.deepEqual(JSON.parse(patched.text), { ...change, email: "monday" });
      assert.equal((await call("PATCH", "/api/forms/monday?dryRun=true", {})).text, "{}");
      const values = async (json: unknown) =>
        JSON.parse((await call("POST", "/api/values", json)).text);
      assert.equal(await values({ a: null }), `null,-,-,["d"]`);
      assert.equal(await values({ a: "x", b: null, c: "c", d: [] }), `"x",null,"c",[]`);
    },
  );

  await t.step("a wrong body is refused by name and place", async () => {
    const cases: readonly [unknown, string, string][] = [
      [{ article: { title: 1, body: "" } }, "VALIDATION", "article.title"],
      [{ article: { title: "x" } }, "VALIDATION", "article.body"],
      [{}, "VALIDATION", "article"],
      [{ article, extra: 1 }, "VALIDATION", "extra"],
      [{ article: { ...article, extra: 1 } }, "VALIDATION", "article.extra"],
      ["[1]", "BAD_REQUEST", ""],
      ["{", "BAD_REQUEST", ""],
      ["null", "BAD_REQUEST", ""],
      [`{"__proto__":{"x":1},"article":{}}`, "VALIDATION", "__proto__"],
    ];
    for (const [json, code, path] of cases) {
      const { status, text } = await call("POST", "/api/articles", json);
      const { error } = JSON.parse(text);
      assert.deepEqual([status, error.code, error.data?.path ?? ""], [400, code, path], text);
    }
    const whole = JSON.parse((await call("PATCH", "/api/forms/monday", { bio: 1 })).text).error;
    assert.deepEqual(whole.data, {
      ...{ path: "bio", expected: "a string", found: "number", in: "body" },
    });
    assert.equal((await call("GET", "/api/articles/%ff")).status, 400);
  });

  await t.step("an app's own error and Kontract's have their statuses", async () => {
    const taken = await call("POST", "/api/articles", { article });
    assert.equal(taken.status, 409);
    assert.deepEqual(JSON.parse(taken.text).error.data, { slug: "on-paths" });
    assert.equal((await call("GET", "/api/articles/none")).status, 404);
    assert.equal((await send("GET", "/api/articles")).status, 401);
    assert.equal((await call("DELETE", "/api/articles/on-paths/comments/one")).status, 400);
  });

  await t.step("HEAD, OPTIONS and unknown methods are answered by the path", async () => {
    const head = await call("HEAD", "/api/articles/on-paths");
    assert.deepEqual([head.status, head.text], [200, ""]);
    assert.match(head.headers.get("content-type") ?? "", /json/);
    const allow = "DELETE, GET, HEAD, OPTIONS, PUT";
    const options = await send("OPTIONS", "/api/articles/on-paths");
    assert.deepEqual([options.status, options.headers.get("allow")], [204, allow]);
    const wrong = await send("POST", "/api/articles/on-paths", { json: {} });
    assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, allow]);
    assert.equal((await send("GET", "/rpc/article")).headers.get("allow"), "POST");
    for (
      const path of [
        "/api",
        "/api/articles/",
        "/api//articles",
        "/API/articles",
        "/api/articles/x/y",
      ]
    ) {
      assert.equal((await call("POST", path)).status, 404, path);
    }
  });

  await t.step("a listed page may use every method, another page none", async () => {
    const preflight = await send("OPTIONS", "/api/articles/on-paths", {
      headers: { origin: PAGE, "access-control-request-method": "PUT" },
    });
    assert.equal(preflight.status, 204);
    assert.match(
      preflight.headers.get("access-control-allow-methods") ?? "",
      /\bPUT\b.*|\bDELETE\b/,
    );
    assert.equal(preflight.headers.get("access-control-allow-origin"), PAGE);
    const foreign = await send("GET", "/api/tags", {
      headers: { ...as, origin: "https://evil.example" },
    });
    assert.equal(foreign.status, 403);
  });

  await t.step(
    "cookies count for the app's own pages, and not for a form on another site",
    async () => {
      const opened = await send("POST", "/auth/anonymous", {
        headers: { "kontract-session": "cookie", origin: running.url },
      });
      const cookie = opened.headers.getSetCookie().map((one) => one.split(";")[0]).join("; ");
      const own = { cookie, "sec-fetch-site": "same-origin" };
      assert.equal((await send("GET", "/api/tags", { headers: own })).status, 200);
      const forgeries: readonly Record<string, string>[] = [
        { cookie },
        { cookie, "sec-fetch-site": "cross-site" },
      ];
      for (const headers of forgeries) {
        const forged = await send("DELETE", "/api/articles/on-paths", { headers });
        assert.equal(forged.status, 403);
      }
    },
  );

  await t.step(
    "Idempotency-Key: a repeat is answered, another body or address is refused",
    async () => {
      const keyed = { ...as, "idempotency-key": "k1" };
      const first = { json: { article: { title: "Once", body: "" } }, headers: keyed };
      const made = await send("POST", "/api/articles", first);
      const again = await send("POST", "/api/articles", first);
      assert.deepEqual([made.status, again.status, again.text], [201, 201, made.text]);
      assert.equal(again.headers.get("idempotency-replayed"), "true");
      const other = await send("POST", "/api/articles", { json: { article }, headers: keyed });
      assert.equal(JSON.parse(other.text).error.code, "REPLAY");
      const change = {
        json: { article: { body: "b" } },
        headers: { ...as, "idempotency-key": "k2" },
      };
      assert.equal((await send("PUT", "/api/articles/once", change)).status, 200);
      assert.equal((await send("PUT", "/api/articles/on-paths", change)).status, 409);
    },
  );

  await t.step("a stream answers lines of JSON", async () => {
    const { headers, text } = await call("GET", "/api/counts/3");
    assert.match(headers.get("content-type") ?? "", /x-ndjson/);
    assert.deepEqual(text.trim().split("\n").map((one) => JSON.parse(one)), [
      { element: 1 },
      { element: 2 },
      { element: 3 },
      { end: true },
    ]);
  });

  await t.step("answers are what the OpenAPI document says", async () => {
    const document = JSON.parse(await app.read("dist/openapi.json"));
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema({ $id: "app:/", ...document });
    const judge = (pointer: string, value: unknown): void => {
      const validate = ajv.compile({ $ref: `app:/#/${pointer}` });
      assert.ok(validate(value), `${pointer}: ${JSON.stringify(validate.errors)}`);
    };
    const schema = (path: string, method: string, status: string): string =>
      `paths/${
        path.replaceAll("/", "~1")
      }/${method}/responses/${status}/content/application~1json/schema`
        .replaceAll("{", "%7B").replaceAll("}", "%7D");
    const get = async (path: string) => JSON.parse((await call("GET", path)).text);
    judge(schema("/api/articles", "get", "2XX"), await get("/api/articles"));
    judge(schema("/api/articles/{slug}", "get", "2XX"), await get("/api/articles/on-paths"));
    judge(schema("/api/tags", "get", "2XX"), await get("/api/tags"));
    judge(
      "components/responses/Error/content/application~1json/schema",
      await get("/api/articles/none"),
    );
    const again = await call("POST", "/api/articles", { article });
    judge(schema("/api/articles", "post", "409"), JSON.parse(again.text));
    assert.throws(() => judge(schema("/api/tags", "get", "2XX"), { tags: [1] }));
  });
});
