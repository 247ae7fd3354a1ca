import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

// The client's own budget; noble is a fallback and lies in chunks of its own.
const BUDGET = 12_000;

Deno.test({
  name: "the client bundles for browsers within 12 kB gzip, with noble in lazy chunks",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const root = new URL("../", import.meta.url).pathname;
    try {
      const result = await esbuild.build({
        entryPoints: { client: `${root}protocol/client.ts` },
        bundle: true,
        splitting: true,
        format: "esm",
        platform: "neutral",
        target: "es2022",
        minify: true,
        write: false,
        metafile: true,
        outdir: "/out",
        absWorkingDir: root,
        plugins: [nobleFromCache()],
      });
      const outputs = Object.entries(result.metafile.outputs);
      const entry = outputs.find(([, output]) => output.entryPoint !== undefined)?.[0];
      assert.ok(entry !== undefined);
      const eager = new Set<string>();
      const visit = (path: string): void => {
        if (eager.has(path)) return;
        eager.add(path);
        for (const each of result.metafile.outputs[path]?.imports ?? []) {
          if (each.kind === "import-statement" && !each.external) visit(each.path);
        }
      };
      visit(entry);
      let size = 0;
      for (const file of result.outputFiles) {
        const name = [...eager].find((path) => file.path.endsWith(path.replace(/^.*\//, "/")));
        if (name === undefined) continue;
        size += gzipSync(file.contents).length;
        assert.doesNotMatch(file.text, /from\s*"node:|import\("node:|import "node:/);
      }
      const inputs = [...eager].flatMap((path) =>
        Object.keys(result.metafile.outputs[path]?.inputs ?? {})
      );
      assert.ok(!inputs.some((path) => path.includes("noble_") || path.includes("@noble")));
      assert.ok(!inputs.some((path) => path.includes("server") || path.includes("tickets")));
      console.log(`raystream client: ${size} bytes gzip in ${eager.size} eager chunk(s)`);
      assert.ok(size <= BUDGET, `${size} bytes gzip are more than ${BUDGET}`);
    } finally {
      await esbuild.stop();
    }
  },
});

// esbuild knows no import map; the three packages are resolved through Deno itself.
function nobleFromCache(): esbuild.Plugin {
  return {
    name: "noble",
    setup(build) {
      build.onResolve({ filter: /^@noble\// }, ({ path }) => ({ path, namespace: "noble" }));
      build.onLoad({ filter: /.*/, namespace: "noble" }, async ({ path }) => {
        const module = await import(path);
        const names = Object.keys(module).filter((name) => name !== "default");
        // What lies in the lazy chunk does not matter here, only that it is lazy.
        return { contents: names.map((name) => `export const ${name} = null;`).join("\n") };
      });
    },
  };
}
