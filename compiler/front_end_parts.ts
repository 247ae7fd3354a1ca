/**
 * The front end for `dev`, in parts: the app's own modules and npm's in one bundle, what they use of the package in
 * another, and the client module as it was generated.
 *
 * An edit of the server changes the last of these at most, and then no bundler runs. The app's bundle is made with
 * the names of the client module in its place, so that it knows those that are missing.
 *
 * @module
 */
import { basename, dirname, join, sep } from "node:path";
import type { Manifest } from "../_internal/manifest.ts";
import type { Analysis } from "./analysis.ts";
import { Bundler, importsByPattern } from "./bundle.ts";
import { digest } from "./digest.ts";
import {
  bundledFrom,
  clientAliases,
  clientGuard,
  type FrontEndInput,
  refuseServer,
} from "./front_end_bundle.ts";
import { type ClientFiles, marked } from "./manifest_output.ts";
import type { FileStamps, ModuleGraph } from "./resolve.ts";
import type { OutputFiles } from "./size_report.ts";

/** A bundle, and what it was made from. */
interface Kept {
  readonly key: string;
  readonly graph: ModuleGraph;
  /** What the files were that went in. */
  readonly stamps: FileStamps;
  readonly files: OutputFiles;
}

/** The app's own bundle. */
interface KeptApp extends Kept {
  /** What it has in place of modules with backend functions, by absolute file. */
  readonly stubs: ReadonlyMap<string, string>;
  /** True where it imports the client module, or what that one imports. */
  readonly usesClient: boolean;
}

/** The client module's files with the places of the package's in them, and what they were made from. */
interface KeptClient {
  readonly client: ClientFiles;
  readonly places: string;
  readonly texts: ReadonlyMap<string, string>;
}

/** Folder of what is no part of the app's own bundle. */
const APART = "@kontract";

/** What the client module imports of the package. */
const PACKAGE_IMPORTS = ["@kontract/kontract/client", "@kontract/kontract/codec"];

/** The parts of one front end, made again and again. */
export class FrontEndParts {
  readonly #appBundler: Bundler = new Bundler();
  readonly #packageBundler: Bundler = new Bundler();
  #app: KeptApp | null = null;
  #package: Kept | null = null;
  #client: KeptClient | null = null;

  /** All of them, by name; null where that failed, with the reasons in the diagnostics of `input`. */
  async make(input: FrontEndInput, webEntry: string): Promise<OutputFiles | null> {
    const app = await this.#bundleApp(input, webEntry);
    if (app === null) return null;
    const files = new Map(app.files);
    if (!app.usesClient) return files;
    const rest = await this.#bundlePackage(input);
    if (rest === null) return null;
    for (const [name, bytes] of rest.files) files.set(name, bytes);
    const { analysis, client } = input;
    for (const [name, text] of this.#clientTexts(client, analysis)) {
      files.set(`${APART}/client/${name}`, marked(text, analysis.manifest));
    }
    return files;
  }

