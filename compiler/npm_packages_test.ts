/** npm packages that another tool has installed, in all bundles: files for browsers, for `require`, and missing ones. */
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { build, formatDiagnostics } from "./mod.ts";
import { makeApp } from "./testing/app.ts";

/** A package of the kind that many are: CommonJS that tries another, with other files for browsers. */
const PACKAGES: Readonly<Record<string, string>> = {
  "node_modules/pack/package.json": JSON.stringify({
    name: "pack",
    version: "1.0.0",
    main: "./lib/index.js",
    browser: { "./lib/host.js": "./lib/page.js", "node:os": false, zlib: "./lib/none.js" },
    dependencies: { both: "1.0.0" },
  }),
  "node_modules/pack/lib/index.js": `const both = require("both");
let optional = "without";
try {
  optional = require("not-there");
} catch (error) {
  optional += " " + error.code;
}
exports.said = [require("./host"), both(), optional].join(", ");
exports.later = () => import("not-there-either").then(() => "there", (error) => error.code);
`,
  "node_modules/pack/lib/host.js":
    `module.exports = "host " + typeof require("node:os").cpus + typeof require("zlib").gzip;\n`,
  "node_modules/pack/lib/page.js":
    `module.exports = "page " + typeof require("node:os").cpus + require("zlib");\n`,
  "node_modules/pack/lib/none.js": `module.exports = "none";\n`,
  "node_modules/both/package.json": JSON.stringify({
    name: "both",
    version: "1.0.0",
    exports: { import: "./both.mjs", require: "./both.cjs" },
  }),
  "node_modules/both/both.mjs": `export default () => "imported";\n`,
  "node_modules/both/both.cjs": `module.exports = () => "required";\n`,
};

const APP: Readonly<Record<string, string>> = {
  ...PACKAGES,
  "package.json": `{ "dependencies": { "pack": "1.0.0", "both": "1.0.0" } }`,
  "src/api.ts": `import { backend } from "@kontract/kontract";
import both from "both";
import pack from "pack";
export const onServer = backend({}, async (): Promise<string> =>
  [pack.said, both(), await pack.later()].join("; "));
`,
  "web/main.ts": `import both from "both";
import pack from "pack";
export const inPage = [pack.said, both(), await pack.later()].join("; ");
`,
};

const options = { sanitizeOps: false, sanitizeResources: false };

/** Folders of the packages that this one imports, as Deno keeps them. */
async function ownPackages(): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "runtime/deno/mod.ts"],
    cwd: new URL("..", import.meta.url),
  }).output();
  const { modules, npmPackages }: {
    readonly modules: readonly { readonly npmPackage?: string }[];
    readonly npmPackages: Readonly<Record<string, { readonly name: string; localPath: string }>>;
  } = JSON.parse(new TextDecoder().decode(stdout));
  return new Map(
    modules.flatMap(({ npmPackage = "" }) => npmPackages[npmPackage] ?? [])
      .map(({ name, localPath }) => [name, localPath]),
  );
}

Deno.test({
  name:
    "a package has its files for browsers in the client and for require, and what it can do without is missed",
  ...options,
  async fn() {
    await using app = await makeApp(APP);
    const config = JSON.parse(await app.read("deno.json"));
    await app.write("deno.json", JSON.stringify({ ...config, nodeModulesDir: "manual" }));
    const { diagnostics } = await build({ root: app.root, hosts: ["deno"] });
    assert.match(
      formatDiagnostics(diagnostics),
      /^error KT1002 What Kontract itself needs cannot be found: [^]*"nodeModulesDir": "auto"[^]*\n1 error\n$/,
    );
    for (const [name, folder] of await ownPackages()) {
      await cp(folder, join(app.root, "node_modules", name), { recursive: true });
    }
    for (const layout of ["bundle", "modules"] as const) {
      const built = await build({ root: app.root, hosts: ["deno", "workers"], layout });
      assert.equal(formatDiagnostics(built.diagnostics), "");
      const page = await import(`file://${app.root}/dist/public/main.js?${layout}`);
      assert.equal(
        page.inPage,
        "page undefinednone, required, without MODULE_NOT_FOUND; imported; MODULE_NOT_FOUND",
      );
    }
    const onServer = async (host: "deno" | "worker"): Promise<string> => {
      const chunks = join(app.root, "dist", host, "chunks");
      const [name] = [...Deno.readDirSync(chunks)].map((one) => one.name)
        .filter((one) => /^0-.*\.js$/.test(one));
      const { routes } = await import(`file://${chunks}/${name}`);
      return await routes.onServer.invoke([]);
    };
    const rest = ", required, without MODULE_NOT_FOUND; imported; MODULE_NOT_FOUND";
    assert.equal(await onServer("deno"), `host functionfunction${rest}`);
    // As wrangler has it: files for browsers, and the modules of Node that workerd has.
    assert.equal(await onServer("worker"), `page function[object Object]${rest}`);
  },
});
