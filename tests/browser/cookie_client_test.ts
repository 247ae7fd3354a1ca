/**
 * The generated client in cookie mode, in a real browser against a real gateway: everything works, and no
 * script of the page could have read a token.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { deriveServerKeys } from "../../protocol/mod.ts";
import { NOTES_APP } from "../../runtime/testing/notes_app.ts";
import { withNotes } from "../../runtime/testing/notes_server.ts";
import { findChromium, launchChromium } from "./chromium.ts";
import { bundlePage } from "./page_script.ts";

const chromium = findChromium();
if (chromium === null) {
  console.warn("SKIPPED: the browser tests need Chromium (Debian: apt-get install chromium).");
}

const PAGE = `<!doctype html><title>notes</title><script type="module" src="/entry.js"></script>`;

async function openTab(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error("page error:", error.message));
  await page.goto(url);
  await page.waitForFunction("globalThis.ready");
  return page;
}

async function writeText(path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, text);
}

/** Everything a script of the page can read that outlives it. */
async function readable(page: Page): Promise<string> {
  return await page.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve) => {
      const opening = indexedDB.open("kontract", 1);
      opening.onsuccess = () => resolve(opening.result);
    });
    const rows = await new Promise((resolve) => {
      const request = database.transaction("sessions").objectStore("sessions").getAll();
      request.onsuccess = () => resolve(request.result);
    });
    database.close();
    return document.cookie + JSON.stringify({ ...localStorage }) + JSON.stringify(rows);
  });
}

/** A JWT, or a refresh token. */
const TOKEN = /eyJ|"access":"|"refresh":"/;

