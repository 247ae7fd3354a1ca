/**
 * Chat rooms as people use them: three people of two companies in three browsers, on the real server.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { findChromium, launchChromium } from "./chromium.ts";
import { type RunningApp, startApp } from "./running_app.ts";

const chromium = findChromium();
if (chromium === null) {
  console.warn("SKIPPED: the browser tests need Chromium (Debian: apt-get install chromium).");
}

const repository = fileURLToPath(new URL("../../", import.meta.url));
const PASSWORD = "correct horse battery";
/** How long a page may take to show what it must show; nothing is decided by being faster. */
const PATIENCE = 20_000;

/** Somebody in a company, with a browser profile of their own. */
interface Visitor {
  readonly page: Page;
  readonly company: string;
}

interface Answer {
  readonly status: number;
  readonly result: Record<string, unknown>;
}

async function openPage(browser: Browser, dark = false): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1180, height: 780 },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error("page error:", error.message));
  return page;
}

async function visit(
  browser: Browser,
  url: string,
  company: string,
  dark = false,
): Promise<Visitor> {
  const page = await openPage(browser, dark);
  await page.goto(`${url}/?company=${company}`);
  await live(page);
  return { page, company };
}

async function live(page: Page): Promise<void> {
  await page.locator('#live[data-status="live"]').waitFor();
}

