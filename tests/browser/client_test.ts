/**
 * The client in a real browser over the real channel: its crypto, its storage, its locks.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { BrowserContext, Page } from "playwright-core";
import { TestServer } from "../../runtime/client/testing/server.ts";
import { findChromium, launchChromium } from "./chromium.ts";
import { bundlePage, type PageScript } from "./page_script.ts";

const chromium = findChromium();
if (chromium === null) {
  console.warn("SKIPPED: the browser tests need Chromium (Debian: apt-get install chromium).");
}

function serve(server: TestServer, script: PageScript): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => undefined },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (request.headers.get("upgrade") === "websocket") return server.upgrade(request);
      if (pathname === "/raystream") return await server.fetch(request);
      if (pathname === "/pins") return Response.json(await server.pins());
      if (pathname === "/") {
        const html = `<!doctype html><script type="module" src="/entry.js"></script>`;
        return new Response(html, { headers: { "content-type": "text/html" } });
      }
      const file = script.files.get(pathname) ?? null;
      return new Response(file, {
        status: file === null ? 404 : 200,
        headers: { "content-type": "text/javascript" },
      });
    },
  );
}

async function openTab(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error("page error:", error.message));
  await page.goto(url);
  await page.waitForFunction("globalThis.ready");
  return page;
}

const read = "client.call('read', [])";

Deno.test({
  name: "in Chromium two tabs share one session, and ten subscriptions of a page one connection",
  ignore: chromium === null,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const script = await bundlePage("tests/browser/client_page.ts");
    const server = new TestServer();
    server.handlers.set(1001, (_args, _call, owner) => owner);
    const http = serve(server, script);
    try {
      const browser = await launchChromium(chromium!);
      try {
        const context = await browser.newContext();
        const url = `http://127.0.0.1:${http.addr.port}/`;
        const [one, two] = await Promise.all([openTab(context, url), openTab(context, url)]);
        await useBothTabs(server, one, two);
        const three = await openTab(context, url);
        await followTen(server, three);
        const seen = JSON.stringify(server.requests);
        for (const token of server.tokens) assert.ok(!seen.includes(token), "a token in the open");
        for (const page of [one, two, three]) await script.saveCoverage(page);
      } finally {
        await browser.close();
      }
    } finally {
      server.cut();
      await http.shutdown();
    }
  },
});

async function useBothTabs(server: TestServer, one: Page, two: Page): Promise<void> {
  // Each tab has a subscription and a call of its own, all of them at once.
  const [first, second] = await Promise.all([one.evaluate(read), two.evaluate(read)]);
  assert.equal(first, second);
  assert.deepEqual(server.authCalls, ["anonymous"]);

  server.expire();
  assert.deepEqual(await Promise.all([one.evaluate(read), two.evaluate(read)]), [first, first]);
  assert.deepEqual(server.authCalls, ["anonymous", "refresh"]);

  await Promise.all([one, two].map((page) => page.waitForFunction("events.length === 1")));
  server.topics.publish("t", "news", { text: "hello" });
  for (const page of [one, two]) {
    await page.waitForFunction("events.length === 2");
    assert.deepEqual(await page.evaluate("events[1]"), { text: "hello" });
  }

  await one.evaluate("client.auth.logout()");
  await two.waitForFunction("states.at(-1) === 'none'");
  assert.notEqual(await two.evaluate(read), first, "a new visitor");
}

/** With a connection for each, Chromium would hold the seventh back for ever. */
async function followTen(server: TestServer, page: Page): Promise<void> {
  await page.waitForFunction("events.length === 1");
  const sockets = server.sockets.length;
  await page.evaluate(`
    globalThis.ten = Array.from({ length: 10 }, () => []);
    ten.forEach((seen) => client.subscribe("topic:news", {
      onEvent: (event) => seen.push(event.type === "message" ? event.data : event.type),
    }));
  `);
  await page.waitForFunction("ten.every((seen) => seen[0] === 'ready')");
  server.topics.publish("t", "news", 1);
  await page.waitForFunction("ten.every((seen) => seen[1] === 1)");
  assert.equal(typeof await page.evaluate(read), "string");
  assert.equal(server.sockets.length, sockets, "all of them share the page's connection");

  // A connection that is cut takes all of them along, and they come back over one new one.
  server.sockets.at(-1)!.close();
  await page.waitForFunction(
    "ten.every((seen) => seen.filter((it) => it === 'ready').length === 2)",
  );
  server.topics.publish("t", "news", 2);
  await page.waitForFunction("ten.every((seen) => seen.at(-1) === 2)");
  assert.equal(server.sockets.length, sockets + 1);
}
