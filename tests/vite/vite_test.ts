/** The Vite plugin in a real Vite build and, with its dev server, in Chromium. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  build,
  type BuildOptions,
  createServer,
  type PluginOption,
  type ViteDevServer,
} from "vite";
import { makeApp, type TestApp } from "../../compiler/testing/app.ts";
import { kontract } from "../../cli/vite.ts";
import { viteJsx } from "../../compiler/vite_jsx.ts";
import { findChromium, launchChromium } from "../browser/chromium.ts";

const NOTES = `import { backend, env } from "@kontract/kontract";
import { key } from "./secrets.ts";
export class Notes {
  /** Doubles. */
  @backend({ readOnly: true })
  static async double(n: number): Promise<number> {
    void env;
    void key;
    console.log("MARKER_BODY");
    return await Promise.resolve(n * 2);
  }
}
`;

const APP: Readonly<Record<string, string>> = {
  "kontract.json": `{ "name": "noted" }`,
  "src/notes.ts": NOTES,
  "src/more.ts": `import { backend } from "@kontract/kontract";
export const more = backend({}, (): Promise<string> => Promise.resolve("MARKER_MORE"));
`,
  "src/limits.ts": `export const SHARED = "PLANTED_SHARED";\n`,
  "src/secrets.ts": `import { secret } from "@kontract/kontract";
export const key = (): string => secret("MARKER_SECRET");
`,
  "web/index.html": `<!doctype html><script type="module" src="/main.ts"></script>\n`,
  "web/main.ts": `import * as all from "@/client";
import { more } from "../src/more.ts";
import { SHARED } from "../src/limits.ts";
const sent: string[] = [];
all.client.configure({
  url: "http://127.0.0.1:1",
  transport: () => ({
    call: (op: number, payload: Uint8Array) => {
      sent.push(op + ":" + payload.length);
      return Promise.reject(new Error("enough"));
    },
    stream: () => { throw new Error("enough"); },
    close: () => {},
  }),
});
const { api } = all;
// Looked at from outside, whatever it has: by its name it may only be called.
const { Notes }: { Notes: Record<string, (n: number) => unknown> } = await import("../src/notes.ts");
const stubs = Object.getOwnPropertyNames(Notes).filter((name) => name !== "prototype" && typeof Notes[name] === "function");
await Promise.allSettled([more(), ...stubs.map((name) => Notes[name](2)), ...Object.values(api).map((call) => call(2))]);
const loads = Number(sessionStorage.getItem("loads")) + 1;
sessionStorage.setItem("loads", String(loads));
Object.assign(globalThis, { sent, loads, shared: SHARED, text: String(Notes), names: Object.keys(api) });
`,
};

/** How many updates Vite has asked the plugin about. */
let updates = 0;

/** The plugin, counting. */
function counted(): PluginOption {
  const plugin = kontract({ pins: ["a-pin"] });
  return {
    ...plugin,
    async hotUpdate(update) {
      const modules = await plugin.hotUpdate.call(this as never, update);
      updates++;
      return modules as typeof update.modules | undefined;
    },
  };
}

function settings(app: TestApp): {
  readonly root: string;
  readonly configFile: false;
  readonly logLevel: "silent";
  readonly plugins: PluginOption[];
} {
  return {
    root: join(app.root, "web"),
    configFile: false,
    logLevel: "silent",
    plugins: [counted()],
  };
}

const options = { sanitizeOps: false, sanitizeResources: false };

async function builtTexts(app: TestApp, more: BuildOptions = {}): Promise<string> {
  const outDir = join(app.root, "built");
  await build({ ...settings(app), build: { outDir, emptyOutDir: true, sourcemap: true, ...more } });
  const folder = join(outDir, "assets");
  const texts = [...Deno.readDirSync(folder)].map((entry) =>
    Deno.readTextFile(join(folder, entry.name))
  );
  return (await Promise.all(texts)).join("\n");
}

Deno.test({
  name:
    "a Vite build holds stubs, the pinned key and what both sides share, and nothing of the server",
  ...options,
  async fn() {
    await using app = await makeApp(APP);
    const text = await builtTexts(app);
    assert.match(text, /PLANTED_SHARED/);
    assert.match(text, /a-pin/);
    assert.deepEqual(text.match(/MARKER_\w+/g) ?? [], []);
  },
});

Deno.test({
  name: "a second page has what its own script imports, and the same wall",
  ...options,
  async fn() {
    await using app = await makeApp({
      ...APP,
      "lib/words.ts": `export const WORD = "PLANTED_WORD";\n`,
      "lib/keys.ts": `import { secret } from "@kontract/kontract";
export const key = (): string => secret("MARKER_KEY");
`,
      "web/admin/index.html":
        `<!doctype html><script type="module" src="/admin/main.ts"></script>\n`,
      "web/admin/main.ts": `import { double } from "@/client";
