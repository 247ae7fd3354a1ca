/**
 * The compiler, as the commands use it: a built app or one error with all diagnostics as text.
 *
 * TypeScript and the bundler are heavy, so they are loaded by the first build and not before.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type {
  Builder,
  BuildOptions,
  BuildReport,
  BuildResult,
  CheckOptions,
  OutputFiles,
} from "../../compiler/mod.ts";
import type { Manifest } from "../../_internal/manifest.ts";
import { type Compiler, loadCompiler } from "../load_compiler.ts";
import type { AppFolder } from "./app_folder.ts";
import { clientPins } from "./client_pins.ts";
import type { HostName } from "./host.ts";

/** A build that succeeded; its files are in `dist`. */
export interface BuiltApp {
  readonly manifest: Manifest;
  /** Formatted, empty for none. */
  readonly warnings: string;
  /** Sizes; null for a build that was taken as it was. */
  readonly report: BuildReport | null;
}

/** Builds one app again and again; keeps what it has parsed in between. */
export interface AppBuilder {
  /**
   * Builds what is on disk now.
   *
   * @throws {KontractError} `BUILD_FAILED`; the message holds every diagnostic with its code frame.
   */
  build(): Promise<BuiltApp>;
  /** The same while files may still be written, see `Builder.rebuild`; null where it was in vain. */
  buildEarly(isWhole: () => Promise<boolean>): Promise<BuiltApp | null>;
  /** Formatted warnings of what the last build loads beyond the app's budget; empty for none. */
  overBudget(): Promise<string>;
  /** Files outside of the app's folder that the last build has asked for; of a failed one too. */
  outside(): readonly string[];
  /** What is in `dist`, by path below it, as the last build that succeeded has made it. */
  outputs(): OutputFiles;
  /** Does what the last build left undone, for a moment without edits; where there was none, nothing. */
  settle(): Promise<void>;
  /** Ends the bundler's process, with nothing left undone. */
  close(): Promise<void>;
}

/** Makes a builder; the compiler is loaded by the first build. `options` are the compiler's. */
export function appBuilder(
  app: AppFolder,
  secrets: readonly Uint8Array[],
  hosts: readonly HostName[],
  options: Partial<Pick<BuildOptions, "layout" | "minify" | "sizes" | "signal">> = {},
): AppBuilder {
  let making: Promise<{ readonly compiler: Compiler; readonly builder: Builder }> | undefined;
  const make = async () => {
    const [compiler, pins] = await Promise.all([loadCompiler(), clientPins(secrets)]);
    return {
      compiler,
      builder: compiler.createBuilder({ ...options, root: app.root, pins, hosts }),
    };
  };
  let outside: readonly string[] = [];
  let outputs: OutputFiles = new Map();
  const built = async (isWhole?: () => Promise<boolean>): Promise<BuiltApp | null> => {
    const { compiler, builder } = await (making ??= make());
    const result = await builder.rebuild(isWhole);
    outside = result.outside;
    if (result.ok) outputs = result.outputs;
    return result.inVain === true ? null : outcome(compiler, result);
  };
  return {
    async build(): Promise<BuiltApp> {
      const app = await built();
      if (app === null) throw new Error("Invariant: a build that asks nobody is not in vain.");
      return app;
    },
    buildEarly: built,
    outside: () => outside,
    outputs: () => outputs,
    async settle(): Promise<void> {
      await (await making)?.builder.settle();
    },
    async overBudget(): Promise<string> {
      const { compiler, builder } = await (making ??= make());
      return compiler.formatDiagnostics(await builder.overBudget(), { color: isColored() });
    },
    async close(): Promise<void> {
      const made = await making;
      await made?.builder.settle();
      await made?.compiler.stopBundler();
    },
  };
}

/** Builds an app once. Throws like {@link AppBuilder.build}. */
export async function buildApp(
  app: AppFolder,
  secrets: readonly Uint8Array[],
  hosts: readonly HostName[],
  options: Partial<Pick<BuildOptions, "minify" | "sizes">> = {},
): Promise<BuiltApp> {
  const builder = appBuilder(app, secrets, hosts, options);
  try {
    return await builder.build();
  } finally {
    await builder.close();
  }
}

/** Everything a build checks, and the types of all files. Throws like {@link AppBuilder.build}. */
export async function checkApp(app: AppFolder, options: CheckOptions = {}): Promise<BuiltApp> {
  const compiler = await loadCompiler();
  return outcome(compiler, await compiler.check(app.root, options));
}

function outcome(
  compiler: Compiler,
  result: BuildResult,
): BuiltApp {
  const text = compiler.formatDiagnostics(result.diagnostics, { color: isColored() });
  if (!result.ok || result.manifest === undefined) throw new KontractError("BUILD_FAILED", text);
  return { manifest: result.manifest, warnings: text, report: result.report };
}

function isColored(): boolean {
  return Deno.stderr.isTerminal() && !Deno.noColor;
}
