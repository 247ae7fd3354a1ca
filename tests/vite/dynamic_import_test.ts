/** Modules with backend functions that client code imports as it runs, whoever bundles it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build as viteBuild, createServer, preview } from "vite";
import { build, formatDiagnostics } from "../../compiler/mod.ts";
import { makeApp, type TestApp } from "../../compiler/testing/app.ts";
import { kontract } from "../../cli/vite.ts";
import { findChromium, launchChromium } from "../browser/chromium.ts";

const API = `import { backend, secret } from "@kontract/kontract";
export const helper = (): string => secret("MARKER_SECRET");
export class Notes {
  @backend({})
  static async double(n: number): Promise<number> {
    return await Promise.resolve(n * 2 + helper().length);
  }
}
export const more = backend({}, (): Promise<string> => Promise.resolve("MARKER_MORE"));
`;

/** Each way is legal, and each of them calls. */
const CALLS = [
  `(await import("../src/api.ts")).Notes.double(1)`,
  `import("../src/api.ts").then(({ more }) => more())`,
  `import("../src/api.ts").then((all) => all.Notes.double(1))`,
  `load().then((all) => all["more"]())`,
];

const MAIN = `import { client } from "@/client";
import { closed } from "./closed.ts";
client.configure(closed);
const load = () => import("../src/api.ts");
const { Notes, ...rest } = await import("./again.ts");
const ends = await Promise.allSettled([${CALLS.join(", ")}, Notes.double(2), rest.more()]);
const reasons = ends.map((end) => end.status === "rejected" ? String(end.reason) : "an answer");
Object.assign(globalThis, { reasons });
`;

const APP: Readonly<Record<string, string>> = {
  "kontract.json": `{ "name": "dynamic" }`,
  "src/api.ts": API,
  "web/index.html": `<!doctype html><script type="module" src="./main.ts"></script>\n`,
  "web/again.ts": `export { more, Notes } from "../src/api.ts";\n`,
  "web/main.ts": MAIN,
  "web/closed.ts": `/** Settings of a client that reaches no server. */
export const closed = {
  url: "http://127.0.0.1:1",
  transport: () => ({
    call: (): Promise<never> => Promise.reject(new Error("closed")),
    stream: (): never => {
      throw new Error("closed");
    },
    close: () => {},
  }),
};
`,
};

const options = { sanitizeOps: false, sanitizeResources: false };
const chromium = findChromium();

interface Served extends AsyncDisposable {
  readonly url: string;
}

function vite(app: TestApp) {
  return {
    root: join(app.root, "web"),
    configFile: false as const,
    logLevel: "silent" as const,
    plugins: [kontract({ pins: ["a-pin"] }) as never],
    build: { outDir: join(app.root, "built"), emptyOutDir: true, target: "es2022" },
  };
}

function urlOf(server: { address(): unknown } | null): string {
  const { port } = server?.address() as { readonly port: number };
  return `http://127.0.0.1:${port}/`;
}

const BUNDLERS: Readonly<Record<string, (app: TestApp) => Promise<Served>>> = {
  async "Kontract's bundle"(app) {
    const { diagnostics } = await build({ root: app.root, hosts: ["deno"], pins: ["a-pin"] });
    assert.equal(formatDiagnostics(diagnostics), "");
    const folder = join(app.root, "dist", "public");
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        const path = new URL(request.url).pathname;
        const file = join(folder, path === "/" ? "index.html" : path);
        const bytes = await Deno.readFile(file).catch(() => null);
        const type = file.endsWith(".html") ? "text/html" : "text/javascript";
        return new Response(bytes, {
          status: bytes === null ? 404 : 200,
          headers: { "content-type": type },
        });
      },
    );
    return {
      url: `http://127.0.0.1:${server.addr.port}/`,
      [Symbol.asyncDispose]: () => server.shutdown(),
    };
  },
  async "Vite's build"(app) {
    await viteBuild(vite(app));
    const server = await preview({ ...vite(app), preview: { host: "127.0.0.1", port: 0 } });
    return { url: urlOf(server.httpServer), [Symbol.asyncDispose]: () => server.close() };
  },
  async "Vite's dev server"(app) {
    const server = await createServer({ ...vite(app), server: { host: "127.0.0.1", port: 0 } });
    await server.listen(0);
    return { url: urlOf(server.httpServer), [Symbol.asyncDispose]: () => server.close() };
  },
};

