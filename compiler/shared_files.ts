/**
 * Files that no app owns (TypeScript's libraries, Deno's declarations, the package's own modules), parsed
 * once in a process and used by all its builders.
 *
 * They are most of what a first build parses and binds. Sharing is right because nothing of them depends on
 * an app: what parsing and binding look at in the compiler's options (target, strictness) is the same for
 * all, and an app with JSX, which adds an import to every module, shares declarations alone. Types stay with
 * each program's own checker.
 *
 * @module
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const LIB_FOLDER = dirname(ts.getDefaultLibFilePath({}));

/** The package's folder, with `/` at its end; null where it comes from a registry. */
const PACKAGE = import.meta.url.startsWith("file:")
  ? fileURLToPath(new URL("../", import.meta.url))
  : null;

/** Folders of the package whose modules an app's types come from. */
const MODULES = ["_internal", "auth", "events", "protocol", "runtime", "storage", "mod.ts"];

const parsed: Map<string, { readonly text: string; readonly source: ts.SourceFile }> = new Map();

/** True for TypeScript's libraries and Deno's declarations. */
export function isLibrary(file: string): boolean {
  return file.startsWith("/kontract-lib/") || dirname(file) === LIB_FOLDER;
}

/** True for a file that is parsed once for all. */
export function isShared(file: string, options: ts.CompilerOptions): boolean {
  if (isLibrary(file)) return true;
  return PACKAGE !== null && options.jsx === undefined &&
    MODULES.some((name) => file === PACKAGE + name || file.startsWith(`${PACKAGE}${name}/`));
}

/** The parsed `file`; `parse` makes it where this text of it was not parsed before. */
export function sharedFile(
  file: string,
  text: string,
  parse: () => ts.SourceFile,
): ts.SourceFile {
  const known = parsed.get(file);
  if (known !== undefined && known.text === text) return known.source;
  const source = parse();
  parsed.set(file, { text, source });
  return source;
}
