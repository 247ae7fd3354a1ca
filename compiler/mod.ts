/**
 * The compiler: one app in; worker bundle, client module, front end, schema and manifest out.
 *
 * ```ts ignore
 * import { build, formatDiagnostics } from "@kontract/kontract/compiler";
 *
 * const result = await build({ root: "." });
 * if (!result.ok) console.error(formatDiagnostics(result.diagnostics, { color: true }));
 * ```
 *
 * @module
 */
export type * from "../_internal/manifest.ts";
export type * from "../_internal/shape.ts";
import { Builder, type BuildOptions, type BuildResult } from "./build.ts";
import { stopBundler } from "./bundle.ts";

export { Builder, type BuildOptions, type BuildResult } from "./build.ts";
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
export { stopBundler } from "./bundle.ts";
export {
  type CookbookFile,
  type CookbookIndex,
  emitCookbook,
  type SidebarItem,
} from "./cookbook/mod.ts";
export type { SizeBudget } from "./size_budget.ts";
export type { BuildReport, LoadSize, OutputSize } from "./size_report.ts";
export { EDITOR_PLUGIN, installEditorPlugin } from "./editor/install.ts";
export { writeCookbook } from "./cookbook/write.ts";

/** Builds an app once. Never throws for what is wrong with the app; the output is swapped in whole. */
export async function build(options: BuildOptions): Promise<BuildResult> {
  try {
    return await new Builder(options).rebuild();
  } finally {
    await stopBundler();
  }
}

/** A builder for watch mode: each rebuild reuses what has not changed. End it with {@link stopBundler}. */
export function createBuilder(options: BuildOptions): Builder {
  return new Builder(options);
}

/** Everything a build checks and the front end's types, without output: in place of `deno check`. */
export function check(root: string): Promise<BuildResult> {
  return new Builder({ root }).check();
}
