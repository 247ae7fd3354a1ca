/**
 * A new app works with nothing installed but Deno: with the package as `deno publish` would publish it,
 * from a registry on loopback, and with the package linked from a folder.
 *
 * The long run adds `links`, the dry run of a deploy and what an editor sees.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { findChromium, launchChromium } from "../browser/chromium.ts";
import { quickstartBlocks, quickstartFiles } from "../quickstart.ts";
import { CLI, CreatedApp, REPOSITORY } from "./created_app.ts";
import { publishToLoopback, type Registry } from "./registry.ts";

const long = Deno.env.get("KONTRACT_LONG") === "1";

/** Adds and lists notes by plain JSON, as a new visitor. */
async function useNotes(url: string): Promise<void> {
  const page = await (await fetch(url)).text();
  assert.match(page, /<title>my-app<\/title>/);
  assert.equal((await fetch(`${url}/main.js`)).headers.get("content-type"), jsType);
  const session = await fetch(`${url}/auth/anonymous`, { method: "POST" });
  const { access }: { readonly access: string } = await session.json();
  const call = async (name: string, ...args: readonly unknown[]): Promise<unknown> => {
    const response = await fetch(`${url}/rpc/${name}`, {
      method: "POST",
      headers: { authorization: `Bearer ${access}`, "content-type": "application/json" },
      body: JSON.stringify(args),
    });
    const body: { readonly result?: unknown } = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    return body.result;
  };
  const note = await call("addNote", "Buy milk") as { readonly text: string };
  assert.equal(note.text, "Buy milk");
  assert.deepEqual(await call("listNotes"), [note]);
}

const jsType = "text/javascript; charset=utf-8";

async function exercise(t: Deno.TestContext, app: CreatedApp): Promise<void> {
  await t.step("'deno task check' finds nothing, also before the first build", async () => {
    assert.match(await app.task("check"), /my-app: no errors/);
  });
  await t.step("'deno task test' builds the app and its test passes", async () => {
    assert.match(await app.task("test"), /1 passed \| 0 failed/);
  });
  await t.step("'deno task dev' serves the page and its functions, and ends whole", async () => {
    await app.whileDev(useNotes);
  });
  await t.step("'deno task kontract' is every other command", async () => {
    assert.match(await app.task("kontract", "routes", "list"), /removeNote/);
  });
  await t.step("nothing but the lock files was written beside dist and .kontract", async () => {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(app.folder)) names.push(name);
    assert.deepEqual(names.sort(), [
      ".gitignore",
      ".kontract",
      "README.md",
      "deno.json",
      "deno.lock",
      "dist",
      "kontract.json",
      "kontract.lock.json",
      "src",
      "tests",
      "web",
    ]);
  });
  if (!long) return;
  await t.step("'deno task check' finds nothing after a build either", async () => {
    assert.match(await app.task("check"), /my-app: no errors/);
  });
  await t.step("'deno task build' builds for both hosts", async () => {
    assert.match(await app.task("build"), /my-app: 3 functions, 1 table/);
    for (const file of ["worker/worker.js", "deno/server.js", "public/index.html"]) {
      assert.ok((await Deno.stat(join(app.folder, "dist", file))).isFile, file);
    }
  });
  await t.step("'deno check', which editors use, finds nothing once it is built", async () => {
    const { code, output } = await app.deno(["check"]);
    assert.equal(code, 0, output);
  });
  await t.step("'deno task deploy --dry-run' has wrangler check the Worker", async () => {
    assert.match(await app.task("deploy", "--dry-run"), /--dry-run: exiting now/);
  });
}

Deno.test("an app made from the registry works", async (t) => {
  await using registry = await publishToLoopback(REPOSITORY);
  await using app = await CreatedApp.create(registry.url);
  await t.step("'init' fetches neither the compiler nor the servers", () => {
    assert.deepEqual(fetched(registry).filter((path) => path === "/compiler/mod.ts"), []);
    assert.ok(fetched(registry).includes("/cli/init/init_app.ts"));
  });
  await exercise(t, app);
  await t.step({
    name: "the quickstart by hand, word for word",
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => quickstartByHand(registry.url),
  });
  await t.step("nothing was asked for that is not published", () => {
    const unknown = fetched(registry).filter((path) => !registry.files.includes(path));
    assert.deepEqual(unknown, []);
  });
});

Deno.test({
  name: "an app with the package linked from a folder works",
  ignore: !long,
  async fn(t) {
    await using app = await CreatedApp.create(null);
    await exercise(t, app);
  },
});

Deno.test("the quickstart's commands are the ones that these tests run", async () => {
  const commands = (await quickstartBlocks()).filter(({ info }) => info === "sh").map(({ text }) =>
    text
  );
  const { tasks } = JSON.parse(await Deno.readTextFile(join(REPOSITORY, "deno.json")));
  assert.equal(tasks.start, "deno run -A cli.ts start examples/guestbook");
  assert.deepEqual(commands, [
    "deno task start\n",
    `deno run -A ${CLI} init my-app\ncd my-app\ndeno task dev\n`,
    `deno run -A ${CLI} dev .\n`,
  ]);
});

/** Writes the page's files, runs its command, opens the page in a browser where there is one. */
async function quickstartByHand(jsrUrl: string): Promise<void> {
  const files = await quickstartFiles();
  assert.equal(files.size, 5);
  // The page is for a checkout; what is published needs no link to it.
  const { links, ...config } = JSON.parse(files.get("deno.json")!);
  assert.deepEqual(links, ["../kontract"]);
  files.set("deno.json", JSON.stringify(config));
  await using app = await CreatedApp.written(jsrUrl, files);
  await app.whileDev(async (url) => {
    const path = findChromium();
    if (path === null) return console.warn("SKIPPED: the quickstart's page needs Chromium.");
    const chromium = await launchChromium(path);
    try {
      const page = await chromium.newPage();
      await page.goto(url);
      await page.getByText("Buy milk").waitFor();
      assert.equal(await page.title(), "Notes");
      await page.reload();
      await page.getByText("Buy milkBuy milk").waitFor();
    } finally {
      await chromium.close();
    }
  }, ["run", "-A", CLI, "dev", "."]);
  const names = await Array.fromAsync(Deno.readDir(app.folder), ({ name }) => name);
  for (const name of ["kontract.lock.json", "dist", ".kontract"]) {
    assert.ok(names.includes(name), `${name} is missing: ${names}`);
  }
}

/** Paths of files that Deno fetched. */
function fetched(registry: Registry): readonly string[] {
  return registry.requests.flatMap((path) => {
    const file = /^\/@kontract\/kontract\/\d[^/]*(\/.*)$/.exec(path)?.[1];
    return file === undefined ? [] : [file];
  });
}
