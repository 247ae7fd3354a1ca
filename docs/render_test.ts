/**
 * What the site's own renderer makes of a cookbook whose doc comments are hostile: VitePress 1.6 with its
 * plugins, and Vue's parser over the result.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { emitCookbook } from "../compiler/cookbook/mod.ts";
import { HOSTILE_COMMENTS, hostileManifest } from "../compiler/testing/hostile_comments.ts";

interface Report {
  readonly path: string;
  readonly found: readonly string[];
}

async function render(
  pages: readonly { readonly path: string; readonly text: string }[],
): Promise<readonly Report[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "testing/render.ts"],
    cwd: fileURLToPath(new URL("./", import.meta.url)),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(pages)));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout)) as readonly Report[];
}

Deno.test("the renderer finds what acts, where nothing is escaped", async () => {
  const texts = [
    "{{ 1 }}",
    "`{{ 1 }}`",
    "<b>x</b>",
    "x {onclick=f()}",
    "<script>1</script>",
  ];
  const reports = await render(texts.map((text) => ({ path: text, text })));
  for (const { path, found } of reports) assert.notDeepEqual(found, [], path);
});

Deno.test("nothing in a hostile doc comment acts on the page that shows it", async () => {
  const pages = Object.entries(HOSTILE_COMMENTS).flatMap(([name, comment]) =>
    emitCookbook(hostileManifest(comment)).filter(({ path }) => path.endsWith(".md"))
      .map(({ path, text }) => ({ path: `${name}: ${path}`, text }))
  );
  const bad = (await render(pages)).filter(({ found }) => found.length > 0);
  assert.deepEqual(bad, []);
});
