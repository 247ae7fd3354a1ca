/** Sources and disks that nobody means well with end in diagnostics: no stack trace, nothing half-written. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AnalysisCache } from "./analysis.ts";
import { type Diagnostics, formatDiagnostics } from "./diagnostic.ts";
import { build } from "./mod.ts";
import { analyzed } from "./testing/analyzed.ts";
import { makeApp } from "./testing/app.ts";
import { largeApp } from "./testing/large_app.ts";
import { randomFrom } from "./testing/random.ts";

const cache = new AnalysisCache();

async function problems(root: string): Promise<Diagnostics> {
  return (await analyzed(root, cache)).diagnostics;
}

const FINE = `import { backend } from "@kontract/kontract";
export const fine = backend({}, () => Promise.resolve(1));
`;
const taking = (type: string): string =>
  `import { backend } from "@kontract/kontract";
export const take = backend({}, (a: ${type}) => Promise.resolve(a));
`;

/** Name → source files, and the code of the first problem; null where there is none. */
const SOURCES: Readonly<
  Record<string, readonly [Readonly<Record<string, string>>, string | null]>
> = {
  "nothing at all": [{ "src/a.ts": "" }, null],
  "bytes that are no text": [{ "src/a.ts": `\0\u0001\ufffd${FINE}` }, "KT1003"],
  "a template without an end": [{ "src/a.ts": `${FINE}const x = \`a \${ {` }, "KT1003"],
  "a declaration of nothing at the end": [{ "src/a.ts": `${FINE}export const` }, "KT1004"],
  "brackets, 20,000 deep": [
    { "src/a.ts": `${FINE}export const x = ${"[".repeat(20_000)}${"]".repeat(20_000)};\n` },
    "KT1003",
  ],
  "a sum of 20,000 terms": [
    { "src/a.ts": `${FINE}export const x = ${"1+".repeat(20_000)}1;\n` },
    "KT1003",
  ],
  "an array type, 20,000 deep": [
    { "src/a.ts": taking(`string${"[]".repeat(20_000)}`) },
    "KT1003",
  ],
  "an object type, 3,000 deep": [
    { "src/a.ts": taking(`${"{a:".repeat(3000)}string${"}".repeat(3000)}`) },
    "KT1003",
  ],
  "a type that grows for ever": [
    { "src/a.ts": `type R<T> = { v: T; next?: R<T[]> };\n${taking("R<string>")}` },
    "KT3001",
  ],
  "a type that is its own answer": [
    { "src/a.ts": `type C<T> = T extends string ? C<T> : never;\n${taking("C<string>")}` },
    "KT1004",
  ],
  "an enum of 3,000 literals": [
    { "src/a.ts": taking(Array.from({ length: 3000 }, (_, i) => `"v${i}"`).join("|")) },
    null,
  ],
  "a text of 4 MB": [{ "src/a.ts": `${FINE}export const t = "${"x".repeat(4_000_000)}";\n` }, null],
  "modules in a circle": [
    {
      "src/a.ts": `import { b } from "./b.ts";\nexport const a = (): unknown => b;\n${FINE}`,
      "src/b.ts":
        `import { a } from "./a.ts";\nexport * from "./a.ts";\nexport const b = (): unknown => a;\n`,
    },
    null,
  ],
  "exports in a circle": [
    {
      "src/a.ts": `export { x } from "./b.ts";\n`,
      "src/b.ts": `export { x } from "./a.ts";\n`,
      "src/c.ts": FINE,
    },
    "KT1004",
  ],
  "addresses that are none": [
    { "src/a.ts": `import "http://[";\nimport "npm:";\nimport "\\0";\n${FINE}` },
    "KT1002",
  ],
  "names of Object's own": [
    {
      "src/a.ts": FINE.replaceAll("fine", "toString") +
        FINE.split("\n")[1]!.replaceAll("fine", "hasOwnProperty"),
    },
    null,
  ],
  "a field called __proto__": [
    { "src/a.ts": taking("{ __proto__: string; x: number }") },
    "KT3001",
  ],
  "unicode everywhere": [
    {
      "src/名前 it's.ts": taking('{ größe: number; "🙂": string; "": boolean }'),
      "src/😀/𝒳.ts": FINE,
    },
    null,
  ],
  "a public name outside of ASCII": [{ "src/a.ts": FINE.replaceAll("fine", "größe") }, "KT2002"],
  "a byte order mark and carriage returns": [
    { "src/a.ts": `\ufeff${FINE.replaceAll("\n", "\r\n")}` },
    null,
  ],
  "a configuration that is a list": [{ "kontract.json": "[1]", "src/a.ts": FINE }, "KT1001"],
  "folders that lie elsewhere": [
    { "kontract.json": `{ "source": "../..", "web": "/etc" }`, "src/a.ts": FINE },
    "KT1001",
  ],
  "a lock file of zeros": [{ "kontract.lock.json": "\0\0", "src/a.ts": FINE }, "KT1005"],
};

for (const [name, [files, code]] of Object.entries(SOURCES)) {
  Deno.test(`hostile source: ${name}`, async () => {
    await using app = await makeApp(files);
    const found = (await problems(app.root)).list();
    const text = formatDiagnostics(found);
    const codes = found.map((one) => one.code);
    if (code === null) assert.equal(text, "");
    else assert.ok(codes.includes(code as typeof codes[number]), text);
    assert.doesNotMatch(text, /\n\s+at .*\.js:\d+/, "no stack trace");
    assert.ok(!text.includes(app.root), "no path of this machine");
  });
}

