/** Built module by module, an app runs as it runs bundled. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type BuildResult, createBuilder, formatDiagnostics, type Layout } from "./mod.ts";
import { makeApp, type TestApp } from "./testing/app.ts";

const SOURCES = {
  "src/user.ts": `export interface User { name: string }
export class Greeter { static count = 0; greet(user: User): string { return "Hi " + user.name; } }
export enum Level { Low = 1, High }
`,
  // What is a type here no single module can tell.
  "src/all.ts": `import { type Level as L, Greeter, User } from "./user.ts";
export { Greeter, User };
export { Level, User as Person } from "./user.ts";
export * from "./even.ts";
export default User;
export type Lv = L;
`,
  "src/even.ts": `import { odd } from "./odd.ts";
export function even(n: number): boolean { return n === 0 || odd(n - 1); }
`,
  "src/odd.ts": `import { even } from "./even.ts";
export function odd(n: number): boolean { return n !== 0 && even(n - 1); }
`,
  "src/data.json": `{ "word": "json" }`,
  "src/around.ts": `import { defineMiddleware } from "@kontract/kontract";
const mark = "around";
export const around = defineMiddleware({ endpoints: ["first"] }, async (next) => {
  const result = await next();
  return [mark, result];
});
`,
  "src/first.ts": `import { backend } from "@kontract/kontract";
import { even, Greeter, Level, type Person } from "./all.ts";
import Default from "./all.ts";
export const first = backend({}, (user: Person, n: number): Promise<(string | number | boolean)[]> => {
  const again: Default = user;
  Greeter.count++;
  return Promise.resolve([new Greeter().greet(again), Level.High, even(n)]);
});
`,
  "src/second.ts": `import { backend } from "@kontract/kontract";
import * as all from "./all.ts";
import data from "./data.json" with { type: "json" };
export class Second {
  @backend({ name: "second" })
  static async run(): Promise<(string | number)[]> {
    const { odd } = await import("./odd.ts");
    return [all.Greeter.count, data.word, String(odd(3))];
  }
}
`,
};

async function built(app: TestApp, layout: Layout): Promise<BuildResult> {
  const result = await createBuilder({ root: app.root, hosts: ["deno"], layout }).rebuild();
  assert.ok(result.ok, formatDiagnostics(result.diagnostics));
  return result;
}

interface Server {
  readonly modules: readonly (() => Promise<
    { readonly routes: Readonly<Record<string, { invoke(args: unknown[]): unknown }>> }
  >)[];
}

/** What the built app answers; every call of `at` loads it anew. */
async function answers(app: TestApp, at: number): Promise<unknown[]> {
  const folder = join(app.root, `run${at}`);
  await Deno.rename(join(app.root, "dist", "deno"), folder);
  const chunk = [...Deno.readDirSync(join(folder, "chunks"))].find((e) => e.name === "app.js");
  const routes: Record<string, { invoke(args: unknown[]): unknown }> = {};
  if (chunk !== undefined) {
    const app: Server = (await import(`file://${folder}/chunks/app.js`)).default;
    for (const load of app.modules) Object.assign(routes, (await load()).routes);
  } else {
    for (const { name } of Deno.readDirSync(join(folder, "chunks"))) {
      if (!name.endsWith(".js")) continue;
      Object.assign(routes, (await import(`file://${folder}/chunks/${name}`)).routes ?? {});
    }
  }
  return [
    await routes.first!.invoke([{ name: "Ada" }, 4]),
    await routes.first!.invoke([{ name: "Bob" }, 5]),
    await routes.second!.invoke([]),
  ];
}

Deno.test("types under the names of values, cycles, JSON, middleware and lazy imports run as in a bundle", async () => {
  await using app = await makeApp(SOURCES);
  await built(app, "bundle");
  const bundled = await answers(app, 1);
  await built(app, "modules");
  const modules = await answers(app, 2);
  assert.deepEqual(modules, bundled);
  assert.deepEqual(modules, [
    ["around", ["Hi Ada", 2, true]],
    ["around", ["Hi Bob", 2, false]],
    [2, "json", "true"],
  ]);
});

