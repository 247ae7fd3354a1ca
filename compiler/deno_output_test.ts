/** What a bundle for Deno loads at its start, and what it leaves for later. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path/posix";
import { forDeno } from "./deno_output.ts";
import { build, formatDiagnostics } from "./mod.ts";
import { makeApp } from "./testing/app.ts";

const FUNCTION = `import { backend } from "@kontract/kontract";
/** Doubles. */
export const double = backend({ readOnly: true }, (n: number): Promise<number> => Promise.resolve(2 * n));
`;
const SERVER = `import { defineServer } from "@kontract/kontract";
export default defineServer({ maxBody: 1000 });
`;

Deno.test("a start loads no module of Node's, no function of the app's and no source map", async () => {
  await using app = await makeApp({ "src/numbers.ts": FUNCTION });
  const result = await build({ root: app.root, hosts: ["deno"] });
  assert.equal(formatDiagnostics(result.diagnostics), "");
  const loaded = new Set<string>();
  const read = async (file: string): Promise<void> => {
    if (loaded.has(file)) return;
    loaded.add(file);
    const text = await app.read(join("dist", file));
    assert.doesNotMatch(text, /\b(?:from|import) *"node:/, `${file} loads no module of Node's`);
    // Deno would load what a literal leads to.
    assert.doesNotMatch(text, /\bimport\(["'`]\.\.?\//, `${file} hides what is for later`);
    assert.doesNotMatch(text, /sourceMappingURL/, `${file} is not the author's`);
    await app.read(join("dist", `${file}.map`));
    for (const [, path] of text.matchAll(/(?:from|import) *"(\.[^"]+)"/g)) {
      await read(join(dirname(file), path!));
    }
  };
  await read("deno/server.js");
  const { file } = result.report.routes[0]!;
  assert.ok(!loaded.has(file));
  assert.match(await app.read(join("dist", file)), /sourceMappingURL/);
});

Deno.test("an entry with the author's server.ts in it keeps its map", async () => {
  await using app = await makeApp({ "src/numbers.ts": FUNCTION, "src/server.ts": SERVER });
  const result = await build({ root: app.root, hosts: ["deno"] });
  assert.equal(formatDiagnostics(result.diagnostics), "");
  assert.match(await app.read("dist/deno/server.js"), /sourceMappingURL=server\.js\.map\s*$/);
});

Deno.test("only imports of the bundle's own files are hidden, and no line changes its length", () => {
  const text = `const a = import("./chunks/a.js"), b = import("./other.js"), c = import("npm:x");
//# sourceMappingURL=server.js.map
`;
  const bytes = (): Uint8Array => new TextEncoder().encode(text);
  const map = bytes();
  const files = new Map([["server.js", bytes()], ["chunks/a.js", bytes()], ["x.map", map]]);
  const made = forDeno(files, (path) => path === "server.js");
  const server = String(made.get("server.js"));
  const [first, second, third] = server.split("\n");
  assert.equal(
    first,
    text.split("\n")[0]!.replace('import("./chunks/a.js")', '$chunk("./chunks/a.js")'),
  );
  assert.match(second!, /^function \$chunk\(/);
  assert.equal(third, "//# sourceMappingURL=server.js.map");
  assert.doesNotMatch(String(made.get("chunks/a.js")), /sourceMapping|\$chunk/);
  assert.equal(made.get("x.map"), map);
});

Deno.test("a script with names of its own like the loader's gets another", () => {
  const text = `const $chunk = 1, $chun0 = 2; import("./chunks/a.js");\n`;
  const made = forDeno(new Map([["server.js", text], ["chunks/a.js", ""]]), () => false);
  assert.equal(
    made.get("server.js"),
    text.replace("import(", "$chun1(") + "function $chun1(file) { return import(file); }\n",
  );
});
