/**
 * One resolver for TypeScript and esbuild: the module graph as `deno info --json` sees it.
 *
 * Deno alone knows import maps, workspaces, `npm:`, `jsr:` and `https:`; its answer holds, for each
 * import of each module, what it resolves to, and where each module lies on disk. A module is named by
 * an absolute file name here: the real path of a `file:` module, and a made-up one below
 * {@link REMOTE} that keeps the ending for a remote one. Files of npm packages resolve by
 * `npm_exports.ts` against the package folders that Deno names.
 *
 * A {@link ModuleGraph} is a picture of one moment; `graph_cache.ts` tells whether it still holds.
 *
 * @module
 */
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { FileTexts, isFile } from "./file_texts.ts";
import {
  type EntryOptions,
  packageEntry,
  packageImport,
  type PackageJson,
  probe,
} from "./npm_exports.ts";

/** Folder under which remote modules are named. */
export const REMOTE = `${sep}kontract-remote${sep}`;

interface InfoDependency {
  readonly specifier: string;
  readonly code?: { readonly specifier?: string; readonly error?: string };
  readonly type?: { readonly specifier?: string };
  readonly npmPackage?: string;
}

interface InfoModule {
  readonly kind?: string;
  readonly specifier: string;
  readonly local?: string | null;
  readonly error?: string;
  readonly mediaType?: string;
  readonly npmPackage?: string;
  readonly dependencies?: readonly InfoDependency[];
  readonly typesDependency?: { readonly dependency?: { readonly specifier?: string } };
}

interface InfoPackage {
  readonly name: string;
  readonly localPath?: string;
  readonly dependencies: readonly string[];
}

/** The parts of `deno info --json` (version 1) that are read. */
export interface DenoInfo {
  readonly modules: readonly InfoModule[];
  readonly redirects: Readonly<Record<string, string>>;
  readonly npmPackages?: Readonly<Record<string, InfoPackage>>;
}

/** What a resolution is for: conditions differ, the graph does not. */
export type Purpose = "types" | "workers" | "deno" | "browser";

const JS_ENDINGS = [".js", ".mjs", ".cjs", ".json"];
const CONDITIONS: Readonly<Record<Purpose, Omit<EntryOptions, "isFile">>> = {
  types: {
    conditions: ["types", "import", "module-sync"],
    mainFields: ["types", "typings", "module", "main"],
    extensions: [".d.ts", ".d.mts", ".ts", ...JS_ENDINGS],
  },
  workers: {
    conditions: ["workerd", "worker", "browser", "import", "module"],
    mainFields: ["browser", "module", "main"],
    extensions: JS_ENDINGS,
  },
  deno: {
    conditions: ["deno", "node", "import", "module"],
    mainFields: ["module", "main"],
    extensions: JS_ENDINGS,
  },
  browser: {
    conditions: ["browser", "import", "module"],
    mainFields: ["browser", "module", "main"],
    extensions: JS_ENDINGS,
  },
};

/** By file name: equal as long as the file is what it was, undefined where there is none. */
export type FileStamps = ReadonlyMap<string, string | undefined>;

/** Stands for a module that a package's `browser` field leaves out. */
export const EMPTY: string = `${REMOTE}empty.cjs`;

const ABSENT = `${REMOTE}absent${sep}`;

/** Stands for a package that another one can do without: to require it throws, as everywhere. */
export function absentFile(specifier: string): string {
  return `${ABSENT}${encodeURIComponent(specifier)}.cjs`;
}

const REQUIRED = `${REMOTE}required${sep}`;

/** Stands for a host's module that a package requires: a server's modules have no `require`. */
export function requiredFile(specifier: string): string {
  return `${REQUIRED}${encodeURIComponent(specifier)}.js`;
}

/** Text of a file that stands for something; undefined for any other. */
function madeUpText(file: string): string | undefined {
  if (file === EMPTY) return "module.exports = {};\n";
  const folder = [ABSENT, REQUIRED].find((one) => file.startsWith(one));
  if (folder === undefined) return undefined;
  const specifier = decodeURIComponent(file.slice(folder.length).replace(/\.c?js$/, ""));
  if (folder === REQUIRED) {
    return `import * as all from ${JSON.stringify(specifier)};\n` +
      "module.exports = all.default ?? all;\n";
  }
  const message = JSON.stringify(`Cannot find module '${specifier}'`);
  return `throw Object.assign(new Error(${message}), { code: "MODULE_NOT_FOUND" });\n`;
}

