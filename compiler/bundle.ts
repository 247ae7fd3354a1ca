/**
 * Bundling with esbuild, over the one module graph.
 *
 * Nothing is resolved by esbuild itself: every import goes through the graph, a virtual module or an
 * alias. Outputs stay in memory; the caller writes them. Errors come back as diagnostics.
 *
 * @module
 */
import { dirname, isAbsolute, join, relative, sep } from "node:path";
import * as esbuild from "esbuild";
import { namespacedApi } from "./api_import.ts";
import {
  bundlerGeneration,
  disposeInBundler,
  ownedByBundler,
  withBundler,
} from "./bundler_process.ts";
import { SHARING_HINT } from "./client_uses.ts";
import { codeFrame, type DiagnosticCode, type Diagnostics, placeInText } from "./diagnostic.ts";
import { missingInClient } from "./missing_exports.ts";
import { missingModule } from "./missing_module.ts";
import { OUTSIDE, outsideName } from "./outside_names.ts";
import { absentFile, type ModuleGraph, type Purpose, REMOTE, requiredFile } from "./resolve.ts";
import { type TextRange, withoutRanges } from "./erased_exports.ts";
import { legalText } from "./shadow.ts";

/** What one bundle is made from. */
export interface BundleInput {
  readonly graph: ModuleGraph;
  /** File that stands for virtual modules when they import something. */
  readonly graphFile: string;
  readonly root: string;
  readonly purpose: Exclude<Purpose, "types">;
  /** Output name → specifier or absolute file name. */
  readonly entries: Readonly<Record<string, string>>;
  /** Texts by specifier (`kontract:app`); they name files by {@link appFile} and {@link packageFile}. */
  readonly virtual: ReadonlyMap<string, string>;
  /** Folder of the package, for {@link packageFile}. */
  readonly packageFolder: string;
  /** Specifier → absolute file name. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Texts of files that are not on disk yet. */
  readonly overlay: ReadonlyMap<string, string>;
  /** Text to put behind a module's own, by absolute file name. */
  readonly appended: ReadonlyMap<string, string>;
  /** Parts of a module's text that are types alone and no bundler of one module can tell. */
  readonly erased?: ReadonlyMap<string, readonly TextRange[]>;
  /** Text instead of a module, an error, or null to take it as it is. */
  readonly guard?: (file: string) => { readonly stub: string } | { readonly refuse: string } | null;
  /** Output that a module is in by itself, relative to any other of this bundle; null where it is a part of these. */
  readonly apart?: (file: string) => string | null;
  /** True for a module whose import alone does nothing. */
  readonly pure: (file: string) => boolean;
  /** Folder that output names are relative to, absolute. */
  readonly outdir: string;
  /** Names of shared chunks; in a folder of their own where missing. */
  readonly chunkNames?: string;
  readonly minify: boolean;
  /** What `process.env.NODE_ENV` is in a front end: packages have another half for each. */
  readonly mode?: "production" | "development";
  readonly jsx: Readonly<Record<string, unknown>>;
}

/** A bundle in memory. */
export interface Bundle {
  /** Path below `outdir` → bytes. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Absolute names of the files that went in; virtual ones and those that a stub stands for left out. */
  readonly inputs: readonly string[];
  /** Output path below `outdir` → inputs as named by esbuild. */
  readonly metafile: esbuild.Metafile;
}

const TARGETS = {
  workers: { platform: "neutral", target: "es2024" },
  deno: { platform: "neutral", target: "es2024" },
  browser: { platform: "browser", target: "es2022" },
} as const;

/** One bundle that is made again and again; unchanged modules are not parsed again. */
export class Bundler {
  #context: esbuild.BuildContext<{ write: false; metafile: true }> | null = null;
  #input: BundleInput | null = null;
  #key = "";
  /** What first imported each module in this bundle. */
  readonly #importers: Importers = new Map();
  /** Files of which this bundle has a stub and not the text. */
  readonly #stubbed: Set<string> = new Set();
  readonly #outside: OutsideFiles = new Map();