import { WORD } from "words";
await double(2);
console.log(WORD);
`,
    });
    const config = JSON.parse(await app.read("deno.json"));
    const imports = { ...config.imports, words: "./lib/words.ts" };
    await app.write("deno.json", JSON.stringify({ ...config, imports }));
    const input = ["", "admin/"].map((path) => join(app.root, "web", `${path}index.html`));
    const text = await builtTexts(app, { rolldownOptions: { input } });
    assert.match(text, /PLANTED_SHARED[^]*PLANTED_WORD|PLANTED_WORD[^]*PLANTED_SHARED/);
    assert.deepEqual(text.match(/MARKER_\w+/g) ?? [], []);
    await app.write("web/admin/main.ts", `import { key } from "../../lib/keys.ts";\nkey();\n`);
    await assert.rejects(
      builtTexts(app, { rolldownOptions: { input } }),
      /'..\/..\/lib\/keys.ts' is server code \(it uses 'secret'\)/,
    );
  },
});

Deno.test({
  name: "a Vite build publishes no file of the server's, whatever names it",
  ...options,
  async fn() {
    const page = `<!doctype html><script type="module" src="/main.ts"></script>\n`;
    const ways = {
      "web/part.js": `console.log(new URL("../src/secrets.ts", import.meta.url));\n`,
      "web/part.css": `a { background: url(../src/secrets.ts) }\n`,
      "web/index.html": `${page}<img src="../src/secrets.ts">\n`,
    };
    for (const [path, text] of Object.entries(ways)) {
      await using app = await makeApp({ ...APP, "web/index.html": page });
      await app.write(path, text);
      const name = path.endsWith(".html") ? "" : `import "./${path.slice("web/".length)}";\n`;
      await app.write("web/main.ts", `${name}console.log(1);\n`);
      for (const assetsInlineLimit of [0, 4096, undefined]) {
        const build = assetsInlineLimit === undefined ? {} : { assetsInlineLimit };
        await assert.rejects(
          builtTexts(app, build),
          /'src\/secrets\.ts' is server code, and a bundler publishes a file/,
          path,
        );
      }
    }
  },
});

Deno.test({
  name: "a Vite build puts small files into others as its configuration says",
  ...options,
  async fn() {
    await using app = await makeApp({
      ...APP,
      "web/main.ts": `console.log(new URL("./words.txt", import.meta.url).href);\n`,
      "web/words.txt": "PLANTED",
    });
    const inlined = /base64,UExBTlRFRA==|data:text\/plain,PLANTED/;
    assert.match(await builtTexts(app), inlined);
    assert.doesNotMatch(await builtTexts(app, { assetsInlineLimit: 3 }), inlined);
    assert.doesNotMatch(await builtTexts(app, { assetsInlineLimit: () => false }), inlined);
    assert.match(await builtTexts(app, { assetsInlineLimit: 99 }), inlined);
  },
});

Deno.test({
  name: "an app without a kontract.json is where its deno.json is",
  ...options,
  async fn() {
    const { "kontract.json": _, ...others } = APP;
    await using app = await makeApp(others);
    assert.match(await builtTexts(app), /PLANTED_SHARED/);
  },
});

Deno.test({
  name: "a Vite build stops where client code imports server code",
  ...options,
  async fn() {
    await using app = await makeApp(APP);
    await app.write(
      "web/main.ts",
      `import { key } from "../src/secrets.ts";\nconsole.log(key());\n`,
    );
    await assert.rejects(builtTexts(app), /server code \(it uses 'secret'\)/);
  },
});

Deno.test({
  name: "a Vite build stops with the compiler's own messages where the app has errors",
  ...options,
  async fn() {
    await using app = await makeApp(APP);
    await app.write("src/notes.ts", NOTES.replace("n: number", "n: () => void"));
    await assert.rejects(builtTexts(app), /KT3001[^]*'double' cannot take 'n'/);
  },
});

const chromium = findChromium();
if (chromium === null) {
  console.warn(
    "SKIPPED: the Vite dev server test needs Chromium (Debian: apt-get install chromium).",
  );
}

async function served(
  app: TestApp,
): Promise<{ readonly vite: ViteDevServer; readonly url: string }> {
  const vite = await createServer({ ...settings(app), server: { host: "127.0.0.1", port: 0 } });
  await vite.listen(0);
  const address = vite.httpServer?.address();
  assert.ok(typeof address === "object" && address !== null);
  return { vite, url: `http://127.0.0.1:${address.port}/` };
}

