/**
 * Miniflare, with workerd, loaded when it is needed; in a variable for the reason that `load_compiler.ts`
 * gives (190 MB here).
 *
 * No import map applies to it once the package is published, so the version stands here as in `deno.json`;
 * a test holds the two together.
 *
 * @module
 */

/** Miniflare's module. */
export type Miniflare = typeof import("miniflare");

/** What is imported. */
export const MINIFLARE: string = "npm:miniflare@4.20260730.0";

/** Loads miniflare. */
export async function loadMiniflare(): Promise<Miniflare> {
  return await import(MINIFLARE);
}
