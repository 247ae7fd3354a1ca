/**
 * Plain REST beyond JSON and sessions, in a built app on both hosts: bytes as bodies both ways, guests, sign-in from
 * the app's own code, and failures in the app's own form.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { HOST_NAMES } from "../../cli/dev/host.ts";
import { TemporaryApp } from "../../cli/testing/temporary_app.ts";

const FILES: Readonly<Record<string, string>> = {
  "src/server.ts": `import { defineServer } from "@kontract/kontract";
export default defineServer({
  auth: { allowWeakPasswords: true },
  http: {
    scheme: "Token",
    unknown: "ignore",
    error: ({ status, code, route }) => ({ status, body: { failed: code, route } }),
  },
});
`,
  "src/app.ts":
    `import { backend, ctx, env, HttpResp, UnauthorizedError } from "@kontract/kontract";
export interface Told { guest: boolean; owner: string }
export const who = backend(
  { readOnly: true, session: "optional", http: { method: "GET", path: "/api/who" } },
  (): Promise<Told> => Promise.resolve({ guest: ctx.isGuest, owner: ctx.owner }),
);
export const join = backend(
  { session: "none", http: { method: "POST", path: "/api/join" } },
  async (email: string, password: string): Promise<{ token: string }> => {
    const { session } = await env.auth.register({ email, password });
    return HttpResp.created({ token: session?.access ?? "" });
  },
);
/** Takes a webhook: signed are the very bytes. */
export const hook = backend(
  { session: "none", http: { method: "POST", path: "/api/hook", body: "payload" } },
  async (payload: Uint8Array): Promise<number> => {
    const name = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", new TextEncoder().encode("key"), name, false, ["sign"]);
    const mac = await crypto.subtle.sign("HMAC", key, new Uint8Array(payload));
    const hex = [...new Uint8Array(mac)].map((one) => one.toString(16).padStart(2, "0")).join("");
    if (ctx.header("x-signature") !== hex) throw new UnauthorizedError();
    return payload.length;
  },
);
export const echo = backend(
  { http: { method: "PUT", path: "/api/echo", body: "file" } },
  async (file: Blob): Promise<Blob> => {
    await env.storage.notes.set("echo", { text: String(file.size) });
    return file;
  },
);
export const picture = backend(
  { readOnly: true, session: "none", http: { method: "GET", path: "/api/picture" } },
  (): Promise<File> =>
    Promise.resolve(new File([Uint8Array.of(1, 2, 255)], "a.png", { type: "image/png" })),
);
export const bytes = backend(
  { readOnly: true, session: "none", http: { method: "GET", path: "/api/bytes" } },
  (kind: string): Promise<Uint8Array | null> => {
    if (kind === "none") return Promise.resolve(null);
    const made = new TextEncoder().encode("a,b\\n");
    if (kind === "plain") return Promise.resolve(made);
    const headers = { "cache-control": "max-age=60", "content-security-policy": "default-src 'self'" };
    return Promise.resolve(HttpResp.created(made, { type: kind, headers }));
  },
);
export const pieces = backend(
  { readOnly: true, session: "none", timeout: 60_000, http: { method: "GET", path: "/api/pieces" } },
  (count: number, fail: boolean = false): ReadableStream<Uint8Array> => {
    let left = count;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (left-- > 0) return controller.enqueue(new Uint8Array(50_000).fill(7));
        if (fail) throw new Error("postgres://secret");
        controller.close();
      },
    });
    return HttpResp.ok(body, { type: "video/mp4", headers: { "x-kind": "pieces" } });
  },
);
`,
};

for (const host of HOST_NAMES) {
  Deno.test(
    `plain REST beyond JSON and sessions on ${host}`,
    { sanitizeOps: false, sanitizeResources: false, ignore: Deno.build.os === "windows" },
    async (t) => {
      await using app = await TemporaryApp.create([], FILES);
      const child = app.spawn("start", { host });
      const { url } = await app.info(child);
      const get = (path: string, init: RequestInit = {}): Promise<Response> =>
        fetch(`${url}/api/${path}`, init);
      const bodyOf = async (response: Response): Promise<number[]> => [
        ...new Uint8Array(await response.arrayBuffer()),
      ];
      const join_ = await get("join", {
        method: "POST",
        body: JSON.stringify({ email: "a@b.cc", password: "password123", more: 1 }),
      });
      const { token } = await join_.json();
      const headers = { authorization: `Token ${token}` };

      await t.step("guests are let in, people are known, and bad tokens are neither", async () => {
        assert.equal(join_.status, 201);
        assert.deepEqual(await (await get("who")).json(), { guest: true, owner: "_guest" });
        const { guest, owner } = await (await get("who", { headers })).json();
        assert.deepEqual([guest, owner.length], [false, 36]);
        const refused = await get("who", { headers: { authorization: "Token abc" } });
        assert.equal(refused.headers.get("www-authenticate"), "Token");
        assert.deepEqual([refused.status, await refused.json()], [401, {
          ...{ failed: "UNAUTHORIZED", route: "who" },
        }]);
        const wrong = await get("join", { method: "POST", body: "{" });
        assert.deepEqual(await wrong.json(), { failed: "BAD_REQUEST", route: "join" });
      });

      await t.step("failures before any function have the app's form, too", async () => {
        const foreign = { origin: "https://elsewhere.example" };
        for (
          const [path, init, status, failed] of [
            ["none", {}, 404, "NOT_FOUND"],
            ["who/", { method: "DELETE" }, 404, "NOT_FOUND"],
            ["who", { method: "PUT" }, 405, "METHOD_NOT_ALLOWED"],
            ["who", { headers: foreign }, 403, "FORBIDDEN"],
            ["none", { headers: foreign }, 403, "FORBIDDEN"],
          ] as const
        ) {
          const answer = await get(path, init);
          const said = [answer.status, await answer.json()];
          assert.deepEqual(said, [status, { failed, route: null }], path);
        }
        const beside = await fetch(`${url}/rpc/none`, { method: "POST" });
        assert.equal((await beside.json()).error.code, "ROUTE_NOT_FOUND");
      });

      await t.step("a webhook's signature is checked over the very bytes that came", async () => {
        const body = new TextEncoder().encode('{ "a" : 1 }\r\n\u00ff');
        const sign = createHmac("sha256", "key").update(body).digest("hex");
        const post = (payload: Uint8Array<ArrayBuffer>, signature: string) =>
          get("hook", { method: "POST", body: payload, headers: { "x-signature": signature } });
        const taken = await post(body, sign);
        assert.deepEqual([taken.status, await taken.json()], [200, body.length]);
        assert.equal((await post(body.slice(1), sign)).status, 401);
        const none = await get("hook", { method: "POST" });
        assert.equal(none.status, 401);
      });

      await t.step("a file goes both ways as it is, with its type", async () => {
        const sent = { method: "PUT", body: Uint8Array.of(0, 255, 10) };
        const echoed = await get("echo", {
          ...sent,
          headers: { ...headers, "content-type": "a/b" },
        });
        assert.deepEqual([echoed.status, echoed.headers.get("content-type")], [200, "a/b"]);
        assert.deepEqual(await bodyOf(echoed), [0, 255, 10]);
        const picture = await get("picture");
        assert.equal(picture.headers.get("content-type"), "image/png");
        assert.equal(picture.headers.get("x-content-type-options"), "nosniff");
        assert.equal(picture.headers.get("content-security-policy"), "default-src 'none'; sandbox");
        assert.equal(picture.headers.get("cache-control"), "no-store");
        assert.deepEqual(await bodyOf(picture), [1, 2, 255]);
        const head = await get("picture", { method: "HEAD" });
        assert.deepEqual([head.status, await bodyOf(head)], [200, []]);
      });

      await t.step("a repeat with its key gets the same bytes", async () => {
        const keyed = { ...headers, "idempotency-key": "k1", "content-type": "text/plain" };
        const put = () => get("echo", { method: "PUT", body: "once", headers: keyed });
        const [first, again] = [await put(), await put()];
        assert.equal(again.headers.get("idempotency-replayed"), "true");
        assert.equal(again.headers.get("content-type"), first.headers.get("content-type"));
        assert.deepEqual(await bodyOf(again), await bodyOf(first));
      });

      await t.step(
        "bytes have the type and headers that the function says, or are just bytes",
        async () => {
          const plain = await get("bytes?kind=plain");
          assert.equal(plain.headers.get("content-type"), "application/octet-stream");
          assert.equal(await plain.text(), "a,b\n");
          const csv = await get(`bytes?kind=${encodeURIComponent("text/csv; charset=utf-8")}`);
          assert.deepEqual([csv.status, csv.headers.get("content-type"), await csv.text()], [
            ...[201, "text/csv; charset=utf-8", "a,b\n"],
          ]);
          assert.equal(csv.headers.get("cache-control"), "max-age=60");
          assert.equal(csv.headers.get("content-security-policy"), "default-src 'self'");
          const none = await get("bytes?kind=none");
          assert.deepEqual([none.status, await none.text()], [204, ""]);
          const split = await get(`bytes?kind=${encodeURIComponent("text/a\r\nx: y")}`);
          assert.deepEqual(await split.json(), { failed: "VALIDATION", route: "bytes" });
          const rpc = await fetch(`${url}/rpc/bytes`, { method: "POST", body: '["plain"]' });
          assert.deepEqual(await rpc.json(), { result: "YSxiCg==" });
        },
      );

      await t.step("a stream of bytes is the body, and one that fails is broken off", async () => {
        const whole = await get("pieces?count=40");
        assert.deepEqual([whole.headers.get("content-type"), whole.headers.get("x-kind")], [
          ...["video/mp4", "pieces"],
        ]);
        const body = await bodyOf(whole);
        assert.deepEqual([body.length, body.every((one) => one === 7)], [2_000_000, true]);
        const broken = await get("pieces?count=2&fail=true");
        const read = broken.arrayBuffer().then(() => "ended", () => "broken off");
        // workerd ends a body that fails like any other on the socket that `start` has to it.
        assert.equal(await read, host === "deno" ? "broken off" : "ended");
        const head = await get("pieces?count=1000000", { method: "HEAD" });
        assert.deepEqual([head.status, await bodyOf(head)], [200, []]);
      });

      child.kill("SIGTERM");
      await child.status;
      await app.quiet();
    },
  );
}