/** What a page's calls came to. */
async function callsOf(url: string): Promise<readonly string[]> {
  const browser = await launchChromium(chromium!);
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(url);
    await page.waitForFunction("globalThis.reasons !== undefined").catch((error) => {
      throw new Error(errors.join("\n"), { cause: error });
    });
    return await page.evaluate("reasons") as readonly string[];
  } finally {
    await browser.close();
  }
}

for (const [name, serve] of Object.entries(BUNDLERS)) {
  Deno.test({
    name:
      `${name}: in Chromium a module imported as the page runs has its stubs, and each of them calls`,
    ignore: chromium === null,
    ...options,
    async fn() {
      await using app = await makeApp(APP);
      await using served = await serve(app);
      const reasons = await callsOf(served.url);
      const failed = "KontractError: The client failed.";
      assert.deepEqual(reasons, Array.from({ length: CALLS.length + 2 }, () => failed));
    },
  });
}

Deno.test({
  name:
    "a module with backend functions under a name that is put together as the page runs is a stub",
  ...options,
  async fn() {
    const main = "console.log(await import(`../src/${location.hash}.ts`));\nexport {};\n";
    await using app = await makeApp({ ...APP, "web/main.ts": main });
    const { diagnostics } = await build({ root: app.root, hosts: ["deno"] });
    assert.equal(formatDiagnostics(diagnostics), "");
    const folder = join(app.root, "dist", "public", "chunks");
    const files = [...Deno.readDirSync(folder)].map((one) => one.name);
    assert.ok(files.some((file) => file.startsWith("api-")));
    for (const file of files) {
      assert.doesNotMatch(await Deno.readTextFile(join(folder, file)), /MARKER/);
    }
    await app.write(
      "src/plain.ts",
      `import { secret } from "@kontract/kontract";\nexport const key = () => secret("KEY");\n`,
    );
    const refused = await build({ root: app.root, hosts: ["deno"] });
    assert.match(
      formatDiagnostics(refused.diagnostics),
      /KT5001 'src\/plain\.ts' is server code \(it uses 'secret'\).*\n.*web\/main\.ts:1:26[^]*hint: Import its types/,
    );
  },
});

Deno.test({
  name: "a Vite build stops where client code takes a helper of such a module as it runs",
  ...options,
  async fn() {
    await using app = await makeApp(APP);
    await app.write("web/main.ts", `console.log((await import("../src/api.ts")).helper());\n`);
    await assert.rejects(
      viteBuild(vite(app)),
      /KT5001 'helper' stands in a module with backend functions/,
    );
  },
});

Deno.test({
  name: "a worker that Vite bundles gets stubs too, and no server code",
  ...options,
  async fn() {
    await using app = await makeApp({
      ...APP,
      "web/main.ts":
        `new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });\nexport {};\n`,
      "web/worker.ts":
        `import { api } from "@/client";\nimport { more } from "../src/api.ts";\nawait Promise.all([api.double(1), more()]);\n`,
    });
    await viteBuild({ ...vite(app), worker: { format: "es" } });
    const folder = join(app.root, "built", "assets");
    const texts = await Promise.all(
      [...Deno.readDirSync(folder)].map((one) => Deno.readTextFile(join(folder, one.name))),
    );
    assert.match(texts.join(), /a-pin/);
    assert.doesNotMatch(texts.join(), /MARKER/);
    await app.write(
      "src/plain.ts",
      `import { secret } from "@kontract/kontract";\nexport const key = () => secret("KEY");\n`,
    );
    await app.write(
      "web/worker.ts",
      `import { key } from "../src/plain.ts";\nconsole.log(key());\n`,
    );
    await assert.rejects(
      viteBuild(vite(app)),
      /'src\/plain\.ts' is server code \(it uses 'secret'\)/,
    );
  },
});