Deno.test("an edit makes one module again and leaves every other file as it was", async () => {
  await using app = await makeApp(SOURCES);
  const builder = createBuilder({ root: app.root, hosts: ["deno"], layout: "modules" });
  assert.ok((await builder.rebuild()).ok);
  const state = async (): Promise<ReadonlyMap<string, string>> => {
    const found = new Map<string, string>();
    const folders = ["deno", "deno/app/src", "deno/chunks", "deno/vendor", "client"];
    for (const folder of folders) {
      for await (const { name, isFile } of Deno.readDir(join(app.root, "dist", folder))) {
        const { ino, mtime } = await Deno.stat(join(app.root, "dist", folder, name));
        if (isFile) found.set(`${folder}/${name}`, `${ino} ${mtime?.getTime()}`);
      }
    }
    return found;
  };
  await builder.rebuild();
  const before = await state();
  await app.write("src/odd.ts", `${SOURCES["src/odd.ts"]}// more\nexport const more = 1;\n`);
  assert.ok((await builder.rebuild()).ok);
  const after = await state();
  const changed = [...after].filter(([name, one]) => before.get(name) !== one).map(([name]) =>
    name
  );
  assert.deepEqual(changed.filter((name) => !name.endsWith(".map")).sort(), [
    "client/connection.js",
    "deno/app/src/odd.ts.js",
    "deno/chunks/app.js",
  ]);
});

Deno.test("an edit of a text that a module imports makes that module again", async () => {
  await using app = await makeApp({
    "src/files.d.ts": `declare module "*.txt" { const file: string; export default file; }\n`,
    "src/words.txt": "before",
    "src/words.ts": `import { backend } from "@kontract/kontract";
import words from "./words.txt" with { type: "text" };
export const read = backend({}, (): Promise<string> => Promise.resolve(words));
`,
  });
  const builder = createBuilder({ root: app.root, hosts: ["deno"], layout: "modules" });
  for (const word of ["before", "after", "before"]) {
    await app.write("src/words.txt", word);
    const { diagnostics } = await builder.rebuild();
    assert.equal(formatDiagnostics(diagnostics), "");
    assert.match(await app.read("dist/deno/app/src/words.ts.js"), new RegExp(`"${word}"`));
  }
});

Deno.test("an app that imports a CommonJS package is bundled as one", async () => {
  await using app = await makeApp({
    "src/a.ts": `import { backend } from "@kontract/kontract";
import { Ajv } from "ajv";
export const a = backend({}, (): Promise<boolean> =>
  Promise.resolve(new Ajv().compile({ type: "string" })("x") as boolean));
`,
  });
  await built(app, "modules");
  const [name = ""] = [...Deno.readDirSync(join(app.root, "dist/deno/chunks"))]
    .map((entry) => entry.name).filter((one) => /^0-.*\.js$/.test(one));
  const { routes } = await import(`file://${app.root}/dist/deno/chunks/${name}`);
  assert.equal(await routes.a.invoke([]), true);
});

Deno.test("an app whose backend imports modules of a folder by name is bundled as one, and sees those that come", async () => {
  await using app = await makeApp({
    "src/a.ts": `import { backend } from "@kontract/kontract";
export const a = backend({}, async (name: string): Promise<string> => {
  const page = await import(\`./pages/\${name}.ts\`) as { title(): string };
  return page.title();
});
`,
    "src/pages/one.ts":
      `import { mark } from "../mark.ts";\nexport const title = () => mark + 1;\n`,
    "src/mark.ts": `export const mark = "page ";\n`,
  });
  const builder = createBuilder({ root: app.root, hosts: ["deno"], layout: "modules" });
  const title = async (name: string): Promise<unknown> => {
    assert.equal(formatDiagnostics((await builder.rebuild()).diagnostics), "");
    const [chunk = ""] = [...Deno.readDirSync(join(app.root, "dist/deno/chunks"))]
      .map((entry) => entry.name).filter((one) => /^0-.*\.js$/.test(one));
    const { routes } = await import(`file://${app.root}/dist/deno/chunks/${chunk}`);
    return await routes.a.invoke([name]);
  };
  assert.equal(await title("one"), "page 1");
  await app.write("src/pages/two.ts", "export const title = () => 'two';\n");
  assert.equal(await title("two"), "two");
  await app.write("src/pages/two.ts", "export const title = () => 'edited';\n");
  assert.equal(await title("two"), "edited");
});

Deno.test("source maps of single modules lead to the author's lines", async () => {
  await using app = await makeApp(SOURCES);
  await built(app, "modules");
  const map = JSON.parse(await app.read("dist/deno/app/src/odd.ts.js.map"));
  assert.deepEqual(map.sources, ["../../../../src/odd.ts"]);
  assert.equal(map.sourcesContent[0], SOURCES["src/odd.ts"]);
});
