/** One process of esbuild for all builds of a program, which begin and end as they like. */
import assert from "node:assert/strict";
import * as esbuild from "esbuild";
import { bundlerGeneration, ownedByBundler, stopBundler, withBundler } from "./bundler_process.ts";

async function bundled(text: string): Promise<string> {
  const context = await esbuild.context({
    stdin: { contents: `console.log(${JSON.stringify(text)})` },
    write: false,
    logLevel: "silent",
  });
  ownedByBundler(context);
  const { outputFiles } = await context.rebuild();
  return outputFiles![0]!.text.trim();
}

Deno.test("who comes while the bundler's process ends gets a new one", async () => {
  assert.equal(await withBundler(() => bundled("a")), 'console.log("a");');
  const before = bundlerGeneration();
  const stopping = stopBundler();
  const late = withBundler(() => bundled("b"));
  await stopping;
  assert.equal(await late, 'console.log("b");');
  assert.equal(bundlerGeneration(), before + 1);
  await stopBundler();
});

Deno.test("the bundler's process is not ended under who uses it", async () => {
  await withBundler(async () => {
    const before = bundlerGeneration();
    await stopBundler();
    assert.equal(bundlerGeneration(), before);
    assert.equal(await bundled("c"), 'console.log("c");');
  });
  await stopBundler();
});
