/**
 * Keeps the module graph between builds: Deno is asked again only where an import statement, a file's
 * existence or a configuration file changed.
 *
 * Owned by one builder. A graph in which anything is missing is never kept.
 *
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import ts from "typescript";
import { digest } from "./digest.ts";
import { type ModuleGraph, readGraph } from "./resolve.ts";

const CONFIG_FILES = ["deno.json", "deno.jsonc", "deno.lock", "package.json", ".npmrc"];

interface Kept {
  readonly graph: ModuleGraph;
  readonly key: string;
  /** Local modules with what their imports were. */
  readonly files: ReadonlyMap<string, Seen>;
}

interface Seen {
  /** The text of a file of the app, time and size of any other. */
  readonly stamp: string;
  readonly imports: string;
}

/** The last graph of an app. */
export class GraphCache {
  #kept: Kept | null = null;

  /** The graph of `rootFile`, which lies on disk already with text `rootText`. */
  async graph(rootFile: string, rootText: string, cwd: string): Promise<ModuleGraph> {
    const key = digest([rootFile, rootText, ...configTexts(cwd)], 32);
    const kept = this.#kept;
    this.#kept = null;
    if (kept !== null && kept.key === key) {
      const files = unchanged(kept.files, cwd);
      if (files !== null) {
        this.#kept = { ...kept, files };
        return kept.graph;
      }
    }
    const graph = await readGraph(rootFile, cwd);
    if (!graph.broken) {
      const files = new Map<string, Seen>();
      for (const file of graph.localFiles()) {
        const seen = look(file, cwd, undefined);
        // A file that went away in between: the next build finds out.
        if (seen === null) return graph;
        files.set(file, seen);
      }
      this.#kept = { graph, key, files };
    }
    return graph;
  }
}

/** The files as they are now, or null where one is gone or imports something else. */
function unchanged(
  files: ReadonlyMap<string, Seen>,
  root: string,
): ReadonlyMap<string, Seen> | null {
  const now = new Map<string, Seen>();
  for (const [file, before] of files) {
    const seen = look(file, root, before);
    if (seen === null || seen.imports !== before.imports) return null;
    now.set(file, seen);
  }
  return now;
}

function look(file: string, root: string, before: Seen | undefined): Seen | null {
  try {
    if (!file.startsWith(root + sep)) {
      const { mtimeMs, size } = statSync(file);
      const stamp = `${mtimeMs}:${size}`;
      // Files of packages change by an update only; their imports are not looked at.
      return { stamp, imports: stamp };
    }
    const text = readFileSync(file, "utf8");
    if (text === before?.stamp) return before;
    return { stamp: text, imports: importsOf(text) };
  } catch {
    return null;
  }
}

/** Everything in a text that can lead to another module. */
function importsOf(text: string): string {
  const found = ts.preProcessFile(text, true, true);
  const names = [
    ...found.importedFiles,
    ...found.referencedFiles,
    ...found.typeReferenceDirectives,
    ...found.libReferenceDirectives,
  ].map((one) => one.fileName);
  const notes = text.match(/@(?:deno-types|ts-types|ts-self-types|jsx\w*)\b.*|\bwith\s*\{.*/g) ??
    [];
  return digest([...names, "", ...notes], 32);
}

/** Configuration files from the app's folder upwards. */
function configTexts(cwd: string): readonly string[] {
  const texts: string[] = [];
  for (let folder = cwd;; folder = dirname(folder)) {
    for (const name of CONFIG_FILES) {
      const file = join(folder, name);
      try {
        const text = readFileSync(file, "utf8");
        texts.push(file, text);
        const map = /"importMap"\s*:\s*"([^"]+)"/.exec(text)?.[1];
        if (map !== undefined) texts.push(readFileSync(join(folder, map), "utf8"));
      } catch {
        // Most folders have none.
      }
    }
    if (dirname(folder) === folder) return texts;
  }
}
