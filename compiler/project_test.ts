/** An app's settings: its own, over those of the workspace that it is a member of. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Diagnostics } from "./diagnostic.ts";
import { check } from "./mod.ts";
import { appPath, readProject } from "./project.ts";
import { makeApp } from "./testing/app.ts";

Deno.test("compilerOptions of a workspace hold for its members, and a member's own come first", async () => {
  await using app = await makeApp({
    "deno.json":
      `{ "workspace": ["apps/*", "./tool"], "compilerOptions": { "jsx": "react-jsx", "a": 1 } }`,
    "apps/one/deno.json": `{ "compilerOptions": { "a": 2 } }`,
    "tool/deno.json": "{}",
    "other/deno.json": "{}",
  });
  const optionsOf = (path: string) =>
    readProject(join(app.root, path), new Diagnostics()).compilerOptions;
  assert.deepEqual(optionsOf("apps/one"), { jsx: "react-jsx", a: 2 });
  assert.deepEqual(optionsOf("tool"), { jsx: "react-jsx", a: 1 });
  assert.deepEqual(optionsOf("other"), {});
});

Deno.test("deno.jsonc with comments and commas is read, and what cannot be read is told", async () => {
  await using app = await makeApp({
    "one/deno.jsonc": `{
      // the look of "pages"
      "compilerOptions": { "jsx": "react-jsx", /* "a": 1, */ },
    }`,
    "one/kontract.json": `{ "name": "one", "source": "backend", "web": "pages" }`,
    "two/kontract.json/folder": "",
    "three/kontract.json": "[]",
    "five/kontract.json": `{ "name": "five", "budgett": { "route": 1 } }`,
    "four/kontract.json": `{ "name": "Two Words", "source": "" }`,
  });
  const read = (name: string) => {
    const diagnostics = new Diagnostics();
    const project = readProject(join(app.root, name), diagnostics);
    return { project, messages: diagnostics.list().map(({ message }) => message) };
  };
  const one = read("one");
  assert.deepEqual(one.messages, []);
  assert.deepEqual(one.project.compilerOptions, { jsx: "react-jsx" });
  assert.deepEqual([one.project.name, one.project.source], ["one", join(app.root, "one/backend")]);
  assert.deepEqual((read("two")).messages, ["kontract.json cannot be read."]);
  assert.deepEqual((read("three")).messages, ["kontract.json must be an object."]);
  assert.deepEqual((read("five")).messages, ["kontract.json knows no 'budgett'."]);
  const four = read("four");
  assert.equal(four.messages.length, 2, four.messages.join());
  assert.equal(four.project.source, join(app.root, "four/src"));
});

Deno.test("a configuration that cannot be read is the one thing that is told", async () => {
  const cases = [
    ["deno.json", '{\n  "imports" {}\n}', /^deno\.json is not JSON: .*line 2 column 13/],
    ["deno.json", "[]", /^deno\.json must be an object/],
    ["kontract.json", '{ "source": "src", }}', /^kontract\.json is not JSON/],
  ] as const;
  for (const [file, text, message] of cases) {
    await using app = await makeApp({ "src/a.ts": "export {};\n", [file]: text });
    const { diagnostics } = await check(app.root);
    assert.equal(diagnostics.length, 1, diagnostics.map((one) => one.message).join("\n"));
    assert.match(diagnostics[0]!.message, message);
  }
});

Deno.test("sources, front end and page lie in no folder that a build replaces", async () => {
  for (const key of ["source", "web", "site"]) {
    for (const folder of ["dist", "dist/own", "./dist", ".kontract"]) {
      await using app = await makeApp({ "kontract.json": JSON.stringify({ [key]: folder }) });
      const diagnostics = new Diagnostics();
      readProject(app.root, diagnostics);
      const [found, ...more] = diagnostics.list();
      assert.deepEqual(more, []);
      assert.equal(
        found?.hint,
        "Kontract itself writes there: give it a folder of its own.",
        `${key} ${folder}`,
      );
    }
  }
});

Deno.test("the page of another bundler, which empties its folder, has no sources in it", async () => {
  const cases = [
    [{ site: "src" }, true],
    [{ site: "app", source: "app/src" }, true],
    [{ site: "pages", web: "pages" }, true],
    [{ site: "web/out" }, false],
    [{ site: "site" }, false],
  ] as const;
  for (const [settings, refused] of cases) {
    await using app = await makeApp({ "kontract.json": JSON.stringify(settings) });
    const diagnostics = new Diagnostics();
    readProject(app.root, diagnostics);
    assert.equal(diagnostics.failed, refused, JSON.stringify(settings));
  }
});

Deno.test("a path of an app is told from its folder on, wherever the file lies", () => {
  const paths = [
    ["/app/src/a.ts", "src/a.ts"],
    ["/app/src/a..b.ts", "src/a..b.ts"],
    ["/app/.kontract/types.d.ts", ".kontract/types.d.ts"],
    ["/app/src/../web/a.ts", "web/a.ts"],
    ["/app/src//./a.ts", "src/a.ts"],
    ["/app", ""],
    ["/app/", ""],
    ["/apple/a.ts", "../apple/a.ts"],
    ["/b/a.ts", "../b/a.ts"],
  ] as const;
  for (const [file, path] of paths) assert.equal(appPath({ root: "/app" }, file), path, file);
});
