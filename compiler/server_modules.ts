/**
 * The server's modules for `dev`: every module of the app is an output of its own, and everything else
 * (the package, npm, what lies beside the app) is bundled apart, so that an edit costs one module.
 *
 * ES modules run as they would in a bundle: the same modules, each once, in the order of their imports,
 * and the same lazy routes. What differs is the cut into files, and `import.meta.url`. A module under the
 * app's folder is made again where its text or what its imports lead to has changed. Types that a clause
 * exports have been erased by the caller (`erased_exports.ts`), since one module alone does not show them.
 *
 * A CommonJS package that a module of the app imports tells its names at run time only, and which modules
 * ``import(`./pages/${name}.ts`)`` leads to only the bundler knows: then nothing is made, and the caller
 * bundles as for production.
 *
 * @module
 */
import { dirname, join, relative, sep } from "node:path";
import * as esbuild from "esbuild";
import {
  buildSettings,
  type BundleInput,
  importsByPattern,
  loadText,
  report,
  resolve,
  VIRTUAL,
  virtualPlace,
  writtenText,
} from "./bundle.ts";
import { withBundler } from "./bundler_process.ts";
import type { Diagnostics } from "./diagnostic.ts";
import type { OutputFiles } from "./size_report.ts";
import type { FileStamps, ModuleGraph } from "./resolve.ts";

/** What modules are made from. */
export interface ModulesInput extends BundleInput {
  /** By specifier of a generated module: stands in the name of its output. */
  readonly hashes: ReadonlyMap<string, string>;
}

/** Takes the app's own modules, before what is not its own has been bundled; and the entries of that. */
type MadeEarly = (own: OutputFiles, vendor: ReadonlySet<string>) => void;

/** One of the app's own modules, as it was made. */
interface Made {
  /** Its text and what is put behind it, before anything is done to them. */
  readonly written: string;
  readonly graph: ModuleGraph;
  /** Below the output folder, without its ending. */
  readonly output: string;
  readonly code: Uint8Array;
  /** Null where no line of it is an author's. */
  readonly map: Uint8Array | null;
  readonly imports: readonly Import[];
  /** See {@link importsByPattern}. */
  readonly byPattern: boolean;
  /** Files that became part of it: texts. */
  readonly parts: FileStamps;
  /** Hashes in the names of what it imports. */
  readonly hashes: string;
}

interface Import {
  readonly specifier: string;
  readonly kind: esbuild.ImportKind;
  readonly target: Target;
}

/** What an import leads to: a module of the app, a file bundled apart, or what the host has. */
interface Target {
  readonly kind: "module" | "vendor" | "outside";
  readonly id: string;
}

interface Vendor {
  readonly key: string;
  /** Null where an entry is CommonJS. */
  readonly files: ReadonlyMap<string, Uint8Array> | null;
  /** Modules of the app that a bundled file imports. */
  readonly modules: readonly string[];
  /** Files that went in. */
  readonly stamps: FileStamps;
}

const CODE = /\.(?:[cm]?[jt]sx?|json)$/;
/** Generated code that has an author's lines ends with this and their places. */
const MAP_COMMENT = "//# sourceMappingURL=";

/** The modules of one host, made again and again. */
export class ServerModules {
  readonly #made: Map<string, Made> = new Map();
  #vendor: Vendor | null = null;

