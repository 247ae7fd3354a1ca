/**
 * The compiler, with TypeScript and esbuild, loaded when it is needed.
 *
 * Deno fetches whatever a literal `import()` names before a program begins: 40 MB for a `kontract --help`.
 * A specifier that it cannot see is fetched by the import itself, so this one is kept in a variable.
 *
 * @module
 */

/** The compiler's module. */
export type Compiler = typeof import("../compiler/mod.ts");

const COMPILER: string = "../compiler/mod.ts";

/** Loads the compiler. */
export async function loadCompiler(): Promise<Compiler> {
  return await import(COMPILER);
}