Deno.test({
  name: "the client in cookie mode: every kind of call, and no token in reach of a script",
  ignore: chromium === null,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const folder = await Deno.makeTempDir({ prefix: "kontract_cookies_" });
    const script = await bundlePage("tests/browser/cookie_page.ts");
    for (const [path, text] of script.files) await writeText(`${folder}${path}`, text);
    await Deno.writeTextFile(`${folder}/index.html`, PAGE);
    await withNotes(async ({ database, server }) => {
      const { pins } = await deriveServerKeys(database.secrets);
      const ops = Object.fromEntries(NOTES_APP.routes.map(({ name, op }) => [name, op]));
      await Deno.writeTextFile(`${folder}/settings.json`, JSON.stringify({ pins, ops }));
      const http = Deno.serve(
        { port: 0, hostname: "127.0.0.1", onListen: () => {} },
        (request, info) => server.fetch(request, info),
      );
      const own = `http://localhost:${http.addr.port}/`;
      const browser = await launchChromium(chromium!);
      const step = (name: string, fn: () => Promise<void>): Promise<boolean> =>
        t.step({ name, fn, sanitizeOps: false, sanitizeResources: false });
      try {
        const context = await browser.newContext();
        context.setDefaultTimeout(20_000);
        const page = await openTab(context, own);
        let owner: unknown;

        await step("a visitor calls, streams and follows", async () => {
          owner = await page.evaluate("owner()");
          assert.equal(typeof owner, "string");
          await page.evaluate("follow()");
          await page.waitForFunction("events.length === 1");
          await page.evaluate("client.call('add', ['n1', 'x'])");
          await page.waitForFunction("events.length === 2");
          assert.deepEqual(await page.evaluate("events[1]"), "insert n1");
          const elements = await page.evaluate(
            "(async () => { const all = []; for await (const e of client.stream('count', [2])) all.push(e.i); return all; })()",
          );
          assert.deepEqual(elements, [1, 2]);
        });

        await step("signing up keeps the owner, and another tab hears of it", async () => {
          const other = await openTab(context, own);
          assert.equal(await other.evaluate("owner()"), owner);
          await page.evaluate(
            "client.auth.register({ email: 'ada@example.com', password: 'correct horse battery' })",
          );
          await other.waitForFunction("states.at(-1).anonymous === false");
          assert.equal(await page.evaluate("owner()"), owner);
          assert.equal(
            await other.evaluate("client.auth.me().then((me) => me.email)"),
            "ada@example.com",
          );
          await other.close();
        });

        await step("no script can read a token, and the browser confines the cookies", async () => {
          const text = await readable(page);
          assert.match(text, new RegExp(String(owner)));
          assert.doesNotMatch(text, TOKEN);
          const cookies = await context.cookies(own);
          assert.deepEqual(cookies.map(({ name }) => name).sort(), [
            "__Host-kontract",
            "__Host-kontract-refresh",
          ]);
          for (const { httpOnly, secure, sameSite, path, domain } of cookies) {
            assert.deepEqual([httpOnly, secure, sameSite, path, domain], [
              true,
              true,
              "Lax",
              "/",
              "localhost",
            ]);
          }
        });

        await step("a session token that has gone is renewed on the way", async () => {
          await context.clearCookies({ name: "__Host-kontract" });
          assert.equal(await page.evaluate("owner()"), owner);
          assert.equal((await context.cookies(own)).length, 2);
          await page.evaluate("client.auth.refresh()");
          assert.equal(await page.evaluate("owner()"), owner);
        });

        await step("a wrong password is the typed error it is with tokens", async () => {
          const login =
            "client.auth.login({ email: 'ada@example.com', password: 'wrong wrong wrong' })";
          assert.equal(await page.evaluate(`code(${login})`), "UNAUTHORIZED");
          assert.equal(await page.evaluate("code(client.auth.login({ email: 1 }))"), "VALIDATION");
        });

        await step("a page of another origin cannot use them", async () => {
          const stranger = await context.newPage();
          await stranger.goto(`http://127.0.0.1:${http.addr.port}/settings.json`);
          const statuses = await stranger.evaluate(async (url) => {
            const options: RequestInit[] = [
              { headers: { "kontract-session": "cookie" } },
              { mode: "no-cors" },
            ];
            return (await Promise.allSettled(options.map(async (more) => {
              const init: RequestInit = {
                method: "POST",
                credentials: "include",
                body: "x",
                ...more,
              };
              return (await fetch(`${url}raystream`, init)).type;
            }))).map((one) => one.status === "fulfilled" ? one.value : "refused");
          }, own);
          assert.deepEqual(statuses, ["refused", "opaque"]);
          await stranger.close();
        });

        await step(
          "a logout takes the cookies away; the next call is a new visitor's",
          async () => {
            await page.evaluate("client.auth.logout()");
            assert.deepEqual(await context.cookies(own), []);
            assert.deepEqual(await page.evaluate("states.at(-1)"), { kind: "none" });
            assert.notEqual(await page.evaluate("owner()"), owner);
          },
        );

        await step(
          "who has lost the cookies is told when signed in, and new when not",
          async () => {
            const visitor = await page.evaluate("owner()");
            await context.clearCookies();
            assert.notEqual(await page.evaluate("owner()"), visitor);
            await page.evaluate(
              "client.auth.login({ email: 'ada@example.com', password: 'correct horse battery' })",
            );
            assert.equal(await page.evaluate("owner()"), owner);
            await context.clearCookies();
            assert.equal(await page.evaluate("code(owner())"), "UNAUTHORIZED");
            assert.deepEqual(await page.evaluate("states.at(-1)"), { kind: "none" });
            assert.equal(await page.evaluate("code(owner())"), "fine");
          },
        );

        await step("a session that the page held moves into cookies", async () => {
          const fresh = await browser.newContext();
          const tab = await openTab(fresh, `${own}?tokens`);
          const before = await tab.evaluate("owner()");
          assert.match(await readable(tab), TOKEN);
          assert.deepEqual(await fresh.cookies(own), []);
          await tab.evaluate("useCookies()");
          assert.equal(await tab.evaluate("owner()"), before);
          assert.doesNotMatch(await readable(tab), TOKEN);
          assert.equal((await fresh.cookies(own)).length, 2);
          await script.saveCoverage(tab);
        });
        await script.saveCoverage(page);
      } finally {
        await browser.close();
        await http.shutdown();
      }
    }, { public: folder });
    await Deno.remove(folder, { recursive: true });
  },
});
