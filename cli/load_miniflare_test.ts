/**
 * The version that `load_miniflare.ts` names.
 *
 * @module
 */
import assert from "node:assert/strict";
import { MINIFLARE } from "./load_miniflare.ts";

Deno.test("workerd is the one that deno.json pins", async () => {
  const text = await Deno.readTextFile(new URL("../deno.json", import.meta.url));
  const { imports }: { readonly imports: Readonly<Record<string, string>> } = JSON.parse(text);
  assert.equal(MINIFLARE, imports.miniflare);
});
