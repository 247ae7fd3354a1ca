/** The cookbook of a small app, word for word, and what nobody may do to it with a doc comment. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Manifest, RouteDef } from "../../_internal/manifest.ts";
import { formatDiagnostics } from "../diagnostic.ts";
import { analyzed } from "../testing/analyzed.ts";
import { makeApp } from "../testing/app.ts";
import { goldenCases, updateGolden } from "../testing/golden.ts";
import { type CookbookIndex, emitCookbook } from "./mod.ts";
import { HOSTILE_COMMENTS, hostileManifest } from "../testing/hostile_comments.ts";
import { writeCookbook } from "./write.ts";

async function manifestOf(files: Readonly<Record<string, string>>): Promise<Manifest> {
  await using app = await makeApp(files);
  const { analysis: found, diagnostics } = await analyzed(app.root);
  assert.equal(formatDiagnostics(diagnostics.list()), "");
  assert.ok(found !== null);
  return { ...found.manifest };
}

for (const one of goldenCases("cookbook")) {
  Deno.test(`the cookbook of an app, word for word: ${one.name}`, async () => {
    const files = emitCookbook(await manifestOf(one.files));
    const actual = files.map(({ path, text }) => `--- ${path}\n${text}`).join("");
    if (Deno.env.get("UPDATE_GOLDEN") !== undefined) updateGolden(one, actual);
    else assert.equal(actual, one.expected, one.path);
  });
}

Deno.test("a field that an app takes from a library keeps what the library says of it", async () => {
  const { types } = await manifestOf({
    "src/api.ts": `import { backend } from "@kontract/kontract";
export type Memory = Pick<Deno.MemoryUsage, "rss" | "heapUsed">;
export const memory = backend({}, async (): Promise<Memory> => Promise.resolve(Deno.memoryUsage()));
`,
  });
  const { Memory } = types;
  assert.ok(Memory?.kind === "object");
  assert.deepEqual(Memory.fields.map(({ name, doc }) => [name, doc]), [
    [
      "rss",
      "The number of bytes of the current Deno's process resident set size,\n" +
      "which is the amount of memory occupied in main memory (RAM).",
    ],
    ["heapUsed", "The amount of the heap used for V8, in bytes."],
  ]);
});

Deno.test("every link of a cookbook leads to a page and a heading of it", () => {
  const files = new Map(emitCookbook(hostileManifest()).map((file) => [file.path, file.text]));
  let links = 0;
  for (const [path, text] of files) {
    for (const [, target, anchor] of text.matchAll(/\]\((\.{1,2}\/[^)#]+)(?:#([^)]+))?\)/g)) {
      const to = join("/", path, "..", target!).slice(1);
      const page = files.get(to);
      assert.ok(page !== undefined, `${path} leads to ${to}`);
      if (anchor !== undefined) assert.ok(page.includes(`{#${anchor}}`), `${to}#${anchor}`);
      links++;
    }
  }
  assert.ok(links >= 8);
});

for (const [name, comment] of Object.entries(HOSTILE_COMMENTS)) {
  Deno.test(`a doc comment does not act on the page it is shown on: ${name}`, () => {
    for (const { path, text } of emitCookbook(hostileManifest(comment))) {
      if (path.endsWith(".json")) continue;
      assert.doesNotMatch(text, /<!--/, path);
      const outside = text.replace(/^---\n[\s\S]*?\n---\n/, "")
        .replaceAll(/^(`{3,})[\s\S]*?^\1$/gm, "")
        .replaceAll(/<pre v-pre><code>[^<>]*<\/code><\/pre>/g, "")
        .replaceAll(/<code v-pre>[^<>`\n]*<\/code>/g, "")
        .replaceAll(/^#+ .* \{#[\w-]+\}$/gm, (line) => line.replace(/ \{#[\w-]+\}$/, ""));
      assert.doesNotMatch(outside, /[<>{}]/, `${path}: HTML, interpolation or attributes`);
      assert.doesNotMatch(outside, /\]\((?!\.{1,2}\/|https?:\/\/[^)]*\))/, `${path}: a link`);
      assert.doesNotMatch(outside, /!\[|^\s*\[[^\]]*\]:/m, `${path}: an image or a definition`);
      assert.doesNotMatch(outside, /^ {0,3}(?:<<<|:::|={3,}|#{1,6} hostile)/m, `${path}: a block`);
      assert.doesNotMatch(outside, /^ {4}/m, `${path}: indented code`);
      // deno-lint-ignore no-control-regex -- these are what is looked for
      assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u202a-\u202e\u2066-\u2069]/);
    }
  });
}

Deno.test("what an author writes in prose stays: lists, emphasis, code, links", () => {
  const text = page(
    "Say *hello* in **bold**.\n\n- one `a < b`\n- [two](https://example.com/x_y)\n",
  );
  assert.match(text, /Say \*hello\* in \*\*bold\*\*\./);
  assert.match(text, /^- one <code v-pre>a &lt; b<\/code>$/m);
  assert.match(text, /^- \[two\]\(https:\/\/example\.com\/x&#95;y\)$/m);
});

Deno.test("a fence inside a comment cannot end the fence it is shown in", () => {
  const text = page("````\n```\n{{ 1 }}\n```\n````\nafter");
  assert.match(text, /^`{4}\n```\n\{\{ 1 \}\}\n```\n`{4}$/m);
  assert.match(text, /^after$/m);
});

Deno.test("groups whose names differ by case or signs have pages of their own", () => {
  const base = hostileManifest();
  const routes = ["Api", "api", "a.p.i", "index", null].map((egroup, i): RouteDef => ({
    ...base.routes[0]!,
    name: `f${i}`,
    op: 1000 + i,
    meta: { ...base.routes[0]!.meta, egroup },
  }));
  const paths = emitCookbook({ ...base, routes }).map((file) => file.path.toLowerCase());
  assert.equal(new Set(paths).size, paths.length);
  assert.equal(paths.filter((path) => path.startsWith("functions/")).length, 5);
  assert.ok(!paths.includes("functions/index.md"));
});

Deno.test("a cookbook replaces the one before, and nothing that it did not write", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kontract-test-" });
  try {
    const out = join(folder, "cookbook");
    const full = emitCookbook(hostileManifest());
    assert.equal(await writeCookbook(out, full), full.length);
    assert.equal(await writeCookbook(out, full), 0, "the same again changes nothing");
    await Deno.writeTextFile(join(out, "own.md"), "mine");
    const empty = emitCookbook({ ...hostileManifest(), routes: [], tables: [], types: {} });
    await writeCookbook(out, empty);
    const left = (JSON.parse(await Deno.readTextFile(join(out, "cookbook.json"))) as CookbookIndex)
      .files;
    assert.deepEqual(left, ["cookbook.json", "index.md", "permissions.md"]);
    await assert.rejects(Deno.stat(join(out, "tables.md")), Deno.errors.NotFound);
    assert.equal(await Deno.readTextFile(join(out, "own.md")), "mine");
    await Deno.writeTextFile(join(out, "tables.md"), "mine too");
    await assert.rejects(writeCookbook(out, full), { code: "CONFIG" });
    assert.equal(await Deno.readTextFile(join(out, "tables.md")), "mine too");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a folder that holds something else, or a forged list, is left alone", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kontract-test-" });
  try {
    const out = join(folder, "docs");
    await Deno.mkdir(out);
    await Deno.writeTextFile(join(folder, "precious.md"), "mine");
    await Deno.writeTextFile(join(out, "guide.md"), "mine");
    const files = emitCookbook(hostileManifest());
    await assert.rejects(writeCookbook(out, files), { code: "CONFIG" });
    assert.deepEqual([...Deno.readDirSync(out)].map((entry) => entry.name), ["guide.md"]);
    const forged = JSON.stringify({ files: ["../precious.md", "guide.MD", "/etc/passwd"] });
    await Deno.writeTextFile(join(out, "cookbook.json"), forged);
    await writeCookbook(out, files);
    assert.equal(await Deno.readTextFile(join(folder, "precious.md")), "mine");
    assert.equal(await Deno.readTextFile(join(out, "guide.md")), "mine");
    for (const list of ["{", '{"files":5}', "{}"]) {
      await Deno.writeTextFile(join(out, "cookbook.json"), list);
      await assert.rejects(
        writeCookbook(out, files),
        { code: "CONFIG", message: /no cookbook/ },
        list,
      );
    }
    // A file where the folder should be.
    await assert.rejects(writeCookbook(join(folder, "precious.md"), files), { code: "CONFIG" });
    assert.equal(await Deno.readTextFile(join(folder, "precious.md")), "mine");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

function page(comment: string): string {
  return emitCookbook(hostileManifest(comment)).find((file) => file.path === "functions/g.md")!
    .text;
}
