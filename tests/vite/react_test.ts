/** React, a package that is CommonJS alone, in Vite: its dev server in Chromium, its build behind `start`. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build as viteBuild, createLogger, createServer, resolveConfig } from "vite";
import { kontract } from "../../cli/vite.ts";
import { build, formatDiagnostics } from "../../compiler/mod.ts";
import { makeApp, type TestApp } from "../../compiler/testing/app.ts";
import { VITE_DENIES } from "../../compiler/vite.ts";
import { findChromium, launchChromium } from "../browser/chromium.ts";
import { startApp } from "../browser/running_app.ts";

const MAIN = `import { useState } from "react";
import { createRoot } from "react-dom/client";
import { double } from "@/client";

function Doubler() {
  const [n, setN] = useState(1);
  const more = () => double(n).then(setN, (error) => document.title = String(error));
  return <button onClick={more}>{n}</button>;
}
createRoot(document.getElementById("root")!).render(<Doubler />);
`;

/** As Vite's own templates have it: the page names the script. */
const APP: Readonly<Record<string, string>> = {
  "kontract.json": `{ "name": "reacting", "site": "site" }`,
  "src/api.ts": `import { backend, secret } from "@kontract/kontract";
export const double = backend({}, (n: number): Promise<number> => Promise.resolve(n * 2));
export const key = (): string => secret("MARKER_SECRET");
`,
  "web/index.html": `<!doctype html><title>ready</title><div id="root"></div>
<script type="module" src="/app/page.tsx"></script>
`,
  "web/app/page.tsx": MAIN,
};

const options = { sanitizeOps: false, sanitizeResources: false };
const chromium = findChromium();

async function reactApp(files: Readonly<Record<string, string>> = APP): Promise<TestApp> {
  const app = await makeApp(files);
  const { imports, ...config } = JSON.parse(await app.read("deno.json"));
  const versions = { react: "npm:react@19.3.1", "react-dom": "npm:react-dom@19.3.1" };
  const compilerOptions = { jsx: "react-jsx", jsxImportSource: "react" };
  const all = { ...config, imports: { ...imports, ...versions }, compilerOptions };
  await app.write("deno.json", JSON.stringify(all));
  return app;
}

/** `said` gets what Vite says. */
function settings(app: TestApp, said: string[] = []) {
  const log = (text: string): void => void said.push(text);
  return {
    root: join(app.root, "web"),
    configFile: false as const,
    logLevel: "silent" as const,
    customLogger: { ...createLogger("silent"), warn: log, warnOnce: log, error: log },
    plugins: [kontract() as never],
    // As a plugin for React asks for it.
    optimizeDeps: { include: ["react", "react/jsx-dev-runtime"] },
  };
}

async function served(app: TestApp, said: string[] = []) {
  const server = { host: "127.0.0.1", port: 0 };
  const vite = await createServer({ ...settings(app, said), server });
  await vite.listen(0);
  const { port } = vite.httpServer!.address() as { readonly port: number };
  return { url: `http://127.0.0.1:${port}/`, [Symbol.asyncDispose]: () => vite.close() };
}

Deno.test({
  name: "in Chromium Vite's dev server runs React, and packages that are imported while it runs",
  ignore: chromium === null,
  ...options,
  async fn() {
    await using app = await reactApp();
    const said: string[] = [];
    await using vite = await served(app, said);
    const browser = await launchChromium(chromium!);
    try {
      const page = await browser.newPage();
      page.on("pageerror", ({ message }) => said.push(message));
      await page.goto(vite.url);
      await page.getByRole("button", { name: "1" }).click().catch((cause) => {
        throw new Error(said.join("\n"), { cause });
      });
      await page.waitForFunction("document.title !== 'ready'");
      assert.match(
        await page.title(),
        /KontractError/,
        "the stub calls a server that is not there",
      );
      const later = `import { raw } from "hono/html";\n${MAIN.replace("{n}<", "{raw('later')}<")}`;
      await app.write("web/app/page.tsx", later);
      await page.getByRole("button", { name: "later" }).waitFor();
      assert.deepEqual(said, []);
      await app.write("lib/keys.ts", APP["src/api.ts"]!.replace(/export const double.*\n/, ""));
      await app.write(
        "web/app/page.tsx",
        `import { key } from "../../lib/keys.ts";\n${later.replace("'later'", "key()")}`,
      );
      await page.getByText("server code (it uses 'secret')").waitFor();
    } finally {
      await browser.close();
    }
  },
});

