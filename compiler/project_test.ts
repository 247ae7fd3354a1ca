/** An app's settings: its own, over those of the workspace that it is a member of. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Diagnostics } from "./diagnostic.ts";
import { readProject } from "./project.ts";
import { makeApp } from "./testing/app.ts";

Deno.test("compilerOptions of a workspace hold for its members, and a member's own come first", async () => {
  await using app = await makeApp({
    "deno.json":
      `{ "workspace": ["apps/*", "./tool"], "compilerOptions": { "jsx": "react-jsx", "a": 1 } }`,
    "apps/one/deno.json": `{ "compilerOptions": { "a": 2 } }`,
    "tool/deno.json": "{}",
    "other/deno.json": "{}",
  });
  const optionsOf = async (path: string) =>
    (await readProject(join(app.root, path), new Diagnostics())).compilerOptions;
  assert.deepEqual(await optionsOf("apps/one"), { jsx: "react-jsx", a: 2 });
  assert.deepEqual(await optionsOf("tool"), { jsx: "react-jsx", a: 1 });
  assert.deepEqual(await optionsOf("other"), {});
});
