/** A stack trace in workerd leads to the author's lines, in what `start` prints. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { TemporaryApp } from "../testing/temporary_app.ts";
import { SourceLines } from "./source_lines.ts";

const FILES: Readonly<Record<string, string>> = {
  "src/around.ts": `import { defineMiddleware } from "@kontract/kontract";

export const around = defineMiddleware({ prefix: "fall" }, async (next) => {
  return await next();
});
`,
  "src/notes.ts": `import { backend } from "@kontract/kontract";
import { deep } from "./deep.ts";

export class Notes {
  @backend({})
  static async fallDown(): Promise<number> {
    await Promise.resolve();
    return deep(1);
  }
}
`,
  "src/deep.ts": `interface Depth {
  readonly n: number;
}

export function deep(n: number): number {
  const depth: Depth = { n };
  if (depth.n === 1) {
    console.error(new Error("said aloud").stack);
    throw new TypeError("in the deep");
  }
  return depth.n;
}
`,
};

// On Deno, which reads source maps by itself, `compiler/source_map_test.ts` holds the same.
Deno.test(
  "a stack trace in workerd leads to the author's lines",
  { sanitizeOps: false, sanitizeResources: false, ignore: Deno.build.os === "windows" },
  async () => {
    await using app = await TemporaryApp.create([], FILES);
    const child = app.spawn("start", { host: "workers", stdout: "piped", stderr: "piped" });
    const said = Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    const { url } = await app.info(child);
    await app.call(url, "fallDown", []).catch(() => {});
    child.kill("SIGTERM");
    await app.quiet();
    const all = (await said).join("\n");
    const logged = all.split("\n").find((line) => line.includes(`"event":"call_failed"`)) ?? "";
    const { stack } = JSON.parse(logged).error as { stack: string };
    const lines = stack.split("\n");
    assert.equal(lines[0], "TypeError: in the deep");
    assert.match(lines[1] ?? "", /at deep \(file:\/\/\S+\/src\/deep\.ts:9:11\)/, all);
    assert.match(lines[2] ?? "", /fallDown \(file:\/\/\S+\/src\/notes\.ts:8:12\)/, all);
    assert.match(all, /Error: said aloud\n\s+at deep \(file:\/\/\S+\/src\/deep\.ts:8:19\)/, all);
  },
);

Deno.test("a place that is cut between two chunks, a bundle without maps and odd text pass through", async () => {
  const folder = await Deno.makeTempDir();
  const lines = new SourceLines(folder);
  await Deno.writeTextFile(join(folder, "broken.js.map"), "{");
  const text =
    `at f (file://${folder}/none.js:1:2)\nat g (file://${folder}/broken.js:3:4) \u00fc\nrest`;
  const bytes = new TextEncoder().encode(text);
  for (const cut of [1, 20, bytes.length - 8, bytes.length]) {
    const source = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes.slice(0, cut));
        controller.enqueue(bytes.slice(cut));
        controller.close();
      },
    });
    assert.equal(await new Response(source.pipeThrough(lines.stream())).text(), text);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a place in a package has the package's name, one in generated code stays", async () => {
  const folder = await Deno.makeTempDir();
  const map = (source: string) =>
    JSON.stringify({ version: 3, sources: [source], names: [], mappings: "AACA" });
  await Deno.writeTextFile(join(folder, "a.js.map"), map("npm:preact@10.0.0/hooks.js"));
  await Deno.writeTextFile(join(folder, "b.js.map"), map("kontract:app"));
  const lines = new SourceLines(folder);
  assert.equal(lines.text(`file://${folder}/a.js:1:1`), "npm:preact@10.0.0/hooks.js:2:1");
  assert.equal(lines.text(`file://${folder}/b.js:1:1`), `file://${folder}/b.js:1:1`);
  await Deno.remove(folder, { recursive: true });
});
