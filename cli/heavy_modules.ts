/**
 * Modules that bring big npm packages with them, loaded when they are needed.
 *
 * Deno fetches whatever a literal `import()` names before a program begins, 230 MB for a `kontract --help`.
 * A specifier that it cannot see is fetched by the import itself, so these are kept in variables. No import
 * map applies to them once the package is published: npm versions stand here as in `deno.json`, and a test
 * holds the two together.
 *
 * @module
 */

/** The compiler: TypeScript and esbuild. */
export type Compiler = typeof import("../compiler/mod.ts");

/** Miniflare: workerd. */
export type Miniflare = typeof import("miniflare");

const COMPILER: string = "../compiler/mod.ts";

/** Specifier of miniflare. */
export const MINIFLARE: string = "npm:miniflare@4.20260730.0";

/** Loads the compiler. */
export async function loadCompiler(): Promise<Compiler> {
  return await import(COMPILER);
}

/** Loads miniflare. */
export async function loadMiniflare(): Promise<Miniflare> {
  return await import(MINIFLARE);
}
