/**
 * Cookie mode in a real browser: a page without any token, and the platform's own EventSource.
 *
 * @module
 */
import assert from "node:assert/strict";
import { withNotes } from "../../runtime/testing/notes_server.ts";
import { findChromium, launchChromium } from "./chromium.ts";

const chromium = findChromium();
if (chromium === null) {
  console.warn("SKIPPED: the browser tests need Chromium (Debian: apt-get install chromium).");
}

Deno.test({
  name: "a page in cookie mode signs in, calls and follows with a plain EventSource",
  ignore: chromium === null,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const folder = await Deno.makeTempDir();
    await Deno.writeTextFile(`${folder}/index.html`, "<!doctype html><title>notes</title>");
    await withNotes(async ({ server }) => {
      const http = Deno.serve(
        { port: 0, hostname: "127.0.0.1", onListen: () => {} },
        (request, info) => server.fetch(request, info),
      );
      const browser = await launchChromium(chromium!);
      try {
        const context = await browser.newContext();
        context.setDefaultTimeout(20_000);
        const page = await context.newPage();
        await page.goto(`http://localhost:${http.addr.port}/`);
        const seen = await page.evaluate(async () => {
          const post = async (path: string, body: unknown, headers = {}) =>
            await (await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }))
              .json();
          const session = await post("/auth/anonymous", null, { "kontract-session": "cookie" });
          const source = new EventSource("/events?source=notes");
          await new Promise((resolve) => source.addEventListener("ready", resolve));
          const inserted = new Promise<string>((resolve) =>
            source.addEventListener("insert", (event) => resolve((event as MessageEvent).data))
          );
          await post("/rpc/add", ["b1", "from a page"]);
          const event = JSON.parse(await inserted);
          source.close();
          const me = await (await fetch("/auth/me")).json();
          return { session, event, me, cookies: document.cookie, stored: localStorage.length };
        });
        assert.deepEqual(Object.keys(seen.session).sort(), ["anonymous", "expiresAt", "owner"]);
        assert.deepEqual(seen.event.data, {
          id: "b1",
          text: "from a page",
          author: seen.session.owner,
        });
        assert.equal(seen.me.owner, seen.session.owner);
        assert.deepEqual([seen.cookies, seen.stored], ["", 0], "no script can read a token");
        // Another origin of the same site: its page cannot use the cookies.
        await page.goto(`http://127.0.0.1:${http.addr.port}/`);
        const foreign = await page.evaluate(async (url) => {
          const calls = [
            fetch(`${url}/rpc/add`, { method: "POST", body: '["b2","x"]', credentials: "include" }),
            fetch(`${url}/rpc/add`, {
              method: "POST",
              body: '["b2","x"]',
              credentials: "include",
              mode: "no-cors",
            }).then((response) => response.type),
          ];
          return (await Promise.allSettled(calls)).map(({ status }) => status);
        }, `http://localhost:${http.addr.port}`);
        assert.equal(foreign[0], "rejected");
        await page.goto(`http://localhost:${http.addr.port}/`);
        const missing = await page.evaluate(async () =>
          (await fetch("/rpc/read", { method: "POST", body: '["b2"]' })).status
        );
        assert.equal(missing, 404, "what the other page sent changed nothing");
      } finally {
        await browser.close();
        await http.shutdown();
      }
    }, { public: folder });
    await Deno.remove(folder, { recursive: true });
  },
});
