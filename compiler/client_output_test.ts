/** What a front end carries: what it calls and nothing else, however it calls it and whoever bundles it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build as viteBuild } from "vite";
import { namespacedApi } from "./api_import.ts";
import { build, formatDiagnostics } from "./mod.ts";
import { listFiles } from "./project.ts";
import { makeApp, type TestApp } from "./testing/app.ts";
import { vitePlugin } from "./vite.ts";

const SOURCES: Readonly<Record<string, string>> = {
  "kontract.json": `{ "name": "carried" }\n`,
  "src/secrets.ts": `import { secret } from "@kontract/kontract";
export const key = (): string => secret("MARKER_SECRET_NAME") + "MARKER_SECRET_MODULE";
`,
  "src/helper.ts": `import { createHmac } from "node:crypto";
import { ctx, env } from "@kontract/kontract";
import postgres from "postgres";
export const owner = async (): Promise<string> => {
  await env.shared.set("MARKER_ENV", 1);
  return createHmac("sha256", "MARKER_HMAC").update(ctx.owner).digest("hex") + typeof postgres;
};
`,
  "src/middleware.ts": `import { defineMiddleware, requireGroup } from "@kontract/kontract";
export const admins = defineMiddleware({ prefix: "admin" }, requireGroup("MARKER_REQUIRED_GROUP"));
export const timed = defineMiddleware({}, async (next) => {
  console.log("MARKER_MIDDLEWARE");
  return await next();
});
`,
  "src/server.ts": `import { defineServer } from "@kontract/kontract";
export default defineServer({ auth: { appName: "MARKER_SERVER_OPTIONS" } });
`,
  "src/errors.ts": `import { AppError } from "@kontract/kontract";
export class Refused extends AppError<"REFUSED", { why: string }> {
  constructor(why: string) {
    super("REFUSED", "MARKER_ERROR_TEXT", { data: { why: why + "MARKER_ERROR_DATA" } });
  }
}
`,
  "src/api.ts": `import { backend } from "@kontract/kontract";
import { Refused } from "./errors.ts";
import { owner } from "./helper.ts";
import { key } from "./secrets.ts";
export interface Kept { keptField: string }
export interface Dropped { droppedField: number }
export class Api {
  @backend({ ugroup: "MARKER_GROUP" })
  static async keptRoute(kept: Kept): Promise<Kept> {
    if (key() === "MARKER_BODY") throw new Refused(await owner());
    return kept;
  }
  @backend({ readOnly: true, rateLimit: { limit: 4711, windowMs: 60_000 } })
  static async droppedRoute(dropped: Dropped): Promise<Dropped> {
    return await Promise.resolve(dropped);
  }
  @backend({})
  static async adminRoute(secret: string = "MARKER_DEFAULT"): Promise<string> {
    return await Promise.resolve(secret);
  }
}
`,
  "web/index.html": `<!doctype html><script type="module" src="./main.ts"></script>\n`,
};

/** How a page may call: each keeps one route. */
const PAGES: Readonly<Record<string, string>> = {
  "flat":
    `import { keptRoute } from "@/client";\nconsole.log(await keptRoute({ keptField: "x" }));\n`,
  "api": `import {\n  api,\n  client,\n} from "@/client";
console.log(client.app, await api.keptRoute({ keptField: "x" }));\n`,
  "api under another name":
    `import { api as backend } from "@/client";\nconsole.log(await backend.keptRoute({ keptField: "x" }));\n`,
};

const options = { sanitizeOps: false, sanitizeResources: false };

async function texts(folder: string): Promise<string> {
  const files = await listFiles(folder);
  return (await Promise.all(files.map((file) => Deno.readTextFile(file)))).join("\n");
}

async function ours(app: TestApp): Promise<string> {
  const { diagnostics } = await build({ root: app.root, hosts: ["deno"], pins: ["a-pin"] });
  assert.equal(formatDiagnostics(diagnostics), "");
  return await texts(join(app.root, "dist", "public"));
}

async function vites(app: TestApp): Promise<string> {
  const outDir = join(app.root, "built");
  await viteBuild({
    root: join(app.root, "web"),
    configFile: false,
    logLevel: "silent",
    plugins: [vitePlugin({}, () => Promise.resolve(["a-pin"])) as never],
    build: { outDir, emptyOutDir: true, target: "es2022" },
  });
  return await texts(outDir);
}

for (const [bundler, bundle] of Object.entries({ "our bundler": ours, "Vite": vites })) {
  Deno.test({
    name:
      `${bundler}: a page carries the routes it calls, by name or through api, and no marker of the server`,
    ...options,
    async fn() {
      await using app = await makeApp(SOURCES);
      for (const [name, text] of Object.entries(PAGES)) {
        await app.write("web/main.ts", text);
        const out = await bundle(app);
        assert.deepEqual(out.match(/MARKER_\w+|4711/g) ?? [], [], name);
        assert.match(out, /keptField/, name);
        assert.match(out, /a-pin/, name);
        // Sources in maps are the package's own here, and say what they like in comments.
        const code = out.replaceAll(/"sourcesContent":[^\n]*/g, "");
        assert.doesNotMatch(code, /droppedField|droppedRoute/, name);
        assert.doesNotMatch(code, /createHmac|postgres/, name);
      }
    },
  });
}

Deno.test("the client module itself holds no marker of the server either", async () => {
  await using app = await makeApp({ ...SOURCES, "web/main.ts": PAGES.flat! });
  await ours(app);
  const out = await texts(join(app.root, "dist", "client"));
  assert.deepEqual(out.match(/MARKER_\w+|4711/g) ?? [], []);
  assert.match(out, /droppedField/);
});

Deno.test("api as a namespace: only its import changes, and what is around it stays where it is", () => {
  const cases: readonly [string, string][] = [
    [
      `import { api } from "@/client";`,
      `import {     } from "@/client"; import * as api from "@/client/api";`,
    ],
    [
      `import {\n  a,\n  api as b,\n  type T,\n} from "@/client";\nb.x();`,
      `import {\n  a,\n           \n  type T,\n} from "@/client"; import * as b from "@/client/api";\nb.x();`,
    ],
    [
      `import d, { a, api /* , */ } from "@/client" /* c */\napi.x()`,
      `import d, { a,     /* , */ } from "@/client"; import * as api from "@/client/api"; /* c */\napi.x()`,
    ],
    [
      `import { api } from "./own.ts"; // "@/client"`,
      `import { api } from "./own.ts"; // "@/client"`,
    ],
    [`import type { api } from "@/client";`, `import type { api } from "@/client";`],
    [
      `import * as all from "@/client"; all.api.x();`,
      `import * as all from "@/client"; all.api.x();`,
    ],
    [
      `const text = 'import { api } from "@/client"';`,
      `const text = 'import { api } from "@/client"';`,
    ],
  ];
  for (const [text, expected] of cases) assert.equal(namespacedApi("a.ts", text), expected);
});
