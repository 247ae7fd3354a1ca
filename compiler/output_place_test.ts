/** A build replaces a folder as a whole, and never one with an author's own files. */
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { Diagnostics, formatDiagnostics } from "./diagnostic.ts";
import { build, createBuilder } from "./mod.ts";
import { listFiles, readProject } from "./project.ts";
import { checkOutputPlace } from "./output_place.ts";
import { makeApp } from "./testing/app.ts";

const FINE = `import { backend } from "@kontract/kontract";
export const fine = backend({}, () => Promise.resolve(1));
`;

Deno.test("an output folder that holds the app, a part of it or other files is refused, and nothing is written", async () => {
  await using app = await makeApp({
    "src/a.ts": FINE,
    "web/index.html": "<h1>mine</h1>",
    "migrations/0001.sql": "-- mine",
  });
  const before = await listFiles(app.root);
  const { ok, diagnostics } = await build({ root: app.root, hosts: ["deno"], outDir: "src" });
  assert.equal(ok, false);
  assert.equal(
    formatDiagnostics(diagnostics),
    `error KT1001 The output replaces its folder as a whole, but 'src' holds a part of the app, or lies in one.
  hint: Give it a folder of its own, which may be missing or empty.

1 error
`,
  );
  const kept = (await listFiles(app.root)).filter((file) => !file.includes("/.kontract/"));
  assert.deepEqual(kept, before);
});

Deno.test("a usual folder that another tool has made is left alone, and the build says what to do", async () => {
  await using app = await makeApp({ "src/a.ts": FINE, "dist/index.html": "of another tool" });
  const { ok, diagnostics } = await build({ root: app.root, hosts: ["deno"] });
  assert.equal(ok, false);
  assert.equal(
    formatDiagnostics(diagnostics),
    `error KT1001 The output replaces its folder as a whole, but 'dist' has files that no build has made.
  hint: Remove the folder, or have the tool that made it write to another one.

1 error
`,
  );
  assert.equal(await app.read("dist/index.html"), "of another tool");
  await app.write("dist/index.html", null);
  assert.ok((await build({ root: app.root, hosts: ["deno"] })).ok, "empty");
  assert.ok((await build({ root: app.root, hosts: ["deno"] })).ok, "made by a build");
});

Deno.test("an output that has lost a file to another hand is made again", async () => {
  await using app = await makeApp({ "src/a.ts": FINE });
  for (const layout of ["bundle", "modules"] as const) {
    const made = createBuilder({ root: app.root, hosts: ["deno"], layout });
    assert.ok((await made.rebuild()).ok);
    await app.write("dist/manifest.json", null);
    assert.equal(formatDiagnostics((await made.rebuild()).diagnostics), "");
    assert.match(await app.read("dist/manifest.json"), /"fine"/);
    await made.settle();
  }
});

Deno.test("which folders an output may replace", async () => {
  await using app = await makeApp({
    "src/a.ts": FINE,
    "web/index.html": "",
    "migrations/0001.sql": "-- mine",
    "dist/old.js": "of another tool",
    "built/schema.fbs": "",
    "page/index.html": "of another tool",
    "page/manifest.json": `{ "name": "an app to install" }`,
    "empty/none": "",
    "looked-at/.DS_Store": "",
  });
  await app.write("empty/none", null);
  const alias = `${app.root}-link`;
  await Deno.symlink(app.root, alias);
  const project = readProject(app.root, new Diagnostics());
  const refused = (path: string, isNamed = true): boolean => {
    const diagnostics = new Diagnostics();
    checkOutputPlace(project, join(app.root, path), isNamed ? path : undefined, diagnostics);
    return diagnostics.failed;
  };
  const parts = [".", "..", "src", "src/out", "web", ".kontract", ".kontract/out", "node/../src"];
  for (const path of [...parts, "migrations", "deno.json", "dist", "page"]) {
    assert.ok(refused(path), path);
  }
  for (const path of ["new", "new/below", "empty", "looked-at", "built", "srcs"]) {
    assert.ok(!refused(path), path);
  }
  assert.ok(refused("dist", false), "the usual folder, too");
  assert.ok(refused(`../${basename(alias)}/src`), "by another way");
});
