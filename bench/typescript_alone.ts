/**
 * What TypeScript's own language service needs for an app's sources: the yardstick of `compiler.ts`.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** A language service over an app's sources; each function gives what it took. */
export interface TypescriptAlone {
  /** The first check of all files. */
  readonly first: Spent;
  /** Changes a file and asks for its own problems. */
  leaf(name: string, text: string): Spent;
  /** Changes a file and asks for those of all files. */
  shared(name: string, text: string): Spent;
}

/** Milliseconds: by the clock, and of this process's processors. */
export interface Spent {
  readonly wall: number;
  readonly cpu: number;
}

/** Milliseconds of processor time that this process has had. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const ENTRY = fileURLToPath(new URL("../mod.ts", import.meta.url));

/** Starts it over a folder's files. */
export function typescriptAlone(folder: string): TypescriptAlone {
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
  const timed = (work: () => void): Spent => {
    const start = performance.now(), spent = processorTime();
    work();
    return { wall: performance.now() - start, cpu: processorTime() - spent };
  };
  const put = (name: string, text: string): string => {
    const file = join(folder, name);
    texts.set(file, { text, version: (texts.get(file)?.version ?? 0) + 1 });
    return file;
  };
  return {
    first: timed(all),
    leaf(name, text): Spent {
      const file = put(name, text);
      return timed(() => void service.getSemanticDiagnostics(file));
    },
    shared(name, text): Spent {
      put(name, text);
      return timed(all);
    },
  };
}
