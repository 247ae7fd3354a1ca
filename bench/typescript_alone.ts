/**
 * What TypeScript's own language service needs for an app's sources: the yardstick of `compiler.ts`.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** The edits to time: a file's name and its new text. */
export interface Edits {
  readonly leaf: (i: number) => readonly [file: string, text: string];
  readonly shared: (i: number) => readonly [file: string, text: string];
  readonly leafEdits: number;
  readonly sharedEdits: number;
}

/** Milliseconds by edit. */
export interface Yardstick {
  readonly first: number;
  readonly leaf: readonly number[];
  readonly shared: readonly number[];
}

const ENTRY = fileURLToPath(new URL("../mod.ts", import.meta.url));

/** Times the diagnostics of a folder's files: the edited one for a leaf, all for a shared type. */
export function typescriptAlone(folder: string, edits: Edits): Yardstick {
  const texts = new Map<string, { text: string; version: number }>();
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    texts.set(file, { text: readFileSync(file, "utf8"), version: 1 });
  }
  const types = join(dirname(folder), ".kontract", "types.d.ts");
  texts.set(types, { text: readFileSync(types, "utf8"), version: 1 });
  const names = [...texts.keys()];
  const read = (file: string): string | undefined => texts.get(file)?.text ?? ts.sys.readFile(file);
  const service = ts.createLanguageService({
    getScriptFileNames: () => names,
    getScriptVersion: (file) => String(texts.get(file)?.version ?? 1),
    getScriptSnapshot: (file) => {
      const text = read(file);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => folder,
    getCompilationSettings: () => ({
      target: ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      allowImportingTsExtensions: true,
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: [],
    }),
    getDefaultLibFileName: (options) => ts.getDefaultLibFilePath(options),
    fileExists: (file) => texts.has(file) || ts.sys.fileExists(file),
    readFile: read,
    resolveModuleNameLiterals: (literals, importer) =>
      literals.map(({ text }) => {
        const file = text === "@kontract/kontract" ? ENTRY : join(dirname(importer), text);
        const known = texts.has(file) || ts.sys.fileExists(file);
        return {
          resolvedModule: known
            ? { resolvedFileName: file, extension: ts.Extension.Ts }
            : undefined,
        };
      }),
  });
  const all = (): void => {
    for (const file of names) service.getSemanticDiagnostics(file);
  };
  const timed = (work: () => void): number => {
    const start = performance.now();
    work();
    return performance.now() - start;
  };
  const put = ([name, text]: readonly [string, string]): string => {
    const file = join(folder, name);
    texts.set(file, { text, version: (texts.get(file)?.version ?? 0) + 1 });
    return file;
  };
  return {
    first: timed(all),
    leaf: Array.from({ length: edits.leafEdits }, (_, i) => {
      const file = put(edits.leaf(i));
      return timed(() => service.getSemanticDiagnostics(file));
    }),
    shared: Array.from({ length: edits.sharedEdits }, (_, i) => {
      put(edits.shared(i));
      return timed(all);
    }),
  };
}