  /**
   * Makes all outputs. Null where that failed, with the reasons in `diagnostics`; `"whole"` where the app
   * must be bundled as one.
   */
  async make(
    input: ModulesInput,
    diagnostics: Diagnostics,
    early?: MadeEarly,
  ): Promise<{ readonly files: OutputFiles } | "whole" | null> {
    try {
      return await withBundler(() => this.#makeAll(input, early));
    } catch (error) {
      report(error, input, diagnostics);
      return null;
    }
  }

  async #makeAll(
    input: ModulesInput,
    early: MadeEarly | undefined,
  ): Promise<{ readonly files: OutputFiles } | "whole"> {
    const entries = Object.values(input.entries);
    let reached = await this.#reach(entries, input);
    for (;;) {
      if ([...reached].some((id) => this.#made.get(id)!.byPattern)) return "whole";
      const entries = this.#vendorEntries(reached);
      const bundled = this.#bundleVendor(entries, input);
      early?.(
        this.#files(reached, new Map()),
        new Set(entries.map((id) => `${vendorOutput(id, input)}.js`)),
      );
      const vendor = await bundled;
      if (vendor.files === null) return "whole";
      const more = vendor.modules.filter((id) => !reached.has(id));
      if (more.length === 0) return { files: this.#files(reached, vendor.files) };
      reached = await this.#reach([...entries, ...vendor.modules], input);
    }
  }

  /** All modules that `entries` lead to, each of them as it is now. */
  async #reach(entries: readonly string[], input: ModulesInput): Promise<Set<string>> {
    const reached = new Set<string>();
    let wave = [...new Set(entries)];
    while (wave.length > 0) {
      for (const id of wave) reached.add(id);
      const stale = wave.filter((id) => !this.#holds(id, input));
      const [ready, rest] = [
        stale.filter((id) => isReady(id, input)),
        stale.filter((id) => !isReady(id, input)),
      ];
      const transformed = rest.length > 0 ? this.#transform(rest, input) : null;
      for (const id of ready) this.#made.set(id, generated(id, input));
      await transformed;
      const next = wave.flatMap((id) => this.#made.get(id)!.imports)
        .filter(({ target }) => target.kind === "module" && !reached.has(target.id))
        .map(({ target }) => target.id);
      wave = [...new Set(next)];
    }
    for (const id of this.#made.keys()) if (!reached.has(id)) this.#made.delete(id);
    return reached;
  }

  /** True where a module and what its imports lead to are what they were. */
  #holds(id: string, input: ModulesInput): boolean {
    const made = this.#made.get(id);
    if (made === undefined || made.written !== writtenOf(id, input)) return false;
    if (made.hashes !== hashesOf(made.imports, input)) return false;
    if (!input.graph.holds(made.parts)) return false;
    if (made.graph === input.graph) return true;
    const same = made.imports.every(({ specifier, kind, target }) => {
      const now = targetOf(resolveFrom(specifier, kind, id, input), input);
      return now?.kind === target.kind && now.id === target.id;
    });
    if (same) this.#made.set(id, { ...made, graph: input.graph });
    return same;
  }

  async #transform(ids: readonly string[], input: ModulesInput): Promise<void> {
    const written = new Map(ids.map((id) => [id, writtenOf(id, input)]));
    const texts = new Map(ids.map((id) => [id, textOf(id, input) ?? ""]));
    const imports = new Map<string, Import[]>(ids.map((id) => [id, []]));
    const parts = new Map<string, string[]>(ids.map((id) => [id, []]));
    const result = await esbuild.build({
      ...buildSettings(input),
      splitting: false,
      entryPoints: ids.map((id) => ({ in: id, out: outputOf(id, input) })),
      plugins: [{
        name: "kontract-module",
        setup: (build) => {
          build.onResolve({ filter: /.*/ }, (args) => {
            if (args.kind === "entry-point") return placeOf(args.path);
            const importer = idOf(args);
            const found = resolve(args, input);
            const target = targetOf(found, input);
            if (target === null) {
              if (found.path !== undefined) parts.get(importer)?.push(found.path);
              return found;
            }
            imports.get(importer)?.push({ specifier: args.path, kind: args.kind, target });
            return { path: specifierOf(target, outputOf(importer, input), input), external: true };
          });
          build.onLoad({ filter: /.*/, namespace: "kontract" }, (args) => (
            { contents: texts.get(VIRTUAL + args.path) ?? "", loader: "ts" }
          ));
          build.onLoad({ filter: CODE, namespace: "file" }, (args) => {
            const ending = /\.[cm]?([jt]sx?|json)$/.exec(args.path)?.[1] ?? "js";
            return { contents: texts.get(args.path) ?? "", loader: ending as esbuild.Loader };
          });
        },
      }],
    });
    const files = new Map(result.outputFiles.map((file) => [
      slashes(relative(input.outdir, file.path)),
      file.contents,
    ]));
    for (const id of ids) {
      const code = files.get(`${outputOf(id, input)}.js`);
      const map = files.get(`${outputOf(id, input)}.js.map`);
      if (code === undefined || map === undefined) {
        throw new Error(`Invariant: no output was made of '${id}'.`);
      }
      this.#made.set(id, {
        written: written.get(id) ?? "",
        graph: input.graph,
        output: outputOf(id, input),
        code,
        map,
        imports: imports.get(id) ?? [],
        byPattern: importsByPattern(result.metafile.inputs[slashes(relative(input.root, id))]),
        parts: input.graph.stamps(parts.get(id) ?? []),
        hashes: hashesOf(imports.get(id) ?? [], input),
      });
    }
  }

  /** Bundles what is not the app's own. */
  async #bundleVendor(entries: readonly string[], input: ModulesInput): Promise<Vendor> {
    const key = JSON.stringify([input.root, input.outdir, input.minify, entries]);
    if (this.#vendor?.key === key && input.graph.holds(this.#vendor.stamps)) {
      return this.#vendor;
    }
    const modules = new Set<string>();
    const result = await esbuild.build({
      ...buildSettings(input),
      entryPoints: entries.map((id) => ({ in: id, out: vendorOutput(id, input) })),
      chunkNames: "vendor/[name]-[hash]",
      plugins: [{
        name: "kontract-vendor",
        setup: (build) => {
          build.onResolve({ filter: /.*/ }, (args) => {
            if (args.kind === "entry-point") return { path: args.path };
            const found = resolve(args, input);
            const target = targetOf(found, input);
            if (target?.kind !== "module") return found;
            modules.add(target.id);
            return { path: specifierOf(target, "vendor/any", input), external: true };
          });
          build.onLoad(
            { filter: /\.(?:[cm]?[jt]sx?)$/, namespace: "file" },
            (args) => loadText(args.path, input),
          );
        },
      }],
    });
    const inputs = new Map(
      Object.entries(result.metafile.inputs).map(([name, one]) => [join(input.root, name), one]),
    );
    const stamps = input.graph.stamps(inputs.keys());
    const whole = entries.some((file) => inputs.get(file)?.format === "cjs");
    const files = new Map(result.outputFiles.map((file) => [
      slashes(relative(input.outdir, file.path)),
      file.contents,
    ]));
    return this.#vendor = {
      key,
      files: whole ? null : files,
      modules: [...modules].sort(),
      stamps,
    };
  }

  /** Files that are bundled apart, since modules of the app import them. */
  #vendorEntries(reached: ReadonlySet<string>): readonly string[] {
    const wanted = [...reached].flatMap((id) => this.#made.get(id)!.imports)
      .filter(({ target }) => target.kind === "vendor").map(({ target }) => target.id);
    return [...new Set(wanted)].sort();
  }

  #files(
    reached: ReadonlySet<string>,
    vendor: ReadonlyMap<string, Uint8Array>,
  ): OutputFiles {
    const files = new Map(vendor);
    for (const id of [...reached].sort()) {
      const { code, map, output } = this.#made.get(id)!;
      files.set(`${output}.js`, code);
      if (map !== null) files.set(`${output}.js.map`, map);
    }
    return files;
  }
}