/** Signs up as a guest would: name first, then address and password. */
async function signUp({ page }: Visitor, name: string, email: string): Promise<void> {
  await page.getByRole("button", { name: "Account" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Save name" }).click();
  await page.locator("#my-name").getByText(name, { exact: true }).waitFor();
  await page.getByLabel("E-mail", { exact: true }).fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign up" }).click();
  await page.locator("#my-kind").getByText("member").waitFor();
  await live(page);
}

async function openRoom({ page }: Visitor, name: string, purpose: string): Promise<void> {
  await page.getByRole("button", { name: "Open a room" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill(name);
  await dialog.getByLabel("What for?").fill(purpose);
  await dialog.getByRole("button", { name: "Open it" }).click();
  await page.getByRole("heading", { name, exact: true }).waitFor();
}

async function say({ page }: Visitor, text: string): Promise<void> {
  const field = page.getByLabel("Message", { exact: true });
  await field.fill(text);
  await field.press("Enter");
  await message({ page }, text).waitFor();
}

function message({ page }: Pick<Visitor, "page">, text: string) {
  return page.locator("#messages .message").filter({ hasText: text });
}

function person({ page }: Visitor, name: string) {
  return page.locator("#people .person").filter({ hasText: name });
}

/** The visitor's stored session. */
async function session({ page, company }: Visitor): Promise<{ access: string; owner: string }> {
  return await page.evaluate((name) => {
    return JSON.parse(localStorage.getItem(`kontract/rooms/${location.origin}/${name}`) ?? "{}");
  }, company);
}

/** Asks the server as the visitor's own session, past the page. */
async function ask(
  url: string,
  visitor: Visitor,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const { access } = await session(visitor);
  const response = await fetch(`${url}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: {
      "authorization": `Bearer ${access}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, result: text === "" ? {} : JSON.parse(text) };
}

/** The example in a folder of its own: its own tests may be using what is built in the other. */
async function copyApp(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "kontract_rooms_" });
  const app = join(repository, "examples", "rooms");
  for (const part of ["src", "web"]) {
    await Deno.mkdir(join(folder, part));
    for await (const { name } of Deno.readDir(join(app, part))) {
      await Deno.copyFile(join(app, part, name), join(folder, part, name));
    }
  }
  for (const name of ["kontract.json", "kontract.lock.json"]) {
    await Deno.copyFile(join(app, name), join(folder, name));
  }
  const config = JSON.parse(await Deno.readTextFile(join(app, "deno.json")));
  config.imports["@kontract/kontract"] = "jsr:@kontract/kontract@^0.1.0";
  config.links = [repository];
  await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify(config));
  return folder;
}

/** A command of the toolchain on the running app. */
async function kontract(folder: string, ...args: readonly string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "cli.ts", ...args, "--app", folder],
    cwd: repository,
    env: { DATABASE_URL: "", DATABASE_ADMIN_URL: "", NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  assert.ok(success, text.decode(stdout) + text.decode(stderr));
}

async function keepPicture({ page }: Pick<Visitor, "page">, name: string): Promise<void> {
  if (!Deno.env.has("KONTRACT_LONG")) return;
  const folder = new URL("../../coverage/browser/", import.meta.url).pathname;
  await Deno.mkdir(folder, { recursive: true });
  const path = `${folder}${name}.png`;
  await page.screenshot({ path });
  console.log(`picture: ${path}`);
}

for (const host of ["workers", "deno"]) {
  Deno.test({
    name:
      `three people in two tenants on ${host}: live rooms, presence, sign-up, an administrator, nothing crosses`,
    ignore: chromium === null,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(t) {
      const folder = await copyApp();
      let app: RunningApp | undefined;
      let browser: Browser | undefined;
      try {
        app = await startApp({ folder, args: ["--host", host] });
        browser = await launchChromium(chromium!);
        await useTheRooms(t, { browser, url: app.url, folder, host });
      } finally {
        await browser?.close();
        await app?.stop();
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** Eve comes into a company of her own, with all that one can have of the other company. */
async function nothingCrosses(
  step: (name: string, work: () => Promise<void>) => Promise<void>,
  { browser, url, folder, host }: House,
  ada: Visitor,
  bob: Visitor,
): Promise<void> {
  const theirs = await ada.page.getByRole("link", { name: "Lobby" }).getAttribute("data-id");
  const said = await message(ada, "Good morning").getAttribute("data-id");

  await step("an administrator of the house moves a company in, nobody else does", async () => {
    assert.equal((await ask(url, bob, "/rpc/moveIn", ["initech"])).status, 403);
    const moved = await ask(url, ada, "/rpc/moveIn", ["initech"]);
    assert.deepEqual(moved, { status: 200, result: { result: true } });
    const { result } = await ask(url, ada, "/rpc/companies", []);
    assert.deepEqual(result.result, ["initech"]);
  });
  const eve = await visit(browser, url, "initech");

  await step("the same name, address and room are others in another company", async () => {
    await eve.page.getByText("No room is open yet.").waitFor();
    await signUp(eve, "Eve", "ada@example.com");
    assert.notEqual((await session(eve)).owner, (await session(ada)).owner);
    await openRoom(eve, "Lobby", "A lobby of our own");
    await say(eve, "Is anybody here?");
    await person(eve, "Eve").waitFor();
    assert.equal(await person(eve, "Ada").count() + await person(ada, "Eve").count(), 0);
    assert.equal(await message(ada, "Is anybody here?").count(), 0);
    await keepPicture(eve, `rooms_${host}_other_company`);
  });

  await step("what is said in one company reaches nobody of the other", async () => {
    const { access } = await session(eve);
    const feed = await fetch(`${url}/events?source=messages`, {
      headers: { authorization: `Bearer ${access}` },
    });
    assert.equal(feed.status, 200);
    const reader = feed.body!.pipeThrough(new TextDecoderStream()).getReader();
    let heard = "";
    const hear = async (words: string): Promise<void> => {
      while (!heard.includes(words)) {
        const { done, value } = await reader.read();
        assert.ok(!done, heard);
        heard += value;
      }
    };
    await hear("ready");
    await say(ada, "Only for us.");
    await message(bob, "Only for us.").waitFor();
    await say(eve, "And this only for me.");
    await hear("And this only for me.");
    assert.ok(!heard.includes("Only for us."), heard);
    await reader.cancel();
    assert.equal(await message(eve, "Only for us.").count(), 0);
    await say(bob, "Still only for us.");
    await message(ada, "Still only for us.").waitFor();
    assert.equal(await message(ada, "only for me").count(), 0);
  });

  await step("ids, tokens and groups of one company open nothing in the other", async () => {
    for (
      const [name, ...args] of [
        ["history", theirs],
        ["post", theirs, "hello"],
        ["beat", theirs, false],
        ["followRoom", theirs],
        ["retract", said],
      ]
    ) {
      assert.equal((await ask(url, eve, `/rpc/${name}`, args)).status, 404, String(name));
    }
    await kontract(folder, "users", "groups", "ada@example.com", "admin", "--tenant", "initech");
    assert.equal((await ask(url, eve, "/rpc/removeMessage", [said])).status, 404);
    assert.equal((await ask(url, eve, "/rpc/moveOut", ["initech"])).status, 403);
    const there = { "kontract-tenant": "initech" };
    assert.equal((await ask(url, ada, "/auth/me", undefined, there)).status, 403);
  });

  await step("a company that moves out is gone, and the other one stays", async () => {
    assert.equal((await ask(url, ada, "/rpc/moveOut", ["initech"])).status, 200);
    assert.equal((await ask(url, eve, "/rpc/listRooms", [])).status, 401);
    await kontract(folder, "tenants", "create", "initech");
    assert.equal((await ask(url, eve, "/rpc/listRooms", [])).status, 401);
    await eve.page.context().close();
    assert.equal((await ask(url, ada, "/rpc/history", [theirs])).status, 200);
  });
}

interface House {
  readonly browser: Browser;
  readonly url: string;
  readonly folder: string;
  readonly host: string;
}

async function useTheRooms(
  t: Deno.TestContext,
  { browser, url, folder, host }: House,
): Promise<void> {
  const step = async (name: string, work: () => Promise<void>): Promise<void> => {
    assert.ok(
      await t.step({ name, fn: work, sanitizeOps: false, sanitizeResources: false }),
      name,
    );
  };

  const door = await openPage(browser);
  await step("a company that is not in the house is not entered", async () => {
    await door.goto(url);
    await keepPicture({ page: door }, `rooms_${host}_door`);
    await door.getByLabel("Company", { exact: true }).fill("initech");
    await door.getByRole("button", { name: "Enter" }).click();
    await door.getByText("There is no tenant 'initech'.").waitFor();
    await door.goto(url);
    await door.getByLabel("Company", { exact: true }).fill("Main");
    await door.getByRole("button", { name: "Enter" }).click();
    await live(door);
    await door.getByRole("heading", { name: "main" }).waitFor();
  });

  const ada: Visitor = { page: door, company: "main" };
  const bob = await visit(browser, url, "main", true);

  await step("only people with an account open rooms; everybody sees them at once", async () => {
    await ada.page.getByText("No room is open yet.").waitFor();
    await ada.page.getByRole("button", { name: "Open a room" }).click();
    await ada.page.getByText("Sign up to open a room.").waitFor();
    await ada.page.getByRole("button", { name: "Done" }).click();
    const before = await session(ada);
    await signUp(ada, "Ada", "ada@example.com");
    assert.equal((await session(ada)).owner, before.owner);
    await openRoom(ada, "Lobby", "Whatever comes up");
    await bob.page.getByRole("heading", { name: "Lobby" }).waitFor();
    await openRoom(ada, "Kitchen", "Tea and gossip");
    await bob.page.getByRole("link", { name: "Kitchen" }).waitFor();
    await ada.page.getByRole("link", { name: "Lobby" }).click();
  });

  await step("who is here is seen, and that they write", async () => {
    for (const visitor of [ada, bob]) {
      await person(visitor, "Ada").waitFor();
      await person(visitor, "Guest").waitFor();
    }
    await ada.page.getByLabel("Message", { exact: true }).pressSequentially("Good mor");
    await bob.page.getByText("Ada is writing…").waitFor();
  });

  await step("what one says stands in the other window, markup as text", async () => {
    await say(ada, "Good morning, everybody.");
    await message(bob, "Good morning, everybody.").getByText("Ada", { exact: true }).waitFor();
    const markup = `<img src="x" onerror="globalThis.broken = true">`;
    await say(bob, markup);
    await message(ada, markup).waitFor();
    assert.equal(await ada.page.locator("#messages img").count(), 0);
    assert.equal(await ada.page.evaluate(() => "broken" in globalThis), false);
    assert.equal(await message(ada, "Good morning").count(), 1, "once, though sent and heard");
  });

  await step("a guest who signs up keeps their id and what they said", async () => {
    const before = await session(bob);
    await signUp(bob, "Bob", "bob@example.com");
    assert.equal((await session(bob)).owner, before.owner);
    await message(bob, "<img").getByText("you", { exact: true }).waitFor();
    await say(bob, "It is me, with an account.");
    await message(ada, "It is me, with an account.").getByText("Bob", { exact: true }).waitFor();
    await person(ada, "Bob").waitFor();
  });

  await step("a room that is not open counts what is new in it", async () => {
    await ada.page.getByRole("link", { name: "Kitchen" }).click();
    await say(ada, "Tea is ready.");
    await bob.page.getByRole("link", { name: "Kitchen" }).getByText("1").waitFor();
    await ada.page.getByRole("link", { name: "Lobby" }).click();
    await message(ada, "Good morning").waitFor();
  });

  await say(ada, "A secret of theirs.");
  const secret = await message(ada, "A secret of theirs.").getAttribute("data-id");
  const room = await ada.page.getByRole("link", { name: "Lobby" }).getAttribute("data-id");

  let words = "";
  await step("who floods a room is told to wait, and may go on afterwards", async () => {
    const field = bob.page.getByLabel("Message", { exact: true });
    const slowDown = bob.page.getByText(/Slow down a little: send again in \d s\./);
    let attempts = 0;
    do { // the server forgives with time: on a slow machine the burst may be over too early
      const burst = Array.from({ length: 8 }, () => ask(url, bob, "/rpc/post", [room, "flood"]));
      await Promise.all(burst);
      words = `Was that too much, number ${++attempts}?`;
      await field.fill(words);
      await field.press("Enter");
      await slowDown.or(message(bob, words)).first().waitFor();
    } while (!await slowDown.isVisible());
    assert.equal(await field.inputValue(), words);
    await keepPicture(bob, `rooms_${host}_dark`);
    await bob.page.getByText("Slow down").waitFor({ state: "hidden" });
    await field.press("Enter");
    await message(ada, words).waitFor();
  });

  await step("an administrator removes a message and closes the room, live", async () => {
    assert.equal((await ask(url, ada, "/rpc/removeMessage", [secret])).status, 403);
    await kontract(folder, "users", "groups", "ada@example.com", "admin");
    await ada.page.reload();
    await ada.page.getByText("administrator", { exact: true }).waitFor();
    const bad = message(ada, words);
    await bad.hover();
    await bad.getByRole("button", { name: "Remove the message of Bob" }).click();
    await message(bob, words).waitFor({ state: "detached" });
    await message(ada, words).waitFor({ state: "detached" });
    await ada.page.getByRole("button", { name: "Close room" }).click();
    await bob.page.getByText("This room is closed.").waitFor();
    assert.equal((await ask(url, ada, "/rpc/post", [room, "late"])).status, 409);
    await ada.page.getByRole("button", { name: "Open again" }).click();
    await bob.page.getByText("This room is closed.").waitFor({ state: "hidden" });
  });

  await nothingCrosses(step, { browser, url, folder, host }, ada, bob);

  await step("a reload keeps room, messages and who one is", async () => {
    await bob.page.reload();
    await message(bob, "It is me, with an account.").getByText("you", { exact: true }).waitFor();
    await message(bob, "A secret of theirs.").waitFor();
    assert.equal(await message(bob, words).count(), 0);
    await keepPicture(ada, `rooms_${host}`);
    await ada.page.setViewportSize({ width: 390, height: 780 });
    await ada.page.getByRole("button", { name: "Rooms" }).click();
    await ada.page.getByRole("link", { name: "Lobby" }).waitFor();
    await keepPicture(ada, `rooms_${host}_narrow`);
    await ada.page.setViewportSize({ width: 1180, height: 780 });
  });

  await step("who signs out is a stranger, who signs in again is who they were", async () => {
    const { owner } = await session(bob);
    await bob.page.getByRole("button", { name: "Account" }).click();
    await bob.page.getByRole("button", { name: "Sign out" }).click();
    await bob.page.locator("#my-kind").getByText("guest").waitFor();
    assert.notEqual((await session(bob)).owner, owner);
    const mine = message(bob, "It is me, with an account.");
    await mine.getByText("you", { exact: true }).waitFor({ state: "detached" });
    await mine.waitFor();
    await bob.page.getByRole("button", { name: "Account" }).click();
    await bob.page.getByLabel("E-mail", { exact: true }).fill("BOB@example.com");
    await bob.page.getByLabel("Password").fill(PASSWORD);
    await bob.page.getByRole("button", { name: "Sign in" }).click();
    await bob.page.locator("#my-kind").getByText("member").waitFor();
    assert.equal((await session(bob)).owner, owner);
    await message(bob, "It is me, with an account.").getByText("you", { exact: true }).waitFor();
  });

  await step("of several windows of one browser the one in use is live", async () => {
    const second = await ada.page.context().newPage();
    await second.goto(ada.page.url());
    await live(second);
    await ada.page.getByText("Paused: another window is live").waitFor();
    await say({ ...ada, page: second }, "From the second window.");
    await ada.page.evaluate(() => globalThis.dispatchEvent(new Event("focus")));
    await live(ada.page);
    await message(ada, "From the second window.").waitFor();
    await second.getByText("Paused: another window is live").waitFor();
    await second.close();
  });

  await step("who closes the window is seen to leave", async () => {
    await person(ada, "Bob").waitFor();
    await bob.page.context().close();
    await person(ada, "Bob").waitFor({ state: "detached" });
  });
}
