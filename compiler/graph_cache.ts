/**
 * Keeps the module graph between builds: Deno is asked again only where an import statement, a file's
 * existence or a configuration file changed.
 *
 * Owned by one builder. A graph in which anything is missing is never kept.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import ts from "typescript";
import { digest } from "./digest.ts";
import { FileTexts, isFile } from "./file_texts.ts";
import { type ModuleGraph, readGraph } from "./resolve.ts";

const CONFIG_FILES = ["deno.json", "deno.jsonc", "deno.lock", "package.json", ".npmrc"];

const OUTER_CONFIGS = ["deno.json", "deno.jsonc", "package.json"];

interface Kept {
  readonly graph: ModuleGraph;
  readonly key: string;
  /** Local modules as they were. */
  readonly files: ReadonlyMap<string, Seen>;
  /** Configuration files of modules outside of the app's folder, with their texts. */
  readonly configs: ReadonlyMap<string, string | null>;
}

/** A local module as it was. */
class Seen {
  readonly stamp: string;
  readonly #isOwn: boolean;
  #imports: string | undefined;

  constructor(stamp: string, isOwn: boolean) {
    this.stamp = stamp;
    this.#isOwn = isOwn;
  }

  /** Found out when it is asked for: of most modules nobody does. */
  get imports(): string {
    // Files of packages change by an update only; their imports are not looked at.
    return this.#imports ??= this.#isOwn ? importsOf(this.stamp) : this.stamp;
  }
}

/** The last graph of an app. */
export class GraphCache {
  readonly #texts: FileTexts = new FileTexts();
  #kept: Kept | null = null;
  #outside: readonly string[] = [];
  /** Where files of the app lie that are links, or below one, to the outside: an edit there is none of the link. */
  readonly #links: Map<string, string> = new Map();

  /** Files outside of the app's folder that the last graph, kept or not, asks for; and configuration there. */
  get outside(): readonly string[] {
    return [...this.#outside, ...this.#links.values()];
  }

  /** True where what changed since the last graph is what was read of it. */
  holds(): boolean {
    return this.#texts.holds();
  }

  /**
   * The graph of `rootFile`, which lies on disk already with text `rootText`. Deno is asked, which takes its time,
   * once `whole` has resolved.
   */
  async graph(
    rootFile: string,
    rootText: string,
    cwd: string,
    whole: () => Promise<void>,
  ): Promise<ModuleGraph> {
    this.#texts.refresh(cwd);
    const key = digest([rootFile, rootText, ...configTexts(cwd)], 32);
    const kept = this.#kept;
    if (kept !== null && kept.key === key && isUnchanged(kept.configs)) {
      const files = this.#unchanged(kept.files, cwd);
      if (files !== null) {
        const changed = [...files].filter(([file, seen]) => seen !== kept.files.get(file));
        this.#follow(changed.map(([file]) => file), cwd);
        this.#kept = { ...kept, files };
        return kept.graph;
      }
    }
    await whole();
    this.#kept = null;
    const graph = await readGraph(rootFile, cwd, this.#texts);
    this.#outside = outsideOf(graph, cwd);
    this.#links.clear();
    this.#follow(graph.localFiles(), cwd);
    if (!graph.broken) {
      const files = new Map<string, Seen>();
      for (const file of graph.localFiles()) {
        const seen = this.#look(file, cwd, undefined);
        // A file that went away in between: the next build finds out.
        if (seen === null) return graph;
        files.set(file, seen);
      }
      this.#kept = { graph, key, files, configs: outerConfigs([...files.keys()], cwd) };
    }
    return graph;
  }

  #follow(files: readonly string[], root: string): void {
    if (files.length === 0) return;
    const home = realPath(root) ?? root;
    for (const file of files) {
      this.#links.delete(file);
      if (!file.startsWith(root + sep) || file.includes(`${sep}node_modules${sep}`)) continue;
      const real = realPath(file);
      if (real !== null && !real.startsWith(home + sep)) this.#links.set(file, real);
    }
  }

  /** The files as they are now, or null where one is gone or imports something else. */
  #unchanged(files: ReadonlyMap<string, Seen>, root: string): ReadonlyMap<string, Seen> | null {
    const now = new Map<string, Seen>();
    for (const [file, before] of files) {
      const seen = this.#look(file, root, before);
      if (seen === null || seen !== before && seen.imports !== before.imports) return null;
      now.set(file, seen);
    }
    return now;
  }

  #look(file: string, root: string, before: Seen | undefined): Seen | null {
    const stamp = this.#texts.stamp(file);
    if (stamp === undefined) return null;
    if (stamp === before?.stamp) return before;
    return new Seen(stamp, file.startsWith(root + sep));
  }
}

/** What a graph of `root` asks for elsewhere; configuration counts where it is and where it may come. */
function outsideOf(graph: ModuleGraph, root: string): readonly string[] {
  const files = graph.wantedFiles().filter((file) =>
    !file.startsWith(root + sep) && !file.includes(`${sep}node_modules${sep}`)
  );
  const above: string[] = [];
  for (let folder = dirname(root); dirname(folder) !== folder; folder = dirname(folder)) {
    above.push(...OUTER_CONFIGS.map((name) => join(folder, name)).filter(isFile));
  }
  return [...files, ...outerConfigs(files, root).keys(), ...above];
}

function realPath(file: string): string | null {
  try {
    return Deno.realPathSync(file);
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

/**
 * Of each module outside of `root`, such as one of another member of the workspace, the nearest
 * configuration: its imports and exports count for the module.
 */
function outerConfigs(files: readonly string[], root: string): ReadonlyMap<string, string | null> {
  const found = new Map<string, string | null>();
  const seen = new Set<string>();
  for (const file of files) {
    if (file.startsWith(root + sep)) continue;
    for (let folder = dirname(file); !seen.has(folder); folder = dirname(folder)) {
      seen.add(folder);
      const texts = OUTER_CONFIGS.map((name) => join(folder, name))
        .map((path) => [path, textOf(path)] as const).filter(([, text]) => text !== null);
      for (const [path, text] of texts) found.set(path, text);
      if (texts.length > 0 || dirname(folder) === folder) break;
    }
  }
  return found;
}

function isUnchanged(configs: ReadonlyMap<string, string | null>): boolean {
  return [...configs].every(([path, text]) => textOf(path) === text);
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
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