/** True for generated code without a line of an author's: JavaScript already, its imports apart. */
function isReady(id: string, input: ModulesInput): boolean {
  return id.startsWith(VIRTUAL) && !input.minify &&
    !(input.virtual.get(id) ?? "").includes(MAP_COMMENT);
}

/** The lines of generated code that import something, up to the specifier. */
const IMPORT =
  /^(import |(?:import|export) (?:\{[^{}"]*\}|[\w$]+) from |\s+\(\) => import\()"([^"]+)"(?=;$|\),$)/gm;

function generated(id: string, input: ModulesInput): Made {
  const written = writtenOf(id, input);
  const imports: Import[] = [];
  const output = outputOf(id, input);
  const text = written.replaceAll(IMPORT, (_all, before: string, specifier: string) => {
    const kind = before.endsWith("(") ? "dynamic-import" : "import-statement";
    const target = targetOf(resolveFrom(specifier, kind, id, input), input);
    if (target === null) throw new Error(`Invariant: '${id}' imports '${specifier}'.`);
    imports.push({ specifier, kind, target });
    return `${before}${JSON.stringify(specifierOf(target, output, input))}`;
  });
  const code = new TextEncoder().encode(text);
  const hashes = hashesOf(imports, input);
  return {
    written,
    graph: input.graph,
    output,
    code,
    map: null,
    imports,
    byPattern: false,
    parts: input.graph.stamps([]),
    hashes,
  };
}

function hashesOf(imports: readonly Import[], input: ModulesInput): string {
  return imports.map(({ target }) => input.hashes.get(target.id) ?? "").join("");
}

/** Output of a module below the output folder, without its ending. */
function outputOf(id: string, input: ModulesInput): string {
  const entry = Object.entries(input.entries).find(([, from]) => from === id);
  if (entry !== undefined) return entry[0];
  if (id.startsWith(VIRTUAL)) {
    const hash = input.hashes.get(id);
    const name = id.slice(VIRTUAL.length).replaceAll("/", "-");
    return `chunks/${name}${hash === undefined ? "" : `-${hash}`}`;
  }
  return `app/${slashes(relative(input.root, id))}`;
}

function vendorOutput(file: string, input: ModulesInput): string {
  const name = slashes(relative(input.root, file)).replaceAll(/[^\w.-]+/g, "_");
  return `vendor/${name.slice(-150)}`;
}

function specifierOf(target: Target, importer: string, input: ModulesInput): string {
  if (target.kind === "outside") return target.id;
  const output = target.kind === "module"
    ? outputOf(target.id, input)
    : vendorOutput(target.id, input);
  // From a root: a path without one is sought in the process's folder first.
  const path = slashes(relative(`/${dirname(importer)}`, `/${output}.js`));
  return path.startsWith(".") ? path : `./${path}`;
}

function resolveFrom(
  specifier: string,
  kind: esbuild.ImportKind,
  id: string,
  input: ModulesInput,
): esbuild.OnResolveResult {
  const { path, namespace } = placeOf(id);
  return resolve({ path: specifier, kind, importer: path, namespace }, input);
}

/** Null where the bundler goes on by itself: an error, or an asset that becomes part of its importer. */
function targetOf(found: esbuild.OnResolveResult, input: ModulesInput): Target | null {
  const { path } = found;
  if (path === undefined) return null;
  if (found.external === true) return { kind: "outside", id: path };
  if (found.namespace === "kontract") return { kind: "module", id: VIRTUAL + path };
  if (!CODE.test(path)) return null;
  return { kind: isOwn(path, input) ? "module" : "vendor", id: path };
}

function isOwn(file: string, input: ModulesInput): boolean {
  return file.startsWith(input.root + sep) && !file.includes(`${sep}node_modules${sep}`);
}

function placeOf(id: string): { readonly path: string; readonly namespace: string } {
  return id.startsWith(VIRTUAL) ? virtualPlace(id) : { path: id, namespace: "file" };
}

function idOf({ importer, namespace }: esbuild.OnResolveArgs): string {
  return namespace === "kontract" ? VIRTUAL + importer : importer;
}

function textOf(id: string, input: ModulesInput): string | undefined {
  return id.startsWith(VIRTUAL) ? input.virtual.get(id) : loadText(id, input)?.contents;
}

function writtenOf(id: string, input: ModulesInput): string {
  if (id.startsWith(VIRTUAL)) return input.virtual.get(id) ?? "";
  return `${writtenText(id, input)}\n${input.appended.get(id) ?? ""}`;
}

function slashes(path: string): string {
  return path.split(sep).join("/");
}
