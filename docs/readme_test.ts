/** The README's table of features leads somewhere: to a page and to an example, for each thing that works. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Row {
  readonly feature: string;
  readonly works: string;
  readonly guide: string;
  readonly example: string;
}

async function rows(): Promise<readonly Row[]> {
  const readme = await Deno.readTextFile(join(root, "README.md"));
  const table = /^## What works[^]*?\n(\|[^]*?)\n\n/m.exec(readme)?.[1] ?? "";
  return table.split("\n").slice(2).map((line) => {
    const [, feature = "", works = "", guide = "", example = ""] = line.split(/(?<!\\)\|/);
    return { feature: feature.trim(), works: works.trim(), guide, example };
  });
}

function targets(cell: string): readonly string[] {
  return [...cell.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, path]) => path!);
}

Deno.test("each feature that works has a page and an example, and both exist", async () => {
  const found = await rows();
  assert.ok(found.length > 12, "the table was not found");
  for (const { feature, works, guide, example } of found) {
    if (works.startsWith("not yet")) continue;
    for (const [what, cell] of [["page", guide], ["example", example]] as const) {
      const links = targets(cell);
      assert.ok(links.length > 0, `'${feature}' has no ${what}`);
      for (const path of links) {
        await assert.doesNotReject(Deno.stat(join(root, path)), `'${feature}': ${path}`);
      }
    }
  }
});

Deno.test("every page of the guide is in the site's navigation", async () => {
  const config = await Deno.readTextFile(join(root, "docs", ".vitepress", "config.ts"));
  for (const section of ["guide", "architecture"]) {
    for await (const { name } of Deno.readDir(join(root, "docs", section))) {
      const link = `/${section}/${name.replace(/\.md$/, "")}`;
      assert.ok(config.includes(`"${link}"`), `${link} is in no sidebar`);
    }
  }
});
