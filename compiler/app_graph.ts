/**
 * An app's module graph: its sources, its front end and what generated code imports.
 *
 * Owned by one builder.
 *
 * @module
 */
import { dirname, join, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { PACKAGE_FILES } from "./emit/route_modules.ts";
import type { Diagnostics } from "./diagnostic.ts";
import { GraphCache } from "./graph_cache.ts";
import { frontEndScripts } from "./front_end_script.ts";
import { reportNesting } from "./nesting.ts";
import { writeFile, writeIfPossible } from "./output.ts";
import { appPath, checkedFiles, listFiles, type Project, sourceFiles } from "./project.ts";
import { GraphError, type ModuleGraph } from "./resolve.ts";
import { checkScripts } from "./script_sources.ts";

/** An app's files, and where their imports lead. */
export interface AppGraph {
  readonly project: Project;
  readonly graph: ModuleGraph;
  /** Module that stands for generated ones when they import something, absolute. */
  readonly graphFile: string;
  /** Backend sources, absolute. */
  readonly sources: readonly string[];
  /** Absolute file of the front end's script, or null. */
  readonly webEntry: string | null;
  /** It and the scripts of other pages. */
  readonly webScripts: readonly string[];
  /** For a check every TypeScript file of the app, absolute: tests, and what nothing imports, too. */
  readonly checked: readonly string[];
  /** The package's entry, absolute. */
  readonly entry: string;
  /** Folder or URL of the package, as a file name with a separator at its end. */
  readonly packageFolder: string;
}

/** What a graph is read for. */
interface GraphOptions {
  readonly hosts: readonly string[];
  readonly pages?: readonly string[] | undefined;
  readonly diagnostics: Diagnostics;
  readonly checkAll: boolean;
  readonly mayNotWrite?: boolean | undefined;
  /** See {@link GraphCache.graph}. */
  readonly whole?: () => Promise<void>;
}

/** Reads the graph again and again. */
export class AppGraphs {
  readonly #graphs: GraphCache = new GraphCache();
  /** Of a package from a registry: what {@link unreachedFiles} found, so that a rebuild asks Deno once. */
  #remoteFiles: readonly string[] = [];

  /** Files outside of the app's folder that the last graph asks for, absolute. */
  get outside(): readonly string[] {
    return this.#graphs.outside;
  }

  /** True where the app's files that have changed are what was read of them. */
  holds(): boolean {
    return this.#graphs.holds();
  }

  /** The graph for `hosts`; null where there is none, with the reasons in `diagnostics`. */
  async read(project: Project, options: GraphOptions): Promise<AppGraph | null> {
    const { hosts, pages, diagnostics, checkAll } = options;
    const files = await listFiles(project.source);
    const sources = sourceFiles(files);
    checkScripts(project.root, files, diagnostics);
    const webScripts = frontEndScripts(project, pages);
    if (sources.length === 0) {
      diagnostics.add({
        code: "KT1001",
        severity: "error",
        message: `There are no source files in '${appPath(project, project.source)}'.`,
        hint: 'Put backend functions there, or set "source" in kontract.json.',
      });
      return null;
    }
    const checked = checkAll ? checkedFiles(project) : [];
    const imports = [
      "@kontract/kontract",
      "@kontract/kontract/client",
      "@kontract/kontract/codec",
      ...hosts.map((host) => `@kontract/kontract/${host}`),
      ...[...sources, ...webScripts, ...checked].map((file) => pathToFileURL(file).href),
    ];
    const made = await this.#graph(project, imports, options);
    if (made === null) return null;
    const { graph, graphFile } = made;
    const entry = graph.resolve("@kontract/kontract", graphFile, "types");
    if (entry.kind !== "file") {
      diagnostics.add({
        code: "KT1002",
        severity: "error",
        message: "The app does not have Kontract: '@kontract/kontract' cannot be found.",
        hint:
          "deno add jsr:@kontract/kontract, or with a checkout beside the app an entry in deno.json's imports " +
          'and "links": ["../kontract"].',
      });
      return null;
    }
    const packageFolder = dirname(entry.file) + sep;
    const problem = graph.problemIn(packageFolder);
    if (problem !== null) {
      diagnostics.add({
        code: "KT1002",
        severity: "error",
        message: `What Kontract itself needs cannot be found: ${problem}`,
        hint:
          'Say "nodeModulesDir": "auto" in deno.json: beside a package.json Deno installs nothing by itself.',
      });
      return null;
    }
    const webEntry = webScripts[0] ?? null;
    const found = { project, graph, graphFile, sources, webEntry, webScripts, checked };
    return { ...found, entry: entry.file, packageFolder };
  }

  async #graph(
    project: Project,
    imports: readonly string[],
    options: GraphOptions,
  ): Promise<RootedGraph | null> {
    try {
      const made = await this.#importing(project, imports, options);
      const unreached = unreachedFiles(made);
      if (unreached.length === 0) return made;
      this.#remoteFiles = unreached;
      return await this.#importing(project, imports, options);
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      const { diagnostics } = options;
      // Deno's own parser has ended the process.
      if (/overflowed its stack/.test(error.message)) {
        await reportNesting(project.root, await listFiles(project.source), diagnostics);
      } else diagnostics.add({ code: "KT1002", severity: "error", message: error.message });
      return null;
    }
  }

  async #importing(
    { root }: Project,
    imports: readonly string[],
    { checkAll, mayNotWrite = false, whole = () => Promise.resolve() }: GraphOptions,
  ): Promise<RootedGraph> {
    const all = [...imports, ...this.#remoteFiles];
    const text = all.map((one) => `import ${JSON.stringify(one)};\n`).join("");
    // A check beside a running 'dev' has a file of its own.
    const name = checkAll ? "check.ts" : "graph.ts";
    const own = join(root, ".kontract", name);
    if (!mayNotWrite) await writeFile(own, text);
    const isOwn = !mayNotWrite || await writeIfPossible(own, text);
    const folder = isOwn ? dirname(own) : await Deno.makeTempDir();
    const graphFile = join(folder, name);
    try {
      if (!isOwn) await writeFile(graphFile, text);
      return { graph: await this.#graphs.graph(graphFile, text, root, whole), graphFile };
    } finally {
      if (!isOwn) await Deno.remove(folder, { recursive: true });
    }
  }
}

/** A graph and the module that it begins with, absolute. */
type RootedGraph = Pick<AppGraph, "graph" | "graphFile">;

/**
 * Files of a package from a registry that generated code imports and no entry point reaches: Deno fetches
 * and names a remote file only where something imports it. Of a package on disk every file is there.
 */
function unreachedFiles({ graph, graphFile }: RootedGraph): readonly string[] {
  const entry = graph.resolve("@kontract/kontract", graphFile, "types");
  const url = entry.kind === "file" ? graph.files().get(entry.file) : undefined;
  if (entry.kind !== "file" || url === undefined || url.startsWith("file:")) return [];
  const missing = PACKAGE_FILES.filter((file) => !graph.has(join(dirname(entry.file), file)));
  return missing.map((file) => new URL(file, url).href);
}
