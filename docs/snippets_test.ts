/**
 * The code in the guide compiles: the `ts` blocks of a page are the files of one app, which is checked as
 * `kontract check` checks any app. `ts [path]` names a block's file; a block without a name is a module of its
 * own in `src/`; `no-check` leaves a block out.
 */
import assert from "node:assert/strict";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { check, formatDiagnostics } from "../compiler/mod.ts";
import { makeApp } from "../compiler/testing/app.ts";

const DOCS = fileURLToPath(new URL("./", import.meta.url));
const GENERATED: ReadonlySet<string> = new Set([
  "node_modules",
  "cookbook",
  "reference",
  "public",
  ".vitepress",
]);

/** Markdown files written by hand. */
function pages(folder: string = DOCS): string[] {
  return [...Deno.readDirSync(folder)].flatMap((entry) => {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory) {
      return GENERATED.has(entry.name) ? [] : pages(`${path}/`);
    }
    return entry.name.endsWith(".md") ? [path] : [];
  }).sort();
}

const FENCE = /^(`{3,})ts\b([^\n]*)\n([\s\S]*?)^\1$/gm;

/** Files of a page: path → text. The same path twice is one file. */
function snippets(markdown: string): Readonly<Record<string, string>> {
  const files: Record<string, string> = {};
  let unnamed = 0;
  for (const [, , info, text] of markdown.matchAll(FENCE)) {
    if (info!.includes("no-check")) continue;
    const name = /\[([^\]]+)\]/.exec(info!)?.[1] ?? `src/example_${++unnamed}.ts`;
    files[name] = (files[name] ?? "") + text;
  }
  // Only what the front end's entry reaches is checked.
  const web = Object.keys(files).filter((name) => /^web\/.*\.ts$/.test(name));
  if (web.length > 0) {
    const others = web.filter((name) => name !== "web/main.ts")
      .map((name) => `import ".${name.slice("web".length)}";\n`);
    files["web/main.ts"] = others.join("") + (files["web/main.ts"] ?? "");
  }
  return files;
}

for (const page of pages()) {
  const files = snippets(Deno.readTextFileSync(page));
  if (Object.keys(files).length === 0) continue;
  Deno.test(`the code compiles: docs/${relative(DOCS, page)}`, async () => {
    await using app = await makeApp({
      "web/index.html": "<!doctype html>\n",
      ...files,
    });
    const config = JSON.parse(await app.read("deno.json")) as {
      imports: Record<string, string>;
    };
    config.imports["@/client"] = "./dist/client/client.js";
    await app.write("deno.json", JSON.stringify(config));
    const { diagnostics } = await check(app.root);
    // A test is part of the client here alone: it runs on Deno.
    const wrong = diagnostics.filter(({ code, span }) =>
      code !== "KT5003" || !/_test\.ts$/.test(span?.file ?? "")
    );
    assert.equal(formatDiagnostics(wrong), "");
  });
}

Deno.test("every page stands in the navigation, and every entry of it leads to a page", () => {
  const config = Deno.readTextFileSync(`${DOCS}.vitepress/config.ts`);
  const links = new Set(
    [...config.matchAll(/link: "(\/[a-z_/]+)"/g)].map((match) => match[1]!),
  );
  const written = pages().map((page) => `/${relative(DOCS, page).replace(/\.md$/, "")}`);
  for (const page of written.filter((one) => one !== "/index")) {
    assert.ok(links.has(page), `${page} is in no sidebar`);
  }
  const made = ["/reference/errors", "/reference/command_line", "/cookbook/"];
  for (const link of links) {
    assert.ok([...written, ...made].includes(link), `no page ${link}`);
  }
});