  async #bundleApp(input: FrontEndInput, webEntry: string): Promise<KeptApp | null> {
    const { analysis, client, outDir, minify } = input;
    const folder = join(outDir, "client");
    const overlay = clientNames(analysis.manifest, client, folder);
    const key = keyOf([outDir, minify, webEntry, [...analysis.discovery.modules], [...overlay]]);
    const guard = clientGuard(analysis);
    const isStub = ([file, text]: readonly [string, string]): boolean => {
      const verdict = guard(file);
      return verdict !== null && "stub" in verdict && verdict.stub === text;
    };
    const kept = this.#app;
    if (kept !== null && holds(kept, key, analysis) && [...kept.stubs].every(isStub)) return kept;
    this.#app = null;
    const stubs = new Map<string, string>();
    const imported = new Set(packageImports(analysis).values());
    let usesClient = false;
    const made = await this.#appBundler.bundle({
      ...bundledFrom(input),
      entries: { main: webEntry },
      aliases: clientAliases(folder),
      overlay,
      guard: (file) => {
        const verdict = guard(file);
        if (verdict !== null && "stub" in verdict) stubs.set(file, verdict.stub);
        return verdict;
      },
      apart: (file) => {
        const isPart = dirname(file) === join(folder, APART);
        if (!isPart && !imported.has(file)) return null;
        usesClient = true;
        return isPart
          ? `./${APART}/client/${basename(file)}`
          : `./${APART}/${inApart(file, analysis)}.js`;
      },
      // Beside the script: what is apart has one address for all of them.
      chunkNames: "[name]-[hash]",
    }, input.diagnostics);
    if (made === null) return null;
    refuseServer(made, analysis);
    const stamps = analysis.graph.stamps(made.inputs.filter((file) => !overlay.has(file)));
    const { files } = made;
    const app = { key, graph: analysis.graph, stamps, files, stubs, usesClient };
    // A file more in a folder that it imports from by a pattern is a change, too.
    if (!Object.values(made.metafile.inputs).some(importsByPattern)) this.#app = app;
    return app;
  }

  async #bundlePackage(input: FrontEndInput): Promise<Kept | null> {
    const { analysis, outDir, minify } = input;
    const entries = [...packageImports(analysis).values()];
    const key = keyOf([outDir, minify, entries]);
    if (this.#package !== null && holds(this.#package, key, analysis)) return this.#package;
    this.#package = null;
    const made = await this.#packageBundler.bundle({
      ...bundledFrom(input),
      entries: Object.fromEntries(
        entries.map((file) => [`${APART}/${inApart(file, analysis)}`, file]),
      ),
      aliases: new Map(),
      overlay: new Map(),
      chunkNames: `${APART}/chunks/[name]-[hash]`,
    }, input.diagnostics);
    if (made === null) return null;
    const stamps = analysis.graph.stamps(made.inputs);
    return this.#package = { key, graph: analysis.graph, stamps, files: made.files };
  }

  /** The client module's files, the same ones as long as they say the same. */
  #clientTexts(client: ClientFiles, analysis: Analysis): ReadonlyMap<string, string> {
    const imports = [...packageImports(analysis)];
    const places = keyOf(imports);
    const kept = this.#client;
    if (kept?.client === client && kept.places === places) return kept.texts;
    const placed = (text: string): string =>
      imports.reduce(
        (text, [specifier, file]) =>
          text.replace(`from "${specifier}"`, `from "../${inApart(file, analysis)}.js"`),
        text,
      );
    const texts = new Map(
      ["connection.js", "routes.js", "codec.js"].map((name) => [name, placed(client[name]!)]),
    );
    this.#client = { client, places, texts };
    return texts;
  }
}

function keyOf(parts: readonly unknown[]): string {
  return digest([JSON.stringify(parts)], 32);
}

function holds(kept: Kept, key: string, { graph }: Analysis): boolean {
  return kept.key === key && kept.graph === graph && graph.holds(kept.stamps);
}

/** The client module for a bundle that has the rest of it beside itself: the names of its exports. */
function clientNames(
  { routes, errors }: Manifest,
  client: ClientFiles,
  folder: string,
): ReadonlyMap<string, string> {
  const names = {
    "connection.js": ["client", ...errors.map((error) => error.name)],
    "routes.js": routes.map((route) => route.name),
  };
  return new Map([
    [join(folder, "client.js"), client["client.js"]!],
    ...Object.entries(names).flatMap(([name, exported]) => [
      [
        join(folder, name),
        `export { ${exported.join(", ")} } from "./${APART}/${name}";\n`,
      ] as const,
      [join(folder, APART, name), ""] as const,
    ]),
  ]);
}

/** The package's files that the client module imports, by specifier. */
function packageImports({ graph, graphFile }: Analysis): ReadonlyMap<string, string> {
  return new Map(PACKAGE_IMPORTS.map((specifier) => {
    const found = graph.resolve(specifier, graphFile, "browser");
    if (found.kind !== "file") throw new Error(`Invariant: there is no '${specifier}'.`);
    return [specifier, found.file];
  }));
}

/** Output of a file of the package below {@link APART}, without its ending. */
function inApart(file: string, { packageFolder }: Analysis): string {
  return file.slice(packageFolder.length).replace(/\.[cm]?[jt]sx?$/, "").split(sep).join("/");
}