Deno.test({
  name: "Vite's dev server gives nobody the app's secret, nor what Vite itself keeps back",
  ...options,
  async fn() {
    await using app = await reactApp({ ...APP, ".env": "NAME=MARKER_ENV\n" });
    const resolved = await resolveConfig({ configFile: false, root: app.root }, "serve");
    assert.deepEqual(VITE_DENIES, resolved.server.fs.deny);
    await using vite = await served(app);
    const [secret] = await Promise.all([
      app.read(".kontract/secret"),
      app.write(".kontract/state/kept.json", "{}"),
    ]);
    assert.ok(secret.length > 40);
    for (const path of [".kontract/secret", ".kontract/state/kept.json", ".env"]) {
      const response = await fetch(`${vite.url}@fs${app.root}/${path}?raw`);
      assert.equal(response.status, 403, path);
      await response.body?.cancel();
    }
  },
});

Deno.test({
  name: "a page that Vite has built is what 'start' serves, and pins the key of its gateway",
  ignore: chromium === null,
  ...options,
  async fn() {
    await using app = await reactApp();
    await app.write("site/old.js", "");
    await viteBuild(settings(app));
    assert.deepEqual(
      [...Deno.readDirSync(join(app.root, "site"))].map(({ name }) => name).sort(),
      ["assets", "index.html"],
    );
    const running = await startApp({ folder: app.root, args: ["--host", "deno"] });
    const browser = await launchChromium(chromium!);
    try {
      const page = await browser.newPage();
      await page.goto(`${running.url}/some/page`);
      for (const n of [1, 2, 4]) {
        await page.getByRole("button", { name: String(n), exact: true }).click();
      }
      await page.getByRole("button", { name: "8" }).waitFor();
    } finally {
      await browser.close();
      await running.stop();
    }
  },
});

Deno.test({
  name: "a page's folder that is what Vite makes the page from is refused, and is not emptied",
  ...options,
  async fn() {
    await using app = await makeApp({
      "kontract.json": `{ "name": "sited", "site": "web" }`,
      "src/api.ts": APP["src/api.ts"]!,
      "web/index.html": `<script type="module" src="/main.ts"></script>`,
      "web/main.ts": "console.log(1);\n",
    });
    await assert.rejects(
      viteBuild(settings(app)),
      /KT1001 'site' in kontract\.json holds what Vite/,
    );
    assert.equal(await app.read("web/main.ts"), "console.log(1);\n");
  },
});

Deno.test({
  name:
    "a site that is missing, or was built without the plugin, ends a build and no rebuild of dev",
  ...options,
  async fn() {
    await using app = await makeApp({
      "kontract.json": `{ "name": "sited", "site": "site" }`,
      "src/api.ts": APP["src/api.ts"]!,
    });
    const built = async (layout: "bundle" | "modules") => {
      const { diagnostics } = await build({ root: app.root, hosts: ["deno"], layout });
      return formatDiagnostics(diagnostics);
    };
    assert.equal(await built("modules"), "");
    assert.match(await built("bundle"), /KT1001[^]*There is no page in 'site'[^]*vite build/);
    await app.write("site/index.html", `<script type="module" src="/assets/a.js"></script>`);
    await app.write("site/assets/a.js", "PLANTED();");
    assert.equal(await built("bundle"), "");
    assert.equal(await app.read("dist/public/assets/a.js"), "PLANTED();");
    const decorators = await Deno.readTextFile(
      new URL("../../runtime/decorators.ts", import.meta.url),
    );
    await app.write("site/assets/a.js", decorators);
    assert.match(await built("bundle"), /KT5001[^]*'site\/assets\/a\.js' has server code in it/);
    await app.write("kontract.json", `{ "name": "sited", "site": "dist/page" }`);
    assert.match(await built("bundle"), /KT1001 'site' in kontract\.json must be a folder inside/);
  },
});
