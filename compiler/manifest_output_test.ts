/** What is written of a manifest, and what is written again. */
import assert from "node:assert/strict";
import type { Manifest } from "../_internal/manifest.ts";
import { build, stopBundler } from "./mod.ts";
import { manifestText } from "./manifest_output.ts";
import { makeApp } from "./testing/app.ts";

Deno.test({
  name: "a manifest's text is its JSON, also after parts of it have changed",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using app = await makeApp({
      "src/notes.ts": `import { AppError, backend, primkey, table } from "@kontract/kontract";
export interface Tree { name: string; "odd \\n key"?: Tree[] }
export class Full extends AppError<"FULL"> { constructor() { super("FULL"); } }
@table("notes") export class Note { @primkey id!: string; }
/** Doc.\n * More. */
export const first = backend({}, async (tree: Tree): Promise<Tree> => await Promise.resolve(tree));
export const second = backend({}, async (): Promise<void> => { throw new Full(); });
`,
    });
    const { manifest } = await build({ root: app.root, hosts: [] });
    assert.ok(manifest !== undefined && manifest.routes.length === 2);
    const [first, second] = manifest.routes;
    const moved = { ...second!, source: { ...second!.source, line: 99 } };
    const others: readonly Manifest[] = [
      manifest,
      { ...manifest, build: "another", routes: [first!, moved] },
      { ...manifest, errors: [], types: {} },
      manifest,
    ];
    for (const one of others) {
      assert.equal(manifestText(one), `${JSON.stringify(one, null, 2)}\n`);
    }
    await stopBundler();
  },
});
