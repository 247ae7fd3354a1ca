import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { bundleModule } from "./testing/browser_bundle.ts";

// The client's own budget; noble is a fallback and lies in chunks of its own.
const BUDGET = 12_000;

Deno.test({
  name: "the client bundles for browsers within 12 kB gzip, with noble in lazy chunks",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const result = await bundleModule("protocol/client.ts");
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
  },
});
