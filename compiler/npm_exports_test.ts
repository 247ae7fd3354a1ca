/** Entry points of npm packages, as Node finds them. */
import assert from "node:assert/strict";
import { type EntryOptions, packageEntry, packageImport, type PackageJson } from "./npm_exports.ts";

/** Finds an entry of a package that has these files. */
function entry(
  json: PackageJson,
  subpath: string,
  files: readonly string[],
  options: Partial<EntryOptions> = {},
): string | null {
  return packageEntry("/p", json, subpath, {
    conditions: ["import", "module"],
    mainFields: ["module", "main"],
    extensions: [".js", ".mjs"],
    isFile: (path) => files.includes(path.replaceAll("\\", "/")),
    ...options,
  });
}

Deno.test("exports: the first condition that holds, nested and in lists, and nothing beside it", () => {
  const files = ["/p/a.js", "/p/b.js", "/p/c.js", "/p/index.js"];
  const cases: readonly (readonly [exports: unknown, subpath: string, found: string | null])[] = [
    ["./a.js", ".", "/p/a.js"],
    ["./a.js", "./a.js", null],
    [{ import: "./a.js", default: "./b.js" }, ".", "/p/a.js"],
    [{ require: "./a.js", default: "./b.js" }, ".", "/p/b.js"],
    [{ require: "./a.js" }, ".", null],
    [{ node: { import: "./a.js" }, import: { default: "./b.js" } }, ".", "/p/b.js"],
    [{ import: { require: "./a.js" }, default: "./b.js" }, ".", "/p/b.js"],
    [[{ require: "./a.js" }, "./b.js"], ".", "/p/b.js"],
    [[{ require: "./a.js" }], ".", null],
    [{ ".": null }, ".", null],
    [{ ".": "./a.js", "./x": "./b.js" }, "./x", "/p/b.js"],
    [{ ".": "./a.js" }, "./b.js", null],
    [{ ".": "./gone.js" }, ".", null],
    [{ ".": 5 }, ".", null],
  ];
  for (const [exports, subpath, found] of cases) {
    assert.equal(entry({ exports }, subpath, files), found, JSON.stringify([exports, subpath]));
  }
});

Deno.test("exports with a star: the longest head wins, and null closes a folder", () => {
  const exports = {
    "./*": "./all/*.js",
    "./lib/*": "./lib/*.js",
    "./lib/inner/*.js": "./inner/*/*.js",
    "./lib/private/*": null,
  };
  const files = ["/p/all/x.js", "/p/lib/x.js", "/p/inner/x/x.js", "/p/lib/private/x.js"];
  assert.equal(entry({ exports }, "./x", files), "/p/all/x.js");
  assert.equal(entry({ exports }, "./lib/x", files), "/p/lib/x.js");
  assert.equal(entry({ exports }, "./lib/inner/x.js", files), "/p/inner/x/x.js");
  assert.equal(entry({ exports }, "./lib/private/x", files), null);
  assert.equal(entry({ exports }, "./lib/*", files), null);
});

Deno.test("exports with a star: of equal heads the longer key wins, and a star stands for something", () => {
  const exports = { "./*": "./all/*.js", "./*.js": "./all/*.js", "./x*x": "./twice/*.js" };
  const files = ["/p/all/a.js", "/p/all/x.js", "/p/all/.js", "/p/twice/y.js", "/p/twice/.js"];
  assert.equal(entry({ exports }, "./a", files), "/p/all/a.js");
  assert.equal(entry({ exports }, "./a.js", files), "/p/all/a.js");
  assert.equal(entry({ exports }, "./xyx", files), "/p/twice/y.js");
  assert.equal(entry({ exports }, "./x", files), "/p/all/x.js");
  assert.equal(entry({ exports }, "./xx", files), null);
  assert.equal(entry({ exports }, "./", files), null);
});

Deno.test("without exports the older fields, endings and index files count", () => {
  const files = ["/p/m.mjs", "/p/main.js", "/p/lib/index.js", "/p/index.mjs"];
  assert.equal(entry({ module: "m.mjs", main: "main" }, ".", files), "/p/m.mjs");
  assert.equal(entry({ module: "gone.mjs", main: "main" }, ".", files), "/p/main.js");
  assert.equal(entry({ main: "./lib" }, ".", files), "/p/lib/index.js");
  assert.equal(entry({ module: 5, main: null }, ".", files), "/p/index.mjs");
  assert.equal(entry({}, "./lib", files), "/p/lib/index.js");
  assert.equal(entry({ exports: null }, "./main.js", files), "/p/main.js");
  assert.equal(entry({}, "./gone", files), null);
});

Deno.test("imports of a package lead to its own files by their names", () => {
  const imports = { "#a": "./a.js", "#b/*": { import: "./b/*.js" } };
  assert.equal(packageImport({ imports }, "#a", ["import"]), "./a.js");
  assert.equal(packageImport({ imports }, "#b/x", ["import"]), "./b/x.js");
  assert.equal(packageImport({ imports }, "#b/x", ["require"]), null);
  assert.equal(packageImport({ imports }, "#toString", ["import"]), null);
  assert.equal(packageImport({}, "#a", ["import"]), null);
});
