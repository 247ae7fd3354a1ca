/**
 * The compiler: one app in; worker bundle, client module, front end, schema and manifest out.
 *
 * What is wrong with an app is data, never an exception; nothing here prints, ends the process or depends on
 * its current folder once it is called. Builds of several apps may run at once. It starts `deno info`, and
 * esbuild as a process that {@link build} ends by itself and {@link stopBundler} after {@link createBuilder}.
 *
 * @example An app that is not right
 * ```ts
 * import { build, formatDiagnostics } from "@kontract/kontract/compiler";
 *
 * const root = await Deno.makeTempDir();
 * const { ok, diagnostics } = await build({ root });
 * console.assert(!ok && diagnostics[0]?.code === "KT1001"); // there are no sources
 * console.assert(formatDiagnostics(diagnostics).includes("'src'"));
 * await Deno.remove(root, { recursive: true });
 * ```
 *
 * @module
 */
export type * from "../_internal/manifest.ts";
export type * from "../_internal/shape.ts";
import { Builder, type BuildOptions, type BuildResult, type CheckOptions } from "./build.ts";
import { stopBundler, withBundler } from "./bundler_process.ts";

export { Builder, type BuildOptions, type BuildResult, type CheckOptions } from "./build.ts";
export type { Host, Layout } from "./host_output.ts";
export {
  type Diagnostic,
  DIAGNOSTIC_CODES,
  type DiagnosticCode,
  formatDiagnostics,
  type FormatOptions,
} from "./diagnostic.ts";
export {
  EMPTY_LOCK,
  formatLock,
  LockError,
  type LockFile,
  type LockOwner,
  parseLock,
  removeRoute,
  renameRoute,
} from "./lock.ts";
export { stopBundler } from "./bundler_process.ts";
export {
  type CookbookFile,
  type CookbookIndex,
  emitCookbook,
  type SidebarItem,
} from "./cookbook/mod.ts";
export type { SizeBudget } from "./size_budget.ts";
export type { BuildReport, LoadSize, OutputFiles, OutputSize } from "./size_report.ts";
export { EDITOR_PLUGIN, installEditorPlugin } from "./editor/install.ts";
export { writeCookbook } from "./cookbook/write.ts";

/**
 * Builds an app once. Never throws for what is wrong with the app; the output is swapped in whole, and a build
 * that fails leaves what was there. Rejects where `signal` ends it, with the signal's reason.
 *
 * @example
 * ```ts
 * import { build } from "@kontract/kontract/compiler";
 *
 * const root = await Deno.makeTempDir();
 * const signal = AbortSignal.abort("enough");
 * const why = await build({ root, hosts: ["deno"], signal }).catch((reason) => reason);
 * console.assert(why === "enough");
 * await Deno.remove(root, { recursive: true });
 * ```
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  try {
    return await withBundler(async () => {
      const builder = new Builder(options);
      const made = await builder.rebuild();
      await builder.settle();
      return made;
    });
  } finally {
    await stopBundler();
  }
}

/**
 * A builder for watch mode: each rebuild reuses what has not changed. End it with {@link stopBundler}.
 *
 * @example
 * ```ts
 * import { createBuilder, stopBundler } from "@kontract/kontract/compiler";
 *
 * const root = await Deno.makeTempDir();
 * const builder = createBuilder({ root, hosts: ["deno"], layout: "modules" });
 * const first = await builder.rebuild();
 * const second = await builder.rebuild(); // after an edit
 * console.assert(!first.ok && !second.ok);
 * await stopBundler();
 * await Deno.remove(root, { recursive: true });
 * ```
 */
export function createBuilder(options: BuildOptions): Builder {
  return new Builder(options);
}

/**
 * Everything a build checks and the types of all of the app's files, its tests and what nothing imports yet too,
 * without output: in place of `deno check`.
 *
 * @example
 * ```ts
 * import { check } from "@kontract/kontract/compiler";
 *
 * const root = await Deno.makeTempDir();
 * const { diagnostics } = await check(root);
 * for (const { code, message, span, hint } of diagnostics) console.log(code, message, span, hint);
 * await Deno.remove(root, { recursive: true });
 * ```
 */
export function check(root: string, options: CheckOptions = {}): Promise<BuildResult> {
  return new Builder({ root }).check(options);
}
