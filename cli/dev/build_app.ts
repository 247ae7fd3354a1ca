/**
 * The compiler, as the commands use it: a built app or one error with all diagnostics as text.
 *
 * TypeScript and the bundler are heavy, so they are loaded by the first build and not before.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { Manifest } from "../../_internal/manifest.ts";
import { deriveServerKeys } from "../../protocol/server_keys.ts";
import type { AppFolder } from "./app_folder.ts";
import type { HostName } from "./host.ts";

/** A build that succeeded; its files are in `dist`. */
export interface BuiltApp {
  readonly manifest: Manifest;
  /** Formatted, empty for none. */
  readonly warnings: string;
}

/**
 * Builds an app for some hosts.
 *
 * @throws {KontractError} `BUILD_FAILED`; the message holds every diagnostic with its code frame.
 */
export async function buildApp(
  app: AppFolder,
  secrets: readonly Uint8Array[],
  hosts: readonly HostName[],
): Promise<BuiltApp> {
  const [compiler, { pins }] = await Promise.all([
    import("../../compiler/mod.ts"),
    deriveServerKeys(secrets),
  ]);
  const { manifest, diagnostics } = await compiler.build({ root: app.root, pins, hosts });
  const color = Deno.stderr.isTerminal() && !Deno.noColor;
  const text = compiler.formatDiagnostics(diagnostics, { color });
  if (manifest === null) throw new KontractError("BUILD_FAILED", text);
  return { manifest, warnings: text };
}
