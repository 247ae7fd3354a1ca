/**
 * Keys of what a file means: equal keys, equal types and diagnostics, so results may be used again.
 *
 * A key covers the text of the file, of every own file it reaches by imports, and of all that reaches
 * everywhere: files that are not the app's own, and own files that declare global or module types.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type ts from "typescript";
import { compareText } from "./diagnostic.ts";
import { digest } from "./digest.ts";
import { versionOf } from "./program.ts";

/** Where a program's imports lead to. */
export interface ImportTable {
  importsOf(file: string): readonly string[];
}

/** Keys of the app's own files by file name. */
export function fileKeys(
  program: ts.Program,
  own: readonly ts.SourceFile[],
  imports: ImportTable,
): ReadonlyMap<string, string> {
  // With what its imports lead to: `deno.json` may lead the same text elsewhere.
  const versions = new Map(own.map((source) => {
    const { fileName } = source;
    return [fileName, [versionOf(source), ...imports.importsOf(fileName)].join("\n")];
  }));
  const ambient = own.filter((source) =>
    /\bdeclare\s+(?:global|module|namespace)\b/.test(source.text)
  );
  const global = globalStamp(program, versions, ambient, imports);
  return new Map(own.map(({ fileName }) => {
    const reached = reachedFrom([fileName], versions, imports);
    const texts = [...reached].sort(compareText).flatMap((
      file,
    ) => [file, versions.get(file) ?? ""]);
    return [fileName, digest([global, fileName, ...texts], 32)];
  }));
}

function globalStamp(
  program: ts.Program,
  own: ReadonlyMap<string, string>,
  ambient: readonly ts.SourceFile[],
  imports: ImportTable,
): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify(program.getCompilerOptions()));
  const roots = ambient.map((source) => source.fileName);
  for (const source of program.getSourceFiles()) {
    if (own.has(source.fileName)) continue;
    hash.update(`${source.fileName}\n${versionOf(source)}\n`);
    // What a generated declaration or a package takes from the app reaches all of the app.
    roots.push(...imports.importsOf(source.fileName).filter((file) => own.has(file)));
  }
  for (const file of [...reachedFrom(roots, own, imports)].sort(compareText)) {
    hash.update(`${file}\n${own.get(file) ?? ""}\n`);
  }
  return hash.digest("hex");
}

/** `roots`, and every file of `own` that imports lead to from there. */
export function reachedFrom(
  roots: readonly string[],
  own: { has(file: string): boolean },
  imports: ImportTable,
): ReadonlySet<string> {
  const seen = new Set(roots);
  const pending = [...roots];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    for (const next of imports.importsOf(file)) {
      if (!own.has(next) || seen.has(next)) continue;
      seen.add(next);
      pending.push(next);
    }
  }
  return seen;
}