/** How an import is written: packages may have a file for each. */
export type ImportForm = "import" | "require";

/** Workers take what packages have for browsers, as wrangler does, beside the modules of Node that they have. */
function hasBrowserFiles(purpose: Purpose): boolean {
  return purpose === "browser" || purpose === "workers";
}

/** How to choose a package's file. */
function entryOptions(purpose: Purpose, form: ImportForm): EntryOptions {
  const options = { ...CONDITIONS[purpose], isFile };
  if (form === "import") return options;
  const { conditions, mainFields } = options;
  const isModule = (name: string): boolean => name === "module";
  return {
    ...options,
    conditions: conditions.map((one) => one === "import" ? "require" : one),
    mainFields: [...mainFields.filter((one) => !isModule(one)), ...mainFields.filter(isModule)],
  };
}

/** What an import leads to. */
export type Resolution =
  | { readonly kind: "file"; readonly file: string }
  /** `node:` and `cloudflare:` modules: the host has them. */
  | { readonly kind: "builtin"; readonly specifier: string }
  | {
    readonly kind: "missing";
    readonly message: string;
    /** What Deno said of it, if anything. */
    readonly reason?: string;
  };

/** An npm package on disk; its folder with a separator at its end. */
interface PackageFolder {
  readonly folder: string;
  /** As Deno names it; null for one that another tool has installed, of which Deno tells nothing. */
  readonly id: string | null;
}

/** The package below a `node_modules` that a file belongs to. */
function installed(file: string): PackageFolder | undefined {
  const folder = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+[\\/]/.exec(file)?.[0];
  return folder === undefined ? undefined : { folder, id: null };
}

/** Folder of the package of a name that a file of an installed one gets, as Node looks for it. */
function installedFolder(name: string, importer: string): string | undefined {
  for (let at = dirname(importer); dirname(at) !== at; at = dirname(at)) {
    const folder = join(at, "node_modules", name);
    if (isFile(join(folder, "package.json"))) return Deno.realPathSync(folder);
  }
  return undefined;
}

/** Name of a package and path in it. */
const PACKAGE_PATH = /^(?:npm:\/?)?((?:@[^/]+\/)?[^/@]+)(?:@[^/]*)?(\/.*)?$/;

/** The graph of one moment. */
export class ModuleGraph {
  #files: Map<string, InfoModule> = new Map();
  #byUrl: Map<string, InfoModule> = new Map();
  #redirects: Readonly<Record<string, string>>;
  #packages: Readonly<Record<string, InfoPackage>>;
  #folders: readonly PackageFolder[];
  #packageJson: Map<string, PackageJson> = new Map();
  readonly #texts: FileTexts;

  /** Wraps what Deno said; `texts` reads the modules' files. */
  constructor(info: DenoInfo, texts: FileTexts) {
    this.#texts = texts;
    this.#redirects = info.redirects;
    this.#packages = info.npmPackages ?? {};
    for (const module of info.modules) {
      this.#byUrl.set(module.specifier, module);
      if (module.kind === "esm" || module.kind === "asserted" || module.local != null) {
        this.#files.set(fileName(module.specifier), module);
      }
    }
    this.#folders = Object.entries(this.#packages)
      .flatMap(([id, p]) => p.localPath === undefined ? [] : [{ folder: p.localPath + sep, id }])
      .sort((a, b) => b.folder.length - a.folder.length);
  }

