/**
 * The guestbook as people use it: two visitors in two browsers, on the real server.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { findChromium, launchChromium } from "./chromium.ts";
import { type RunningApp, startApp } from "./running_app.ts";

const chromium = findChromium();
if (chromium === null) {
  console.warn("SKIPPED: the browser tests need Chromium (Debian: apt-get install chromium).");
}

const KEEPER_CODE = crypto.randomUUID();
const XSS =
  `<img src="x" onerror="globalThis.broken = true"><script>globalThis.broken=true</script>`;
/** How long a page may take to show what it must show; nothing is decided by being faster. */
const PATIENCE = 20_000;

/** A visitor: a browser profile of its own, with the book open. */
async function visit(browser: Browser, url: string, dark = false): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1180, height: 900 },
    colorScheme: dark ? "dark" : "light",
  });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error("page error:", error.message));
  const answered = page.waitForEvent("websocket").then((socket) =>
    socket.waitForEvent("framereceived", { timeout: PATIENCE })
  );
  await page.goto(url);
  await answered;
  await page.locator('#live[data-status="live"]').waitFor();
  return page;
}

async function sign(page: Page, name: string, message: string): Promise<void> {
  await page.getByLabel("Your name").fill(name);
  await page.getByLabel("Your message").fill(message);
  await page.getByRole("button", { name: "Sign the book" }).click();
}

function entry(page: Page, text: string) {
  return page.locator("#entries .entry").filter({ hasText: text });
}

/** Calls a function as the page's own session, past its buttons. */
async function callAs(page: Page, route: string, args: unknown[]): Promise<number> {
  return await page.evaluate(async ([name, list]) => {
    const key = `kontract/guestbook/${location.origin}`;
    const { access } = JSON.parse(localStorage.getItem(key) ?? "{}");
    const response = await fetch(`/rpc/${name}`, {
      method: "POST",
      headers: { "content-type": "application/json", "authorization": `Bearer ${access}` },
      body: JSON.stringify(list),
    });
    await response.body?.cancel();
    return response.status;
  }, [route, args] as const);
}

async function keepPicture(page: Page, name: string): Promise<void> {
  if (!Deno.env.has("KONTRACT_LONG")) return;
  const folder = new URL("../../coverage/browser/", import.meta.url).pathname;
  await Deno.mkdir(folder, { recursive: true });
  const path = `${folder}${name}.png`;
  await page.screenshot({ path, fullPage: true });
  console.log(`picture: ${path}`);
}

for (const host of ["workers", "deno"]) {
  Deno.test({
    name:
      `two visitors see one book on ${host}: live entries, own edits, refused strangers, a keeper`,
    ignore: chromium === null,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(t) {
      let app: RunningApp | undefined;
      let browser: Browser | undefined;
      try {
        app = await startApp({
          folder: "examples/guestbook",
          env: { KEEPER_CODE },
          args: ["--host", host],
        });
        browser = await launchChromium(chromium!);
        await useTheBook(t, browser, app.url, host);
      } finally {
        await browser?.close();
        await app?.stop();
      }
    },
  });
}

async function useTheBook(
  t: Deno.TestContext,
  browser: Browser,
  url: string,
  host: string,
): Promise<void> {
  const ada = await visit(browser, url);
  const bob = await visit(browser, url, true);
  const step = async (name: string, work: () => Promise<void>): Promise<void> => {
    assert.ok(
      await t.step({ name, fn: work, sanitizeOps: false, sanitizeResources: false }),
      name,
    );
  };

  await step("an empty book says so", async () => {
    await ada.getByText("The first page is still blank.").waitFor();
  });

  await step("what one signs appears in the other window without a reload", async () => {
    await sign(ada, "Ada", "What a lovely place.");
    await entry(bob, "What a lovely place.").waitFor();
    await entry(ada, "What a lovely place.").getByText("you", { exact: true }).waitFor();
    assert.equal(await ada.locator("#entries .entry").count(), 1, "once, though sent and heard");
    assert.equal(await ada.getByLabel("Your message").inputValue(), "");
  });

  await step("markup that a visitor writes is text in every window", async () => {
    await sign(bob, XSS, XSS);
    await entry(ada, XSS).waitFor();
    for (const page of [ada, bob]) {
      assert.equal(await entry(page, XSS).locator(".words").textContent(), XSS);
      assert.equal(await page.locator("#entries img, #entries script").count(), 0);
      assert.equal(await page.evaluate(() => "broken" in globalThis), false);
    }
  });

  await step("an entry without a message is refused beside its field", async () => {
    await sign(ada, "Ada", "   ");
    await ada.getByText("Please write a message.").waitFor();
    assert.equal(await ada.locator("#entries .entry").count(), 2);
  });

  await step("an author's change appears in the other window", async () => {
    await entry(ada, "What a lovely place.").getByRole("button", { name: /^Edit/ }).click();
    await ada.locator(".editor textarea").fill("A lovely place, on second thoughts too.");
    await ada.getByRole("button", { name: "Save" }).click();
    const changed = entry(bob, "A lovely place, on second thoughts too.");
    await changed.waitFor();
    await changed.getByText("edited").waitFor();
  });

  await step(
    "a stranger sees no controls, and the server refuses what buttons do not offer",
    async () => {
      const strange = entry(bob, "A lovely place");
      assert.equal(await strange.getByRole("button").count(), 0);
      const id = await strange.getAttribute("data-id");
      assert.equal(await callAs(bob, "edit", [id, "Defaced."]), 403);
      assert.equal(await callAs(bob, "remove", [id]), 403);
      assert.equal(await callAs(bob, "removeAny", [id]), 403);
      assert.equal(await callAs(bob, "claim", ["guessed"]), 403);
      await strange.waitFor();
      assert.equal(
        await strange.locator(".words").textContent(),
        "A lovely place, on second thoughts too.",
      );
    },
  );

  await step("a reload finds the same book and the same author", async () => {
    await ada.reload();
    await entry(ada, "A lovely place").getByRole("button", { name: /^Edit/ }).waitFor();
    await entry(ada, XSS).waitFor();
    await keepPicture(ada, `guestbook_${host}`);
    await keepPicture(bob, `guestbook_${host}_dark`);
  });

  await step("what the author deletes goes from every window", async () => {
    await entry(ada, "A lovely place").getByRole("button", { name: /^Delete/ }).click();
    await ada.getByRole("button", { name: "Yes, delete" }).click();
    await entry(bob, "A lovely place").waitFor({ state: "detached" });
    await entry(ada, "A lovely place").waitFor({ state: "detached" });
  });

  await step("who knows the keeper's code may remove any entry", async () => {
    await ada.getByRole("button", { name: "Keeper of this book?" }).click();
    await ada.getByLabel("Keeper's code").fill(KEEPER_CODE);
    await ada.getByRole("button", { name: "Take the keys" }).click();
    await entry(ada, XSS).getByRole("button", { name: /^Delete/ }).click();
    await ada.getByRole("button", { name: "Yes, delete" }).click();
    await entry(bob, XSS).waitFor({ state: "detached" });
    await bob.getByText("The first page is still blank.").waitFor();
  });

  await step("two tabs of one visitor share the session", async () => {
    const tab = await ada.context().newPage();
    await tab.goto(url);
    await tab.locator('#live[data-status="live"]').waitFor();
    await sign(tab, "Ada", "From the second tab.");
    await entry(ada, "From the second tab.").getByRole("button", { name: /^Edit/ }).waitFor();
  });
}