Deno.test({
  name:
    "in Chromium Vite's dev server serves stubs and reloads for a changed signature, not for a changed body",
  ignore: chromium === null,
  ...options,
  async fn() {
    await using app = await makeApp(APP);
    const { vite, url } = await served(app);
    const browser = await launchChromium(chromium!);
    try {
      const page = await browser.newPage();
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(error.message));
      await page.goto(url);
      await page.waitForFunction("globalThis.loads === 1").catch((error) => {
        throw new Error(errors.join("\n"), { cause: error });
      });
      assert.ok((await page.evaluate("sent") as readonly string[]).length > 0, "a stub sends");
      assert.doesNotMatch(await page.evaluate("text") as string, /MARKER/);
      assert.deepEqual(await page.evaluate("names"), ["double", "more"]);

      // A page is told to reload only over a socket that it has opened by then.
      while (vite.ws.clients.size === 0) await page.waitForTimeout(20);
      const before = updates;
      await app.write("src/notes.ts", NOTES.replace("n * 2", "n + n"));
      while (updates === before) await page.waitForTimeout(20);
      await app.write("src/notes.ts", NOTES.replace("static async double", "static async twice"));
      await page.waitForFunction("globalThis.names?.includes('twice')");
      assert.equal(await page.evaluate("loads"), 2);
    } finally {
      await browser.close();
      await vite.close();
    }
  },
});

Deno.test({
  name: "a source of which Vite tells when it was emptied is looked at when it is whole",
  ...options,
  async fn() {
    await using app = await makeApp(APP);
    const plugin = kontract({ pins: ["a-pin"], root: app.root });
    await plugin.config.call({}, { root: join(app.root, "web") });
    const sent: unknown[] = [];
    const context = { environment: { hot: { send: (payload: unknown) => sent.push(payload) } } };
    await app.write("src/notes.ts", "");
    const told = plugin.hotUpdate.call(context as never, {
      file: join(app.root, "src/notes.ts"),
      modules: [],
    });
    // Before this turn ends: how long a write takes decides nothing.
    Deno.writeTextFileSync(
      join(app.root, "src/notes.ts"),
      NOTES.replace("static async double", "static async twice"),
    );
    await told;
    assert.deepEqual(sent, []);
    assert.match(await plugin.load.call(context as never, "\0kontract:routes.js") ?? "", /twice/);
  },
});

Deno.test({
  name: "Vite reads JSX as the app's deno.json says, unless it is told itself",
  ...options,
  async fn() {
    await using app = await makeApp({
      ...APP,
      "web/index.html": `<!doctype html><script type="module" src="/main.tsx"></script>\n`,
      "web/own.ts": `export const own = (tag: string): string => "PLANTED_" + tag;
declare global { namespace JSX { type Element = string; interface IntrinsicElements { p: object } } }
`,
      "web/main.tsx": `import { own } from "./own.ts";\ndocument.title = <p />;\n`,
    });
    const config = JSON.parse(await app.read("deno.json"));
    const compilerOptions = { jsx: "react", jsxFactory: "own" };
    await app.write("deno.json", JSON.stringify({ ...config, compilerOptions }));
    assert.match(await builtTexts(app), /PLANTED_/);
    await app.write(
      "web/main.tsx",
      `import { own } from "./own.ts";\nimport { key } from "../src/secrets.ts";\nown(key());\ndocument.title = <p />;\n`,
    );
    await assert.rejects(builtTexts(app), /'\.\.\/src\/secrets\.ts' is server code/);
  },
});

Deno.test({
  name: "Vite's dev server finds the development runtime of a package's JSX",
  ...options,
  async fn() {
    const { "web/main.ts": _, ...others } = APP;
    await using app = await makeApp({ ...others, "web/main.tsx": `export const shown = <p />;\n` });
    const { imports, ...config } = JSON.parse(await app.read("deno.json"));
    await app.write(
      "deno.json",
      JSON.stringify({
        ...config,
        imports: { ...imports, hono: "npm:hono@4.13.19" },
        compilerOptions: { jsx: "react-jsx", jsxImportSource: "hono/jsx/dom" },
      }),
    );
    const { vite } = await served(app);
    try {
      const importer = join(app.root, "web", "main.tsx");
      const found = await vite.pluginContainer.resolveId("hono/jsx/dom/jsx-dev-runtime", importer);
      assert.match(found?.id ?? "", /hono.*jsx-dev-runtime\.js/);
    } finally {
      await vite.close();
    }
  },
});

Deno.test("JSX is told in the words of the Vite that asks", () => {
  const preact = { jsx: "react-jsx", jsxImportSource: "preact" };
  assert.deepEqual(viteJsx(preact, {}, "8.3.8"), {
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  });
  assert.deepEqual(viteJsx(preact, {}, undefined), {
    esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  });
  assert.deepEqual(viteJsx(preact, { oxc: { jsx: "preserve" } }, "8.3.8"), {});
  assert.deepEqual(viteJsx({}, {}, "8.3.8"), {});
});