Deno.test("a place that is nested too deeply is shown with its file and line", async () => {
  await using app = await makeApp({
    "src/a.ts": FINE,
    "src/deep.ts": `// One.\nexport const x =\n  ${"(".repeat(30_000)}1${")".repeat(30_000)};\n`,
  });
  const [first, ...more] = (await problems(app.root)).list();
  assert.deepEqual(more, []);
  assert.deepEqual(first?.span, { file: "src/deep.ts", line: 3, column: 3 });
  assert.equal(first?.message, "This is nested 30000 levels deep, and cannot be read.");
});

Deno.test("a source with random bytes in it never throws", async () => {
  const random = randomFrom(11);
  await using app = await makeApp({ "src/b.ts": FINE });
  const text = taking(`{ a: string; b?: Map<string, number[]> } | null`);
  for (let i = 0; i < (Deno.env.get("KONTRACT_LONG") === "1" ? 200 : 12); i++) {
    const characters = [...text];
    for (let n = 0; n < 3; n++) {
      const at = random.below(characters.length);
      const odd = [..."{}<>()@`'\"\\/*;:=,.\0\n#é😀"];
      characters.splice(at, random.below(3), random.pick(odd));
    }
    await app.write("src/a.ts", characters.join(""));
    formatDiagnostics((await problems(app.root)).list());
  }
});

Deno.test("links in circles, into nowhere and to the same file twice", async () => {
  await using app = await makeApp({ "src/a.ts": FINE });
  const src = (name: string): string => join(app.root, "src", name);
  await Deno.symlink("..", src("up"));
  await Deno.symlink("loop.ts", src("loop.ts"));
  await Deno.symlink("nowhere.ts", src("gone.ts"));
  await Deno.mkdir(src("folder.ts"));
  assert.equal(formatDiagnostics((await problems(app.root)).list()), "");
  await Deno.symlink("a.ts", src("twin.ts"));
  assert.match(
    formatDiagnostics((await problems(app.root)).list()),
    /KT2002 Two backend functions are called 'fine'; the other is at src\/a\.ts:2/,
  );
});

Deno.test("an app whose folder is a link is that app", async () => {
  await using app = await makeApp({ "src/a.ts": FINE });
  const link = `${app.root}-link`;
  await Deno.symlink(app.root, link);
  const { ok, manifest } = await build({ root: link, hosts: ["deno"] });
  assert.deepEqual([ok, manifest?.routes.map(({ source }) => source.file)], [true, ["src/a.ts"]]);
});

Deno.test("a type beyond the limits of a message fails the build by name", async () => {
  const variants = Array.from({ length: 300 }, (_, i) => `{ k: "k${i}"; v: number }`);
  await using app = await makeApp({
    "src/a.ts": `type Many = ${variants.join("|")};\n${taking("Many")}`,
  });
  const { ok, diagnostics } = await build({ root: app.root, hosts: ["deno"] });
  assert.deepEqual([ok, diagnostics.map((one) => one.code)], [false, ["KT3002"]]);
  assert.match(diagnostics[0]!.message, /^Union 'Many' has more variants than the 255/);
});

const namespaces = await new Deno.Command("unshare", { args: ["-Urm", "true"] }).output()
  .then(({ success }) => success, () => false);
if (!namespaces) {
  console.warn("SKIPPED: the test of full disks needs mount namespaces (unshare -Urm).");
}

Deno.test("a folder whose name no system takes ends in a diagnostic, whoever names it", async () => {
  await using app = await makeApp({ "src/a.ts": "export const a = 1;\n" });
  await using odd = await makeApp({
    "src/a.ts": "export const a = 1;\n",
    "kontract.json": JSON.stringify({ source: "s\0rc" }),
  });
  const cases = [
    { root: "\0" },
    { root: `${app.root}/\0` },
    { root: "x".repeat(5000) },
    { root: app.root, outDir: "\0" },
    { root: odd.root },
  ];
  for (const options of cases) {
    const { ok, diagnostics } = await build(options);
    assert.ok(!ok && diagnostics.length > 0, JSON.stringify(options));
  }
});

Deno.test({
  name:
    "a full disk and one that cannot be written end in a diagnostic, what was built stays, and a check needs neither",
  ignore: !namespaces,
  async fn() {
    const folder = await Deno.makeTempDir();
    const script = fileURLToPath(new URL("./testing/small_disk.ts", import.meta.url));
    const config = fileURLToPath(new URL("../deno.json", import.meta.url));
    const { stdout, stderr } = await new Deno.Command("unshare", {
      args: ["-Urm", Deno.execPath(), "run", "-A", "--config", config, script, folder],
    }).output();
    const said = new TextDecoder().decode(stdout).trim().split("\n");
    const why = new TextDecoder().decode(stderr);
    assert.equal(said.length, 5, why);
    const [room, full, fixed, ...checks] = said.map((line) => JSON.parse(line));
    assert.equal(room.ok, true, room.text);
    for (const failed of [full, fixed]) {
      assert.equal(failed.ok, false, failed.what);
      assert.match(
        failed.text,
        /^error KT7001 The output cannot be written or a source cannot be read: /,
      );
      assert.equal(failed.dist, room.dist, `${failed.what}: dist is the last good build`);
      assert.equal(failed.lock, room.lock, `${failed.what}: the lock is that build's`);
      assert.deepEqual(failed.beside, room.beside, `${failed.what}: nothing is left beside it`);
    }
    assert.deepEqual(checks, [{ ok: true, text: "" }, { ok: true, text: "" }]);
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "10,000 routes are built",
  ignore: Deno.env.get("KONTRACT_LONG") !== "1",
  async fn() {
    await using app = await makeApp(largeApp(10_000, 500));
    const { ok, diagnostics, manifest } = await build({ root: app.root, hosts: ["deno"] });
    assert.equal(formatDiagnostics(diagnostics), "");
    assert.deepEqual([ok, manifest?.routes.length], [true, 10_000]);
  },
});