  /** All modules' file names with their specifiers, npm packages' files not included. */
  files(): ReadonlyMap<string, string> {
    return new Map([...this.#files].map(([file, module]) => [file, module.specifier]));
  }

  /** True for a module of the graph, by its file name. */
  knows(file: string): boolean {
    return this.#files.has(file);
  }

  /** True where a module could not be found or read. */
  get broken(): boolean {
    return [...this.#byUrl.values()].some((module) => module.error !== undefined);
  }

  /** Why Deno does not find what the modules in a folder import, of the first of them; null where it finds all. */
  problemIn(folder: string): string | null {
    for (const [file, { dependencies = [] }] of this.#files) {
      if (!file.startsWith(folder)) continue;
      const problem = dependencies.find(({ code }) => code?.error !== undefined)?.code?.error;
      if (problem !== undefined) return firstLine(problem);
    }
    return null;
  }

  /** Modules that are files of this machine and not of npm packages. */
  localFiles(): readonly string[] {
    return [...this.#files].flatMap(([file, { specifier }]) =>
      specifier.startsWith("file:") ? [file] : []
    );
  }

  /** Files of this machine that imports lead to, also where there is none. */
  wantedFiles(): readonly string[] {
    return [...this.#byUrl.keys()].flatMap((url) => url.startsWith("file:") ? [fileName(url)] : []);
  }

  /** True for a file of an npm package. */
  isPackaged(file: string): boolean {
    return this.#owner(file) !== undefined;
  }

  /** `@scope/name@1.0.0/file.js` for a file of an npm package, wherever it lies; null for any other. */
  nameInPackage(file: string): string | null {
    const owner = this.#owner(file);
    if (owner === undefined) return null;
    if (owner.id !== null) return join(owner.id, file.slice(owner.folder.length));
    const marker = `${sep}node_modules${sep}`;
    return file.slice(file.indexOf(marker) + marker.length);
  }

  #owner(file: string): PackageFolder | undefined {
    return this.#folders.find((one) => file.startsWith(one.folder)) ?? installed(file);
  }

  /** Folders of all npm packages. */
  packageFolders(): readonly string[] {
    return this.#folders.map(({ folder }) => folder.slice(0, -1));
  }

  /** Names and versions of all npm packages. */
  packages(): readonly string[] {
    return Object.keys(this.#packages).sort();
  }

  /** Text of a module by its file name, or undefined. */
  read(file: string): string | undefined {
    const path = this.#path(file);
    return path === null ? madeUpText(file) : this.#texts.read(path);
  }

  /** What files are now, for {@link holds}. */
  stamps(files: Iterable<string>): FileStamps {
    return new Map([...files].map((file) => [file, this.#texts.stamp(this.#path(file) ?? file)]));
  }

  /** True where all files are what they were. */
  holds(stamps: FileStamps): boolean {
    return [...stamps].every(([file, stamp]) =>
      this.#texts.stamp(this.#path(file) ?? file) === stamp
    );
  }

  /** Hash of a module's text. */
  hash(file: string): string {
    return this.#texts.hash(this.#path(file) ?? file);
  }

  /** True where {@link read} gives something. */
  has(file: string): boolean {
    const path = this.#path(file);
    return path === null ? madeUpText(file) !== undefined : this.#texts.has(path);
  }

  /** Where a module lies on disk. */
  #path(file: string): string | null {
    return file.startsWith(REMOTE) ? this.#files.get(file)?.local ?? null : file;
  }

  /** Resolves an import as it stands in `importer` (a file name of this graph or of an npm package). */
  resolve(
    specifier: string,
    importer: string,
    purpose: Purpose,
    form: ImportForm = "import",
  ): Resolution {
    if (HOSTS.test(specifier) && (purpose !== "browser" || !this.isPackaged(importer))) {
      return { kind: "builtin", specifier };
    }
    const module = this.#files.get(importer);
    const target = targetOf(module, specifier, purpose);
    if (target !== undefined) {
      return this.#installed(specifier, target, purpose, form) ?? this.#target(target, purpose);
    }
    if (module !== undefined && specifier.endsWith("/jsx-dev-runtime")) {
      return this.#devRuntime(module, specifier, purpose);
    }
    const owner = this.#owner(importer);
    if (owner !== undefined) return this.#fromPackage(specifier, importer, owner, purpose, form);
    if (/^\.{0,2}\//.test(specifier) && !importer.startsWith(REMOTE)) {
      const file = join(dirname(importer), specifier);
      if (isFile(file)) return { kind: "file", file };
    }
    return missing(specifier);
  }

  /** What Deno found in `node_modules`, as the purpose has it. */
  #installed(
    specifier: string,
    target: string,
    purpose: Purpose,
    form: ImportForm,
  ): Resolution | null {
    // Asked of every import, and nearly none of them lies there.
    if (!target.startsWith("file:") || !target.includes("/node_modules/")) return null;
    const file = fileName(target);
    const owner = installed(file);
    const [, name = "", subpath = ""] = PACKAGE_PATH.exec(specifier) ?? [];
    const isOwn = owner?.folder.endsWith(join(sep, "node_modules", name, sep)) === true;
    if (!isOwn || /\.d\.[cm]?ts$/.test(file)) return null;
    const found = this.#entry(owner.folder.slice(0, -1), subpath, specifier, purpose, form);
    return found.kind === "file" ? found : null;
  }

  /** JSX as a bundler's dev server wants it: Deno names only the runtime that lies beside this one. */
  #devRuntime(module: InfoModule, specifier: string, purpose: Purpose): Resolution {
    const named = targetOf(module, specifier.replace(/-dev-runtime$/, "-runtime"), purpose);
    const url = named === undefined ? undefined : this.#redirects[named] ?? named;
    if (!url?.startsWith("npm:")) return missing(specifier);
    const id = this.#byUrl.get(url)?.npmPackage;
    return this.#npm(url.replace(/-runtime$/, "-dev-runtime"), id, purpose);
  }

  /** Resolves an absolute specifier (`file:`, `https:`, `npm:`). */
  #target(specifier: string, purpose: Purpose): Resolution {
    const url = this.#redirects[specifier] ?? specifier;
    if (/^(?:node|cloudflare|workerd):/.test(url)) return { kind: "builtin", specifier: url };
    const module = this.#byUrl.get(url);
    if (url.startsWith("npm:")) return this.#npm(url, module?.npmPackage, purpose);
    if (module?.error !== undefined && module.local == null && !url.startsWith("file:")) {
      const reason = firstLine(module.error);
      return { kind: "missing", message: reason, reason };
    }
    const types = module?.typesDependency?.dependency?.specifier;
    if (purpose === "types" && types !== undefined && types !== url) {
      return this.#target(types, purpose);
    }
    const file = fileName(url);
    if (!this.has(file)) return missing(specifier);
    return { kind: "file", file };
  }

  #npm(url: string, id: string | undefined, purpose: Purpose): Resolution {
    const match = PACKAGE_PATH.exec(url);
    const folder = id === undefined ? undefined : this.#packages[id]?.localPath;
    if (match === null || folder === undefined) return missing(url);
    return this.#entry(folder, match[2] ?? "", url, purpose, "import");
  }

  #entry(
    folder: string,
    subpath: string,
    wanted: string,
    purpose: Purpose,
    form: ImportForm,
  ): Resolution {
    const options = entryOptions(purpose, form);
    const file = packageEntry(folder, this.#json(folder), `.${subpath}`, options);
    if (file === null) return missing(wanted);
    return { kind: "file", file: this.#substituted(file, folder, purpose) };
  }

  /** A package's file as a purpose has it: its declarations, or what it is in browsers. */
  #substituted(file: string, folder: string, purpose: Purpose): string {
    if (purpose === "types") return declarationOf(file);
    return hasBrowserFiles(purpose) ? browserFile(folder, this.#json(folder), file) : file;
  }

  #fromPackage(
    specifier: string,
    importer: string,
    owner: PackageFolder,
    purpose: Purpose,
    form: ImportForm,
  ): Resolution {
    const options = entryOptions(purpose, form);
    const home = owner.folder.slice(0, -1);
    // What workerd has of Node stays Node's.
    if (purpose === "browser" || purpose === "workers" && !BUILTIN.has(specifier)) {
      const other = browserName(home, this.#json(home), specifier);
      if (other !== null) return { kind: "file", file: other };
      if (HOSTS.test(specifier)) return { kind: "builtin", specifier };
    }
    if (/^\.{1,2}(?:\/|$)/.test(specifier)) {
      const file = probe(join(dirname(importer), specifier), options);
      if (file === null) {
        const declared = join(dirname(importer), specifier).replace(/\.([cm]?)js$/, ".d.$1ts");
        return isFile(declared) ? { kind: "file", file: declared } : missing(specifier);
      }
      return { kind: "file", file: this.#substituted(file, home, purpose) };
    }
    if (specifier.startsWith("#")) {
      const json = this.#json(home);
      const target = packageImport(json, specifier, options.conditions);
      const file = target === null ? null : probe(join(owner.folder, target), options);
      return file === null ? missing(specifier) : { kind: "file", file };
    }
    const match = /^((?:@[^/]+\/)?[^/]+)(\/.*)?$/.exec(specifier);
    if (match === null) return missing(specifier);
    const name = match[1]!;
    const folder = this.#folderOf(name, importer, owner);
    if (folder === undefined) {
      return BUILTIN.has(name)
        ? { kind: "builtin", specifier: `node:${specifier}` }
        : missing(specifier);
    }
    return this.#entry(folder, match[2] ?? "", specifier, purpose, form);
  }

  /** Folder of the package of a name that a package's file imports. */
  #folderOf(name: string, importer: string, { id }: PackageFolder): string | undefined {
    if (id === null) return installedFolder(name, importer);
    const own = this.#packages[id];
    const found = own?.name === name
      ? id
      : own?.dependencies.find((one) => one.startsWith(`${name}@`));
    return found === undefined ? undefined : this.#packages[found]?.localPath;
  }

  #json(folder: string): PackageJson {
    let json = this.#packageJson.get(folder);
    if (json === undefined) {
      try {
        json = JSON.parse(Deno.readTextFileSync(join(folder, "package.json"))) as PackageJson;
      } catch {
        json = {};
      }
      this.#packageJson.set(folder, json);
    }
    return json;
  }
}

/** Schemes of modules that hosts have. */
const HOSTS = /^(?:node|cloudflare|workerd|bun):/;

/** Bare names of Node's modules that older packages still import without `node:`. */
const BUILTIN: ReadonlySet<string> = new Set(
  ("assert async_hooks buffer child_process cluster crypto dgram diagnostics_channel dns events fs " +
    "http http2 https inspector module net os path perf_hooks process punycode querystring readline " +
    "repl stream string_decoder timers tls tty url util v8 vm worker_threads zlib").split(" "),
);

/** What an import of a module leads to, absolute. */
function targetOf(
  module: InfoModule | undefined,
  specifier: string,
  purpose: Purpose,
): string | undefined {
  const found = module?.dependencies?.find((one) => one.specifier === specifier);
  const { code, type } = found ?? {};
  return purpose === "types"
    ? type?.specifier ?? code?.specifier
    : code?.specifier ?? type?.specifier;
}

function missing(specifier: string): Resolution {
  return { kind: "missing", message: `Cannot find module '${specifier}'.` };
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? text;
}

/** What a package's `browser` field, a table of its own files, has in the place of one of them. */
function browserFile(folder: string, { browser }: PackageJson, file: string): string {
  if (typeof browser !== "object" || browser === null) return file;
  const path = `./${relative(folder, file).split(sep).join("/")}`;
  const names = [path, path.replace(/\.(?:[cm]?js|json)$/, ""), path.replace(/\/index\.js$/, "")];
  return browserTarget(folder, browser, names) ?? file;
}

/** What it has in the place of another package or of a host's module, or null. */
function browserName(folder: string, { browser }: PackageJson, specifier: string): string | null {
  if (typeof browser !== "object" || browser === null || specifier.startsWith(".")) return null;
  return browserTarget(folder, browser, [specifier, specifier.replace(/^node:/, "")]);
}

function browserTarget(folder: string, table: object, names: readonly string[]): string | null {
  const name = names.find((one) => Object.hasOwn(table, one));
  const target: unknown = name === undefined ? null : table[name as keyof typeof table];
  if (target === false) return EMPTY;
  if (typeof target !== "string" || !target.startsWith(".")) return null;
  return probe(join(folder, target), entryOptions("browser", "import"));
}

function declarationOf(file: string): string {
  const declared = file.replace(/\.([cm]?)js$/, ".d.$1ts");
  return declared !== file && isFile(declared) ? declared : file;
}

/** The file name that stands for a specifier. */
export function fileName(specifier: string): string {
  if (specifier.startsWith("file:")) return fileURLToPath(specifier);
  const url = URL.canParse(specifier) ? new URL(specifier) : null;
  if (url === null || url.host === "") return REMOTE + specifier.replaceAll(/[^\w.@-]+/g, "_");
  return REMOTE + join(url.protocol.slice(0, -1), url.host, decodeURIComponent(url.pathname));
}

/** Asks Deno for the graph of one root module. */
export async function readGraph(
  rootFile: string,
  cwd: string,
  texts: FileTexts = new FileTexts(),
): Promise<ModuleGraph> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", pathToFileURL(rootFile).href],
    cwd,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new GraphError(firstLine(new TextDecoder().decode(stderr).trim()));
  return new ModuleGraph(JSON.parse(new TextDecoder().decode(stdout)) as DenoInfo, texts);
}

/** Deno refused to make a graph: the app's configuration is broken. */
export class GraphError extends Error {
  override readonly name = "GraphError";
}