  /** Makes the bundle; null where it failed, with the reasons in `diagnostics`. */
  async bundle(input: BundleInput, diagnostics: Diagnostics): Promise<Bundle | null> {
    this.#input = input;
    this.#importers.clear();
    this.#stubbed.clear();
    try {
      return await withBundler(() => this.#make(input));
    } catch (error) {
      report(error, input, diagnostics, this.#importers, this.#outside);
      return null;
    }
  }

  async #make(input: BundleInput): Promise<Bundle> {
    const context = await this.#contextOf(input);
    const result = await context.rebuild();
    const files = new Map(
      result.outputFiles.map((file) => [
        relative(input.outdir, file.path).split(sep).join("/"),
        file.contents,
      ]),
    );
    const inputs = Object.keys(result.metafile.inputs).flatMap((name) => {
      const outside = this.#outside.get(name);
      if (outside !== undefined) return [outside];
      return /^[\w-]+:/.test(name) ? [] : [join(input.root, name)];
    }).filter((file) => !this.#stubbed.has(file));
    return { files, inputs, metafile: result.metafile };
  }

  async #contextOf(
    input: BundleInput,
  ): Promise<esbuild.BuildContext<{ write: false; metafile: true }>> {
    const { root, purpose, entries, outdir, minify, mode, jsx } = input;
    const generation = bundlerGeneration();
    const key = JSON.stringify([root, purpose, entries, outdir, minify, mode, jsx, generation]);
    if (this.#context !== null && this.#key === key) return this.#context;
    if (this.#context !== null) await disposeInBundler(this.#context);
    this.#key = key;
    this.#context = await esbuild.context({
      ...buildSettings(input),
      plugins: [
        graphPlugin(() => this.#input ?? input, this.#importers, this.#stubbed, this.#outside),
      ],
    });
    ownedByBundler(this.#context);
    return this.#context;
  }
}

/** What all bundles have in common; without plugins nothing is resolved. */
export function buildSettings(
  input: BundleInput,
): esbuild.BuildOptions & { write: false; metafile: true } {
  const { jsx } = input.jsx;
  const named = ["jsxImportSource", "jsxFactory", "jsxFragmentFactory"].filter((name) =>
    typeof input.jsx[name] === "string"
  );
  return {
    absWorkingDir: input.root,
    entryPoints: Object.entries(input.entries).map(([out, path]) => ({ in: path, out })),
    outdir: input.outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    write: false,
    metafile: true,
    ...TARGETS[input.purpose],
    chunkNames: input.chunkNames ?? "chunks/[name]-[hash]",
    assetNames: "assets/[name]-[hash]",
    loader: ASSET_LOADERS,
    sourcemap: "linked",
    legalComments: "none",
    charset: "utf8",
    minifyWhitespace: input.minify,
    minifySyntax: input.minify,
    // On a server names are worth more than bytes: they stand in logs and stacks.
    minifyIdentifiers: input.minify && input.purpose === "browser",
    logLevel: "silent",
    treeShaking: true,
    ...(input.mode === undefined
      ? {}
      : { define: { "process.env.NODE_ENV": JSON.stringify(input.mode) } }),
    tsconfigRaw: {
      compilerOptions: {
        useDefineForClassFields: true,
        ...(typeof jsx === "string" ? { jsx: jsx === "react" ? "react" : "react-jsx" } : {}),
        ...Object.fromEntries(named.map((name) => [name, input.jsx[name]])),
      },
    },
  };
}

/** True for a module with ``import(`./pages/${name}.ts`)``: what that leads to, only the bundler knows. */
export function importsByPattern(
  input: Pick<esbuild.Metafile["inputs"][string], "imports"> | undefined,
): boolean {
  return input?.imports.some(({ path }) => /^\.\.?\/.*\*/.test(path)) ?? false;
}

const ASSET_LOADERS: Record<string, esbuild.Loader> = Object.fromEntries(
  ["png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "woff", "woff2", "ttf", "wasm"]
    .map((ending) => [`.${ending}`, "file"]),
);

/** What a problem of a resolution has beside its text. */
interface Detail {
  /** The host's module that no browser has. */
  readonly builtin?: string;
  readonly code?: DiagnosticCode;
  readonly hint?: string | undefined;
}

/** Absolute file name → the import that led there first. */
type Importers = Map<string, Pick<esbuild.OnResolveArgs, "importer" | "path">>;

/** Name in the outputs → absolute file name, of files outside of the app. */
type OutsideFiles = Map<string, string>;

/** Adds what the bundler said to the diagnostics. */
export function report(
  error: unknown,
  input: BundleInput,
  diagnostics: Diagnostics,
  importers: Importers = new Map(),
  outside: OutsideFiles = new Map(),
): void {
  const errors = (error as { errors?: readonly esbuild.Message[] }).errors;
  if (!Array.isArray(errors)) {
    const why = error instanceof Error ? error.message : String(error);
    diagnostics.add({ code: "KT7001", severity: "error", message: `The bundler failed: ${why}` });
    return;
  }
  for (const message of errors as readonly esbuild.Message[]) {
    const at = message.location;
    const file = at === null ? null : outside.get(at.file) ?? join(input.root, at.file);
    if (reportPackage(message, file, input, diagnostics, importers)) continue;
    const words = wordsFor(message, input);
    const { code = "KT7001", hint = words.hint } = (message.detail ?? {}) as Detail;
    const text = file === null ? undefined : input.overlay.get(file) ?? input.graph.read(file);
    diagnostics.add({
      code,
      severity: "error",
      message: words.message,
      ...(hint === undefined ? {} : { hint }),
      ...(at === null || text === undefined ? {} : {
        span: { file: at.file, line: at.line, column: at.column + 1 },
        ...codeFrame(text, at.line, at.column + 1, at.length),
      }),
    });
  }
}

/** What the bundler says of a name that a module does not have, in an author's words. */
function wordsFor(
  { text }: esbuild.Message,
  { overlay }: BundleInput,
): { readonly message: string; readonly hint?: string | undefined } {
  const found = /^No matching export in "(?:kontract-stub:)?(.*)" for import "(.*)"$/.exec(text);
  if (found === null) return { message: text };
  const [, file = "", name = ""] = found;
  if (!file.endsWith("/client/client.js")) {
    return { message: `There is no '${name}' in '${file}'.` };
  }
  return missingInClient(name, clientNames(overlay));
}

/** The backend functions that the client module exports, whole or beside its bundle. */
function clientNames(overlay: BundleInput["overlay"]): readonly string[] {
  const end = join("client", "routes.js");
  const [, text = ""] = [...overlay].find(([file]) => file.endsWith(sep + end)) ?? [];
  return [...text.matchAll(/^export (?:function ([\w$]+)|\{([^}]*)\})/gm)]
    .flatMap(([, name, list = ""]) => name ?? list.split(",").map((one) => one.trim()));
}

const SERVERS_HINT = "Use it in a backend function.";

/**
 * A package in the client that needs a module of a server's host: told once, where the author imports it.
 * False for anything else.
 */
function reportPackage(
  { detail }: esbuild.Message,
  at: string | null,
  input: BundleInput,
  diagnostics: Diagnostics,
  importers: Importers,
): boolean {
  const { builtin } = (detail ?? {}) as Detail;
  if (builtin === undefined || at === null) return false;
  let file = at, specifier = "";
  for (let i = 0; i < 100 && !isAuthored(file, input); i++) {
    const by = importers.get(file);
    if (by === undefined) return false;
    [file, specifier] = [by.importer, by.path];
  }
  const text = input.graph.read(file);
  const found = new RegExp(`["']${RegExp.escape(specifier)}["']`).exec(text ?? "");
  if (specifier === "" || text === undefined || found === null) return false;
  diagnostics.add({
    code: "KT5001",
    severity: "error",
    message: `'${specifier}' is for servers: it needs modules that no browser has.`,
    hint: SERVERS_HINT,
    ...placeInText(
      relative(input.root, file).split(sep).join("/"),
      text,
      found.index,
      found[0].length,
    ),
  });
  return true;
}

function isAuthored(file: string, { root }: BundleInput): boolean {
  return file.startsWith(root + sep) && !file.includes(`${sep}node_modules${sep}`);
}

function graphPlugin(
  current: () => BundleInput,
  importers: Importers,
  stubbed: Set<string>,
  outside: OutsideFiles,
): esbuild.Plugin {
  const named = (found: esbuild.OnResolveResult): esbuild.OnResolveResult => {
    const { path: file, namespace, external } = found;
    if (file === undefined || namespace !== undefined || external === true) return found;
    const name = outsideName(file, current());
    if (name === null) return found;
    const key = `${name.namespace}:${name.path}`, known = outside.get(key);
    // Two copies of a package keep their places.
    if (known !== undefined && known !== file) return found;
    outside.set(key, file);
    return { ...found, ...name };
  };
  const load = (file: string): esbuild.OnLoadResult | null => {
    // Modules of a name that is put together as the page runs were never resolved.
    const verdict = current().guard?.(file) ?? null;
    if (verdict === null) return loadText(file, current());
    if ("refuse" in verdict) return { errors: [refusal(verdict.refuse)] };
    stubbed.add(file);
    return { contents: verdict.stub, loader: "js" };
  };
  return {
    name: "kontract",
    setup(build) {
      build.onResolve({ filter: /.*/ }, (args) => {
        const from = outside.get(`${args.namespace}:${args.importer}`);
        const asked = from === undefined ? args : { ...args, importer: from, namespace: "file" };
        const found = resolve(asked, current());
        if (found.path !== undefined && !importers.has(found.path)) {
          importers.set(found.path, asked);
        }
        return named(found);
      });
      build.onLoad({ filter: /.*/, namespace: "kontract" }, (args) => {
        return { contents: current().virtual.get(VIRTUAL + args.path) ?? "", loader: "ts" };
      });
      build.onLoad({ filter: /.*/, namespace: "kontract-stub" }, (args) => {
        return { contents: (args.pluginData as { readonly stub: string }).stub, loader: "js" };
      });
      build.onLoad({ filter: OWN, namespace: "file" }, ({ path }) => {
        const { root } = current();
        if (!path.startsWith(join(root, ".kontract") + sep)) return null;
        const name = relative(root, path).split(sep).join("/");
        return {
          errors: [refusal(`'${name}' is Kontract's own, and may hold passwords.`, OWN_HINT)],
        };
      });
      build.onLoad({ filter: SCRIPT, namespace: "file" }, ({ path }) => load(path));
      for (const namespace of OUTSIDE) {
        build.onLoad({ filter: /.*/, namespace }, ({ path }) => {
          const file = outside.get(`${namespace}:${path}`)!;
          if (SCRIPT.test(file)) return load(file);
          const text = file.startsWith(REMOTE) ? current().graph.read(file) : undefined;
          return { contents: text ?? Deno.readFileSync(file), loader: "default" };
        });
      }
    },
  };
}

const OWN = /[\\/]\.kontract[\\/]/;
const OWN_HINT = "Name the folder of what is imported: import(`../pages/${name}.json`).";

const SCRIPT = /\.(?:[cm]?[jt]sx?)$/;

function refusal(text: string, hint: string = SHARING_HINT): esbuild.PartialMessage {
  return { text, detail: { code: "KT5001", hint } satisfies Detail };
}

/** A module's text as the bundler takes it; null where there is none. */
export function loadText(
  file: string,
  input: BundleInput,
): { readonly contents: string; readonly loader: "js" | "ts" | "jsx" | "tsx" } | null {
  const written = writtenText(file, input);
  if (written === null) return null;
  const ending = /\.[cm]?([jt]sx?)$/.exec(file)?.[1] ?? "js";
  // Only the app's own modules may hold decorated functions, and finding these means parsing.
  const mayDecorate = ending.startsWith("t") && !input.pure(file);
  const more = input.appended.get(file);
  const own = mayDecorate ? legalText(file, written) : written;
  const text = more === undefined ? own : `${own}\n${more}`;
  return {
    contents: input.purpose === "browser" ? namespacedApi(file, text) : text,
    loader: ending as "js" | "ts" | "jsx" | "tsx",
  };
}

/** A module's text as it was written, without exported types; null where there is none. */
export function writtenText(
  file: string,
  { overlay, graph, erased }: BundleInput,
): string | null {
  const text = overlay.get(file) ?? graph.read(file);
  return text === undefined ? null : withoutRanges(text, erased?.get(file));
}

/** Where an import leads to. */
export function resolve(
  args: Pick<esbuild.OnResolveArgs, "path" | "kind" | "importer" | "namespace">,
  input: BundleInput,
): esbuild.OnResolveResult {
  if (input.virtual.has(args.path)) return virtualPlace(args.path);
  const alias = input.aliases.get(args.path) ?? locate(args.path, input);
  const absolute = isAbsolute(args.path) &&
    (input.graph.has(args.path) || input.overlay.has(args.path));
  if (alias !== undefined || absolute) return loaded(alias ?? args.path, input);
  if (/^(?:https?:|data:)/.test(args.path) && args.kind !== "import-statement") {
    return { path: args.path, external: true };
  }
  const generated = args.namespace !== "file" || input.overlay.has(args.importer);
  const importer = generated ? input.graphFile : args.importer;
  const beside = join(dirname(args.importer), args.path);
  if (args.path.startsWith(".") && input.overlay.has(beside)) return loaded(beside, input);
  const form = args.kind.startsWith("require") ? "require" : "import";
  const found = input.graph.resolve(args.path, importer, input.purpose, form);
  if (found.kind === "file") return loaded(found.file, input);
  if (found.kind === "missing") {
    // Packages try what they can do without.
    if (args.kind !== "import-statement" && input.graph.isPackaged(args.importer)) {
      return loaded(absentFile(args.path), input);
    }
    if (args.namespace !== "file" || isForeign(args.importer, input)) {
      return { errors: [{ text: found.message }] };
    }
    const { message, hint } = missingModule(input.root, args.importer, args.path, found.reason);
    return { errors: [{ text: message, detail: { code: "KT1002", hint } satisfies Detail }] };
  }
  if (input.purpose === "browser") {
    const detail: Detail = { builtin: found.specifier, code: "KT5001", hint: SERVERS_HINT };
    return { errors: [{ text: `'${found.specifier}' does not exist in a browser.`, detail }] };
  }
  if (form === "require") return loaded(requiredFile(found.specifier), input);
  return { path: found.specifier, external: true };
}

/** True for a file of a package that somebody else has published. */
function isForeign(file: string, { graph, packageFolder, root }: BundleInput): boolean {
  return file.startsWith(REMOTE) || graph.isPackaged(file) ||
    file.includes(`${sep}node_modules${sep}`) ||
    file.startsWith(packageFolder) && !file.startsWith(root + sep);
}

/** What specifiers of virtual modules begin with; the bundler's name of one is the specifier. */
export const VIRTUAL = "kontract:";

/** Where the bundler has a virtual module. */
export function virtualPlace(
  specifier: string,
): { readonly path: string; readonly namespace: string } {
  return { path: specifier.slice(VIRTUAL.length), namespace: VIRTUAL.slice(0, -1) };
}

const APP = "kontract-app:";
const PACKAGE = "kontract-package:";

/** Specifier of a file of the app in generated code: no machine path gets into an output. */
export function appFile(path: string): string {
  return APP + path;
}

/** Specifier of one of the package's own files in generated code. */
export function packageFile(path: string): string {
  return PACKAGE + path;
}

function locate(specifier: string, input: BundleInput): string | undefined {
  if (specifier.startsWith(APP)) return join(input.root, specifier.slice(APP.length));
  if (!specifier.startsWith(PACKAGE)) return undefined;
  return join(input.packageFolder, specifier.slice(PACKAGE.length));
}

function loaded(file: string, input: BundleInput): esbuild.OnResolveResult {
  const verdict = input.guard?.(file) ?? null;
  if (verdict !== null && "refuse" in verdict) {
    return { errors: [refusal(verdict.refuse)] };
  }
  if (verdict !== null) {
    // The name stands in the output: no machine path in it.
    const path = relative(input.root, file).split(sep).join("/");
    return { path, namespace: "kontract-stub", sideEffects: false, pluginData: verdict };
  }
  const apart = input.apart?.(file) ?? null;
  if (apart !== null) return { path: apart, external: true, sideEffects: false };
  return { path: file, ...(input.pure(file) ? { sideEffects: false } : {}) };
}
