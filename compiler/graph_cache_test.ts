/** When the graph of an app is asked for again: configuration outside of the app's folder counts too. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { GraphCache } from "./graph_cache.ts";
import { makeApp } from "./testing/app.ts";

Deno.test("another member's deno.json is part of what a graph was made from", async () => {
  const shared = (file: string, more = ""): string =>
    `{ "name": "@my/shared", "version": "1.0.0", "exports": "./${file}.ts"${more} }`;
  await using app = await makeApp({
    "deno.json": `{ "workspace": ["./app", "./shared"], "lock": false }`,
    "app/deno.json": "{}",
    "app/src/main.ts": `import { x } from "@my/shared";\nconsole.log(x);\n`,
    "app/graph.ts": `import "./src/main.ts";\n`,
    "shared/deno.json": shared("one"),
    "shared/one.ts": "export const x = 1;\n",
    "shared/two.ts": `export { x } from "inner";\n`,
    "shared/inner.ts": "export const x = 2;\n",
  });
  const root = join(app.root, "app"), main = join(root, "src", "main.ts");
  const cache = new GraphCache();
  const graph = () =>
    cache.graph(join(root, "graph.ts"), `import "./src/main.ts";\n`, root, () => Promise.resolve());
  const first = await graph();
  assert.deepEqual(first.resolve("@my/shared", main, "deno"), {
    kind: "file",
    file: join(app.root, "shared", "one.ts"),
  });
  assert.equal(await graph(), first, "nothing changed");
  await app.write("shared/deno.json", shared("two", `, "imports": { "inner": "./inner.ts" }`));
  const second = await graph();
  const two = join(app.root, "shared", "two.ts");
  assert.deepEqual(second.resolve("@my/shared", main, "deno"), { kind: "file", file: two });
  assert.equal(await graph(), second);
  await app.write("shared/deno.json", shared("two", `, "imports": { "inner": "./one.ts" }`));
  assert.deepEqual((await graph()).resolve("inner", two, "deno"), {
    kind: "file",
    file: join(app.root, "shared", "one.ts"),
  });
});
