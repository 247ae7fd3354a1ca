/** When the front end is bundled again. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AnalysisCache, analyze } from "./analysis.ts";
import { Diagnostics, formatDiagnostics } from "./diagnostic.ts";
import { FrontEnd } from "./front_end.ts";
import { ManifestOutput } from "./manifest_output.ts";
import { build, check, createBuilder, stopBundler } from "./mod.ts";
import { OutputFolder } from "./output.ts";
import { listFiles } from "./project.ts";
import { makeApp } from "./testing/app.ts";

const ROUTES = `import { backend } from "@kontract/kontract";
export const first = backend({}, async (n: number): Promise<number> => await Promise.resolve(n));
`;

Deno.test({
  name:
    "an edit that changes nothing of the front end but the build's hash does not bundle it again",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using app = await makeApp({
      "src/routes.ts": ROUTES,
      "web/main.ts":
        `import { first } from "@/client";\nconsole.log(await first(1), import("./later.ts"));\n`,
      "web/later.ts": "console.log(1);\n",
      "web/index.html": `<script type="module" src="./main.ts"></script>\n`,
    });
    const cache = new AnalysisCache();
    const output = new ManifestOutput(), front = new FrontEnd(), folder = new OutputFolder();
    const outDir = join(app.root, "dist");
    const make = async (): Promise<Readonly<Record<"connection" | "later" | "main", unknown>>> => {
      const diagnostics = new Diagnostics();
      const analysis = await analyze({
        root: app.root,
        hosts: ["deno"],
        cache,
        diagnostics,
        checkAll: false,
        time: (_, work) => work(),
      });
      assert.ok(analysis !== null && !diagnostics.failed);
      const layout = "modules";
      const { client, files } = output.files(analysis, [], layout);
      const made = await front.make({
        analysis,
        client,
        outDir,
        minify: false,
        layout,
        diagnostics,
      });
      assert.ok(made !== null);
      // What a build leaves on the disk is the client module of that build.
      await folder.update(outDir, files, () => Promise.resolve());
      const connection = made.get("@kontract/client/connection.js");
      assert.ok(typeof connection === "string" && connection.includes(analysis.manifest.build));
      const [, later] = [...made].find(([name]) => /later.*\.js$/.test(name))!;
      return { connection, later, main: made.get("main.js") };
    };
    const before = await make();
    await app.write("src/routes.ts", ROUTES.replace("resolve(n)", "resolve(n + 1)"));
    const same = await make();
    assert.notEqual(same.connection, before.connection, "the hash is another");
    assert.equal(same.later, before.later, "what has no hash is the same object");
    await app.write("web/later.ts", "console.log(2);\n");
    const other = await make();
    assert.notEqual(other.later, before.later);
    assert.match(new TextDecoder().decode(other.later as Uint8Array), /console\.log\(2\)/);
    await app.write("src/routes.ts", ROUTES.replaceAll("first", "second") + ROUTES.split("\n")[1]);
    const renamed = await make();
    assert.notEqual(renamed.later, other.later, "the client module has other names");
    await app.write(
      "src/routes.ts",
      (await app.read("src/routes.ts")).replaceAll("number", "string"),
    );
    const typed = await make();
    assert.equal(typed.main, renamed.main, "the names are the same, and no bundler runs");
    await stopBundler();
  },
});

interface Pages {
  page(name: string): Promise<{ readonly said: number }>;
  data(name: string): Promise<{ readonly default: unknown }>;
}

Deno.test({
  name: "files that come and go in a folder that a page imports from by name are in the next build",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using app = await makeApp({
      "src/routes.ts": ROUTES,
      "web/main.ts": `export const page = (name: string) => import(\`./pages/\${name}.ts\`);
export const data = (name: string) => import(\`../data/\${name}.json\`);
`,
      "web/pages/one.ts": "export const said = 1;\n",
      "data/one.json": "[1]",
    });
    const builder = createBuilder({ root: app.root, hosts: ["deno"], layout: "modules" });
    const edits: readonly Readonly<Record<string, string | null>>[] = [
      {},
      { "web/pages/two.ts": "export const said = 2;\n" },
      { "data/two.json": "[2]" },
      { "web/pages/one.ts": null, "data/one.json": null },
    ];
    const seen: unknown[] = [];
    for (const [i, edit] of edits.entries()) {
      for (const [path, text] of Object.entries(edit)) await app.write(path, text);
      assert.equal(formatDiagnostics((await builder.rebuild()).diagnostics), "");
      const { page, data }: Pages = await import(`file://${app.root}/dist/public/main.js?${i}`);
      const found = async (name: string): Promise<unknown> => [
        await Promise.try(page, name).then((one) => one.said, () => null),
        await Promise.try(data, name).then((one) => one.default, () => null),
      ];
      seen.push([await found("one"), await found("two")]);
    }
    assert.deepEqual(seen, [
      [[1, [1]], [null, null]],
      [[1, [1]], [2, null]],
      [[1, [1]], [2, [2]]],
      [[null, null], [2, [2]]],
    ]);
    await stopBundler();
  },
});

Deno.test({
  name: "in one bundle and in parts a page calls the same functions, however it imports them",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using app = await makeApp({
      "src/routes.ts": `import { AppError, backend } from "@kontract/kontract";
export class Refused extends AppError<"REFUSED", undefined> {
  constructor() { super("REFUSED", "MARKER"); }
}
${
        ["one", "two", "three", "four", "five", "six"].map((name) =>
          `export const ${name} = backend({}, async (): Promise<void> => { await 0; throw new Refused(); });`
        ).join("\n")
      }
`,
      "web/main.ts": `import * as all from "@/client";
import { api, client, one, Refused } from "@/client";
import { AppError, KontractError } from "@kontract/kontract/client";
import { three } from "../src/routes.ts";
export { four } from "@/client";
client.configure({
  url: "http://localhost",
  transport: () => ({
    call: () => Promise.reject(new KontractError("INTERNAL", "enough")),
    stream: () => { throw new Error("none"); },
    close: () => {},
  }),
});
const { five } = await import("./later.ts");
const { six } = await import("@/client");
const called = [one(), api.two(), three(), all.four(), five(), six()];
const settled = await Promise.allSettled(called);
export const kinds = settled.map((one) => one.status === "rejected" && one.reason instanceof KontractError);
export const same = [one === all.one, api.two === all.two, five === all.five, six === all.six];
export const isTwin = new Refused("m") instanceof AppError;
`,
      "web/later.ts": `export { five } from "@/client";\n`,
    });
    const seen: unknown[] = [];
    for (const layout of ["bundle", "modules"] as const) {
      const built = await build({ root: app.root, hosts: ["deno"], layout });
      assert.equal(formatDiagnostics(built.diagnostics), "");
      for (const file of await listFiles(join(app.root, "dist", "public"))) {
        assert.doesNotMatch(await Deno.readTextFile(file), /MARKER/);
      }
      const page = await import(`file://${app.root}/dist/public/main.js?${layout}`);
      const { same, kinds, isTwin } = page;
      seen.push({ same, kinds, isTwin, again: typeof page.four });
    }
    assert.deepEqual(seen[0], {
      same: Array(4).fill(true),
      kinds: Array(6).fill(true),
      isTwin: true,
      again: "function",
    });
    assert.deepEqual(seen[1], seen[0]);
  },
});

Deno.test("what only servers have of the package is refused where it is imported, in one bundle and in parts", async () => {
  await using app = await makeApp({
    "src/routes.ts": ROUTES,
    "web/main.ts": `import { first } from "@/client";
import { AppError } from "@kontract/kontract";
console.log(first, AppError);
`,
  });
  for (const layout of ["bundle", "modules"] as const) {
    const { diagnostics } = await build({ root: app.root, hosts: ["deno"], layout });
    assert.match(
      formatDiagnostics(diagnostics),
      /^error KT5001 '@kontract\/kontract' is for servers[^]* at web\/main\.ts:2:26\n[^]*\n1 error\n$/,
    );
  }
});

Deno.test("code that a script of the front end locates, for a worker for one, is an error: it is not published", async () => {
  await using app = await makeApp({
    "src/routes.ts": ROUTES,
    "web/main.ts": `const load = () => import("./more.ts");
new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
new SharedWorker("/deep/shared.js?a=1");
await navigator.serviceWorker.register("./sw.js");
console.log(load, new URL("./logo.svg", import.meta.url), new URL("./none.ts", import.meta.url));
new Worker("/made-elsewhere.js");
`,
    "web/more.ts": `export const at = new URL("./worker.ts", import.meta.url);\n`,
    "web/worker.ts": "postMessage(1);\n",
    "web/sw.js": "",
    "web/deep/shared.js": "",
    "web/logo.svg": "<svg></svg>",
  });
  const found = (await check(app.root)).diagnostics.map(({ code, span, message }) =>
    `${code} ${span?.file}:${span?.line}:${span?.column} ${message}`
  );
  const why = "is code, which is published in the scripts that import it: no browser finds it so.";
  assert.deepEqual(found, [
    `KT7001 web/main.ts:2:20 'web/worker.ts' ${why}`,
    `KT7001 web/main.ts:3:18 'web/deep/shared.js' ${why}`,
    `KT7001 web/main.ts:4:40 'web/sw.js' ${why}`,
    `KT7001 web/more.ts:1:27 'web/worker.ts' ${why}`,
  ]);
});

Deno.test("a class of an app's own may have the name of the browser's that starts workers", async () => {
  await using app = await makeApp({
    "src/routes.ts": ROUTES,
    "web/main.ts": `import { Worker } from "./crew.ts";
class URL { constructor(readonly path: string, readonly from: string) {} }
const navigator = { serviceWorker: { register: (name: string): string => name } };
console.log(new Worker("crew.ts"), new URL("./crew.ts", import.meta.url));
console.log(navigator.serviceWorker.register("crew.ts"));
`,
    "web/crew.ts": `export class Worker { constructor(readonly name: string) {} }
declare global { interface SharedWorker { readonly mark?: string } }
new window.Worker("/crew.ts");
new SharedWorker("/crew.ts");
void globalThis.navigator.serviceWorker?.register("/crew.ts");
`,
  });
  const { diagnostics } = await build({ root: app.root, hosts: ["deno"] });
  assert.deepEqual(diagnostics.map(({ span }) => `${span?.file}:${span?.line}:${span?.column}`), [
    "web/crew.ts:3:19",
    "web/crew.ts:4:18",
    "web/crew.ts:5:51",
  ]);
});

Deno.test("names of the client and of packages may be exported again by way of several modules", async () => {
  await using app = await makeApp({
    "src/routes.ts": ROUTES,
    "node_modules/plain/index.js": "export const plain = 1;\n",
    "web/main.ts": `export { first, plain } from "./all.ts";
export { client, kept } from "./star.ts";
`,
    "web/all.ts": `import { first } from "@/client";\nexport { first };
export { plain } from "./package.ts";
`,
    "web/package.ts": `export { plain } from "../node_modules/plain/index.js";\n`,
    "web/star.ts": `export * from "@/client";\nexport * from "./round.ts";\n`,
    "web/round.ts": `export * from "./star.ts";\nexport const kept = 1;\n`,
  });
  const { diagnostics } = await build({ root: app.root, hosts: ["deno"] });
  assert.equal(formatDiagnostics(diagnostics), "");
});

Deno.test("a name that is imported to be exported again, and is not there, is an error where it is imported", async () => {
  await using app = await makeApp({
    "src/routes.ts": ROUTES,
    "web/main.ts": `import { here, type Kind, gone, Other } from "./other.ts";
import { frist } from "@/client";
export { here, Kind, gone as there, Other, frist };
`,
    "web/other.ts": "export const here = 1;\nexport type Kind = 1;\nexport interface Other {}\n",
  });
  const { diagnostics } = await build({ root: app.root, hosts: ["deno"] });
  assert.deepEqual(
    diagnostics.map((
      { span, message },
    ) => [`${span?.file}:${span?.line}:${span?.column}`, message]),
    [
      ["web/main.ts:1:27", "There is no 'gone' in './other.ts'."],
      [
        "web/main.ts:2:10",
        "There is no 'frist' in '@/client': no backend function has this name.",
      ],
    ],
  );
});

Deno.test("an import of one of several files, or of a pattern with a constant in it, is bundled", async () => {
  const LOADS = `const name = "one";
export const load = async (isNew: boolean) => [
  await import(isNew ? "./parts/one.ts" : ("./parts/two.ts")),
  await import(\`./parts/\${name}.ts\`),
  await import("./parts/three.ts" as const),
];
`;
  const parts = (folder: string) =>
    Object.fromEntries(
      ["one", "two", "three"].map((name) => [
        `${folder}/parts/${name}.ts`,
        `export const made = "PLANTED ${folder} ${name}";\n`,
      ]),
    );
  await using app = await makeApp({
    "src/routes.ts": ROUTES + LOADS,
    "web/main.ts": LOADS,
    ...parts("src"),
    ...parts("web"),
  });
  const { diagnostics, files } = await build({ root: app.root, hosts: ["deno"] });
  assert.equal(formatDiagnostics(diagnostics), "");
  const scripts = files.filter((file) => file.endsWith(".js"));
  const text = (await Promise.all(scripts.map((file) => Deno.readTextFile(file)))).join("");
  const planted = [...text.matchAll(/PLANTED (\w+ \w+)/g)].map(([, part]) => part).sort();
  assert.deepEqual(
    [...new Set(planted)],
    ["src one", "src three", "src two", "web one", "web three", "web two"],
  );
});

Deno.test("a front end in JSX has the factory that its configuration names, and packages know what it is for", async () => {
  await using app = await makeApp({
    "src/routes.ts": ROUTES,
    "web/h.ts": `export function h(tag: string | (() => string), ...rest: unknown[]): string {
  return typeof tag === "string" ? tag + rest.length : tag();
}
export const Fragment = (): string => "fragment";
declare global {
  namespace JSX {
    type Element = string;
    interface IntrinsicElements { p: { class?: string } }
  }
}
`,
    "web/main.tsx": `import { Fragment, h } from "./h.ts";
export const made: string[] = [<p class="x">text</p>, <><p /></>];
export const mode = process.env.NODE_ENV;
`,
  });
  const config = JSON.parse(await app.read("deno.json"));
  const compilerOptions = { jsx: "react", jsxFactory: "h", jsxFragmentFactory: "Fragment" };
  await app.write("deno.json", JSON.stringify({ ...config, compilerOptions }));
  for (const [layout, mode] of [["bundle", "production"], ["modules", "development"]] as const) {
    const builder = createBuilder({ root: app.root, hosts: ["deno"], layout, outDir: layout });
    assert.equal(formatDiagnostics((await builder.check()).diagnostics), "");
    assert.equal(formatDiagnostics((await builder.rebuild()).diagnostics), "");
    const page = await import(`file://${app.root}/${layout}/public/main.js`);
    assert.deepEqual([page.made, page.mode], [["p2", "fragment"], mode]);
  }
});

Deno.test("a name that '@/client' has not is told where the author wrote it, in one bundle and in parts", async () => {
  await using app = await makeApp({ "src/routes.ts": ROUTES });
  for (
    const [text, place] of [
      [`import {\n  api,\n  frist,\n} from "@/client";\nconsole.log(api, frist);\n`, "3:3"],
      [`import { api, frist } from "@/client";\nconsole.log(api, frist);\n`, "1:15"],
      [`import first, { api } from "@/client";\nconsole.log(api, first);\n`, "1:8"],
    ]
  ) {
    await app.write("web/main.ts", text!);
    for (const layout of ["bundle", "modules"] as const) {
      const { diagnostics } = await build({ root: app.root, hosts: ["deno"], layout });
      const { message, span } = diagnostics[0]!;
      assert.match(message, /^There is no '(?:frist|default)' in '@\/client'/);
      assert.equal(`${span?.line}:${span?.column}`, place, layout);
    }
  }
});

Deno.test("a name that is exported again, and is not there, is an error at its own line", async () => {
  await using app = await makeApp({
    "src/routes.ts": ROUTES + "export interface Named { name: string }\n" +
      "export const named = backend({}, async (one: Named) => await Promise.resolve(one.name));\n",
    "web/main.ts": `import * as other from "./other.ts";
export { api, client, first, type Gone, type Named, Named as Name, named } from "@/client";
export { frist } from "@/client";
console.log(other);
`,
    "web/other.ts": `export { here, nowhere as there, type Gone, Kind } from "./third.ts";\n`,
    "web/third.ts": `export const here = 1;\nexport interface Kind { kind: string }\n`,
  });
  const { diagnostics } = await build({ root: app.root, hosts: ["deno"] });
  assert.deepEqual(
    diagnostics.map((
      { code, span, message, hint },
    ) => [`${code} ${span?.file}:${span?.line}:${span?.column}`, message, hint]),
    [
      [
        "KT7001 web/main.ts:3:10",
        "There is no 'frist' in '@/client': no backend function has this name.",
        "Did you mean 'first'?",
      ],
      ["KT7001 web/other.ts:1:16", "There is no 'nowhere' in './third.ts'.", undefined],
    ],
  );
});

Deno.test({
  name: "a front end without a main script begins with the module that its page names",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using app = await makeApp({
      "src/routes.ts": ROUTES,
      "web/index.html": `<!-- <script type="module" src="/old.ts"></script> -->
<script src="https://cdn.example/x.js"></script>
<script type="module" src="/app/start.ts"></script>
`,
      "web/old.ts": "console.log(1);\n",
      "web/app/start.ts": `import { first } from "@/client";\nconsole.log("PLANTED", first);\n`,
    });
    const { diagnostics } = await build({ root: app.root, hosts: ["deno"] });
    assert.equal(formatDiagnostics(diagnostics), "");
    assert.match(await app.read("dist/public/main.js"), /PLANTED/);
    const page = await app.read("dist/public/index.html");
    assert.deepEqual(page.match(/src="[^"]*"/g), [
      `src="/old.ts"`,
      `src="https://cdn.example/x.js"`,
      `src="/main.js"`,
    ]);
  },
});

Deno.test("a check looks at every TypeScript file of the app, and a build at those that it is made of", async () => {
  const wrong = 'export const wrong: number = "";\n';
  await using app = await makeApp({
    "src/routes.ts": ROUTES,
    "src/routes_test.ts": `import { first } from "./routes.ts";\nvoid first("");\n`,
    "tests/helper.ts": wrong,
    "tests/app_test.ts": `import "./helper.ts";\nDeno.test("none", () => process.exit());\n`,
    "web/main.ts": "export {};\n",
    "web/later.tsx": `import { first } from "@/client";\nvoid first("");\n`,
    "tests/node_test.ts": `import assert, { equal } from "node:assert/strict";
import { createServer } from "node:http";
createServer((request) => request.socket);
const found: { readonly name: string } | undefined = [{ name: "a" }].find(({ name }) => name === "b");
const other: unknown = found;
assert.ok(found !== undefined);
equal(found.name, "a");
assert.equal(other, "text");
export const length: number = other.length;
assert.throws(() => {}, (error) => error instanceof Error);
await assert.rejects(Promise.resolve(), { code: "NONE" });
`,
    "tools/lost.ts": `import "./nowhere.ts";\n`,
    "other/deno.json": "{}",
    "other/main.ts": wrong,
    "old/main.ts": wrong,
    ".hidden/main.ts": wrong,
  });
  const config = JSON.parse(await app.read("deno.json"));
  await app.write("deno.json", JSON.stringify({ ...config, exclude: ["./old/"] }));
  assert.equal((await build({ root: app.root, hosts: ["deno"] })).ok, true);
  const { ok, diagnostics } = await check(app.root);
  assert.equal(ok, false);
  assert.deepEqual(diagnostics.map(({ code, span }) => [code, span?.file, span?.line]), [
    ["KT1002", "tools/lost.ts", 1],
    ["KT1004", "src/routes_test.ts", 2],
    ["KT1004", "tests/helper.ts", 1],
    ["KT1004", "web/later.tsx", 2],
  ]);
});

Deno.test("elements of JSX without types are told once, with where the types are from", async () => {
  await using app = await makeApp({
    "src/routes.ts": ROUTES,
    "node_modules/plain/package.json":
      `{ "name": "plain", "exports": { "./jsx-runtime": "./j.js" } }`,
    "node_modules/plain/j.js": "exports.jsx = exports.jsxs = () => null;\n",
    "web/main.tsx":
      `import { part } from "./part.tsx";\nexport const all = [<p>{part}</p>, <b />];\n`,
    "web/part.tsx": "export const part = <i />;\n",
  });
  const config = JSON.parse(await app.read("deno.json"));
  const imports = { ...config.imports, "plain/jsx-runtime": "./node_modules/plain/j.js" };
  const compilerOptions = { jsx: "react-jsx", jsxImportSource: "plain" };
  await app.write("deno.json", JSON.stringify({ ...config, imports, compilerOptions }));
  const { diagnostics } = await check(app.root);
  assert.match(
    formatDiagnostics(diagnostics),
    /^error KT1004 TS7026: [^]*"jsxImportSourceTypes": "npm:@types\/plain"[^]*\n1 error\n$/,
  );
});
