/**
 * One host's part of the output: the server bundled, or module by module for `dev`.
 *
 * @module
 */
import { dirname, join, relative, sep } from "node:path";
import type { Analysis } from "./analysis.ts";
import { type Bundle, type BundleInput, Bundler } from "./bundle.ts";
import { withoutPlaces } from "./declarations.ts";
import type { Diagnostics } from "./diagnostic.ts";
import { forDeno } from "./deno_output.ts";
import { digest } from "./digest.ts";
import { RouteModules, spliceExports } from "./emit/route_modules.ts";
import { AHEAD, appModule, DECLARED, emitServer } from "./emit/worker.ts";
import { isPackageFile } from "./front_end_bundle.ts";
import { ServerModules } from "./server_modules.ts";
import type { OutputFiles } from "./size_report.ts";

/** A host to build for. */
export type Host = "workers" | "deno";

/** How the server is cut into files. */
export type Layout =
  /** Bundled: one chunk for each source module with routes, shared code split out. */
  | "bundle"
  /** One output for each of the app's modules: what an edit does not touch is not made again. */
  | "modules";

/** Outputs of a host. */
export interface HostFiles {
  /** Paths below the output folder. */
  readonly files: OutputFiles;
  /** Route name → its chunk, below the output folder. */
  readonly routes: ReadonlyMap<string, string>;
}

/** What is made from. */
export interface HostInput {
  readonly analysis: Analysis;
  readonly outDir: string;
  readonly minify: boolean;
  readonly layout: Layout;
  readonly diagnostics: Diagnostics;
  /** Takes files that are made while others are not. */
  readonly early?: (files: OutputFiles) => void;
}

/** Folder and entry of each host. */
export const OUTPUTS = { workers: ["worker", "worker"], deno: ["deno", "server"] } as const;

/** The generated modules but the one with the build's hash. */
interface Virtual {
  readonly key: string;
  readonly texts: ReadonlyMap<string, string>;
  /** Hashes of modules whose outputs are named by what is in them. */
  readonly hashes: ReadonlyMap<string, string>;
}

/** Makes one host's outputs again and again. */
export class HostOutput {
  readonly #host: Host;
  readonly #bundler: Bundler = new Bundler();
  readonly #modules: ServerModules = new ServerModules();
  readonly #routes: RouteModules = new RouteModules();
  #virtual: Virtual | null = null;

  /** Of one app and one host. */
  constructor(host: Host) {
    this.#host = host;
  }

  /** Outputs for an analysis; null where that failed, with the reasons in `diagnostics`. */
  async make(options: HostInput): Promise<HostFiles | null> {
    const { layout, diagnostics, early } = options;
    const input = this.#input(options);
    const made = layout === "modules"
      ? await this.#modules.make(
        {
          ...input,
          entries: { ...input.entries, ahead: AHEAD },
          hashes: this.#virtual?.hashes ?? new Map(),
        },
        diagnostics,
        early && ((own, vendor) => {
          early(this.#modulesNamed(own, (path) => own.has(path) || vendor.has(path)).files);
        }),
      )
      : "whole" as const;
    if (made === null) return null;
    if (made !== "whole") return this.#modulesNamed(made.files, (path) => made.files.has(path));
    const bundle = await this.#bundler.bundle({ ...input, erased: new Map() }, diagnostics);
    if (bundle === null) return null;
    const files = this.#host === "deno"
      ? forDeno(bundle.files, authored(bundle, options.analysis, input.outdir))
      : bundle.files;
    return this.#named(files, routeChunks(bundle, options.analysis, input.outdir));
  }

  #modulesNamed(made: OutputFiles, isMade: (path: string) => boolean): HostFiles {
    const files = this.#host === "deno"
      ? forDeno(made, (path) => !path.startsWith("vendor/"), isMade)
      : made;
    return this.#named(files, new Map());
  }

  #named(made: OutputFiles, routes: HostFiles["routes"]): HostFiles {
    const [folder] = OUTPUTS[this.#host];
    return {
      files: new Map([...made].map(([path, bytes]) => [`${folder}/${path}`, bytes])),
      routes,
    };
  }

  #input({ analysis, outDir, minify }: HostInput): BundleInput {
    const { project, packageFolder, discovery } = analysis;
    const [folder, name] = OUTPUTS[this.#host];
    const outdir = join(outDir, folder);
    return {
      graph: analysis.graph,
      graphFile: analysis.graphFile,
      root: project.root,
      purpose: this.#host,
      entries: { [name]: `kontract:${this.#host}` },
      virtual: this.#texts(analysis, outdir),
      appended: spliceExports(discovery.middleware),
      erased: analysis.erased,
      packageFolder,
      aliases: new Map(),
      overlay: new Map(),
      pure: (file) => isPackageFile(analysis, file),
      outdir,
      minify,
      jsx: project.compilerOptions,
    };
  }

  /** The generated modules: the same as before while the app declares the same, but for the one of the build. */
  #texts(analysis: Analysis, outdir: string): ReadonlyMap<string, string> {
    const { project, manifest } = analysis;
    const { middleware, server } = analysis.discovery;
    const chains = JSON.stringify([middleware, server]);
    const key = digest([project.root, outdir, analysis.meaning, chains], 32);
    if (this.#virtual?.key !== key) {
      const texts = emitServer({
        manifest: withoutPlaces(manifest),
        middleware,
        server: server?.file ?? null,
        root: project.root,
        rootFromChunk: relative(join(outdir, "chunks"), project.root).split(sep).join("/"),
      }, this.#routes);
      const hashes = new Map([[DECLARED, digest([texts.get(DECLARED)!], 16)]]);
      this.#virtual = { key, texts, hashes };
    }
    return new Map([...this.#virtual.texts, ["kontract:app", appModule(manifest)]]);
  }
}

/** Whether a line of an output is the author's, not the package's, npm's or generated. */
function authored(
  made: Bundle,
  analysis: Analysis,
  outdir: string,
): (path: string) => boolean {
  const { root } = analysis.project;
  const own = new Set(
    analysis.graph.localFiles().filter((file) => !isPackageFile(analysis, file)),
  );
  return (path) => {
    const output = made.metafile.outputs[slashes(relative(root, join(outdir, path)))];
    return Object.keys(output?.inputs ?? {}).some((name) => own.has(join(root, name)));
  };
}

/** Which chunk holds which route. */
function routeChunks(
  made: Bundle,
  analysis: Analysis,
  outdir: string,
): ReadonlyMap<string, string> {
  const { root } = analysis.project;
  const chunks = new Map<string, string>();
  const modules = [...new Set(analysis.manifest.routes.map((route) => route.module))].sort();
  for (const [path, output] of Object.entries(made.metafile.outputs)) {
    const match = /^kontract:module\/(\d+)$/.exec(output.entryPoint ?? "");
    const module = match === null ? undefined : modules[Number(match[1])];
    if (module === undefined) continue;
    const file = slashes(relative(dirname(outdir), join(root, path)));
    for (const route of analysis.manifest.routes) {
      if (route.module === module) chunks.set(route.name, file);
    }
  }
  return chunks;
}

function slashes(path: string): string {
  return path.split(sep).join("/");
}
