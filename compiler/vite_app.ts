/**
 * An app under Vite: its last good analysis, and what Vite asks of it.
 *
 * @module
 */
import { join, resolve, sep } from "node:path";
import { type Analysis, AnalysisCache, analyze } from "./analysis.ts";
import { Diagnostics, formatDiagnostics } from "./diagnostic.ts";
import { emitClient } from "./emit/client.ts";
import { isFile, SETTLE_MS, timeAndSize } from "./file_texts.ts";
import { clientGuard } from "./front_end_bundle.ts";
import { isWithin, type Project, readProject } from "./project.ts";
import type { ModuleGraph } from "./resolve.ts";
import { clientFile } from "./vite_packages.ts";

/** What an app under Vite is made with. */
export interface ViteAppOptions {
  /** The app's folder; found from Vite's root where missing. */
  readonly root?: string | undefined;
  /** Public keys that the client pins, of the app in a folder. */
  readonly pins: (root: string) => Promise<readonly string[]>;
}

/** Ids of the client module and its parts. */
const PREFIX = "\0kontract:";
const CLIENT = `${PREFIX}client.js`;

const CODE = /\.[cm]?[jt]sx?$/;

/** One app under Vite: its last good analysis. */
export class ViteApp {
  readonly #options: ViteAppOptions;
  readonly #cache: AnalysisCache = new AnalysisCache();
  #root: string;
  #viteRoot: string | null = null;
  #inputs: readonly string[] = [];
  /** Pages below Vite's root; null where one may have come or gone. */
  #pages: readonly string[] | null = null;
  #analysis: Analysis | null = null;
  #client: Readonly<Record<string, string>> = {};
  /** The client's text as each environment last had it, and as all had it at the start. */
  readonly #seen: WeakMap<object, string> = new WeakMap();
  #first: string | null = null;
  #running: Promise<string> = Promise.resolve("");
  /** True where the front end may import what the analysis does not know. */
  #isStale = false;

  constructor(options: ViteAppOptions) {
    this.#options = options;
    this.#root = resolve(options.root ?? ".");
  }

  /** `inputs` are what Vite's configuration begins with, as it says it. */
  setRoot(viteRoot: string, inputs: readonly string[]): void {
    if (this.#options.root === undefined) this.#root = appFolder(viteRoot);
    this.#viteRoot = viteRoot;
    this.#inputs = inputs.map((path) => resolve(viteRoot, path));
  }

  /** What a front end may begin with: Vite's dev server gives every page that lies in its root. */
  #entries(): readonly string[] | undefined {
    if (this.#viteRoot === null) return undefined;
    const { site } = this.project;
    this.#pages ??= pagesIn(this.#viteRoot, new Set(site === null ? [] : [site]));
    return [join(this.#viteRoot, "index.html"), ...this.#pages, ...this.#inputs];
  }

  /** The app's configuration, also of one that cannot be built. */
  get project(): Project {
    return readProject(this.#root, new Diagnostics());
  }

  /** Modules and packages; null for an app that cannot be built. */
  get graph(): ModuleGraph | null {
    return this.#analysis?.graph ?? null;
  }

  /** Folder of the backend sources. */
  get sourceFolder(): string {
    return this.#analysis?.project.source ?? resolve(this.#root, "src");
  }

  /** Ids of the client module's parts. */
  parts(): readonly string[] {
    return Object.keys(this.#client).map((name) => PREFIX + name);
  }

  /** Folders that modules of the client may lie in. */
  folders(): readonly string[] {
    const { graph, packageFolder } = this.#analysis ?? {};
    return [
      this.#root,
      ...(graph?.packageFolders() ?? []),
      ...(packageFolder ? [packageFolder] : []),
    ];
  }

  /** True where the client is another than at the last call for this environment: Vite asks for each. */
  isNews(environment: object | undefined): boolean {
    const text = Object.values(this.#client).join("\n");
    const seen = environment === undefined ? undefined : this.#seen.get(environment) ?? this.#first;
    if (environment !== undefined) this.#seen.set(environment, text);
    return text !== seen;
  }

  isSource(file: string): boolean {
    return file.startsWith(this.sourceFolder + sep);
  }

  /** A file that Vite names from its root. */
  inRoot(name: string): string {
    return resolve(this.#viteRoot ?? this.#root, name);
  }

  /** True for a module of which the client gets stubs or nothing. */
  isServers(file: string): boolean {
    const kind = this.#analysis?.discovery.modules.get(file)?.kind;
    return kind === "server" || kind === "boundary";
  }

  isStub(file: string): boolean {
    return this.#analysis?.discovery.modules.get(file)?.kind === "boundary";
  }

  /** A file of the app, and not of its backend, has changed. */
  changed(file: string): void {
    if (file.endsWith(".html")) this.#pages = null;
    if (CODE.test(file) && file.startsWith(this.#root + sep)) this.#isStale = true;
  }

  /** The first look of a server or a build. */
  begin(): Promise<string> {
    this.#pages = null;
    return this.refresh();
  }

  /** {@link ViteApp.refresh}, once a source that has changed is whole. */
  async edited(file: string): Promise<string> {
    await settled(file);
    return await this.refresh();
  }

  /** Looks at the sources again; the problems found as text, empty where there are none. */
  refresh(): Promise<string> {
    this.#running = this.#running.then(() => this.#refresh());
    return this.#running;
  }

  /** Vite empties the page's folder. */
  #checkSite(diagnostics: Diagnostics): void {
    const { site } = this.project;
    if (site === null || this.#viteRoot === null || !isWithin(this.#viteRoot, site)) return;
    diagnostics.add({
      code: "KT1001",
      severity: "error",
      message: "'site' in kontract.json holds what Vite makes the page from, and Vite empties it.",
      hint: "Give the page that is built a folder of its own.",
    });
  }

  async #refresh(): Promise<string> {
    this.#isStale = false;
    const diagnostics = new Diagnostics();
    const analysis = await analyze({
      root: this.#root,
      pages: this.#entries(),
      hosts: [],
      cache: this.#cache,
      diagnostics,
      checkAll: false,
      time: (_stage, work) => work(),
    });
    this.#checkSite(diagnostics);
    if (analysis === null || diagnostics.failed) return formatDiagnostics(diagnostics.list());
    this.#client = emitClient(analysis.manifest, await this.#options.pins(this.#root));
    this.#analysis = analysis;
    this.#first ??= Object.values(this.#client).join("\n");
    return "";
  }

  /** The file that an import leads to; null for what is Vite's, `problems` of an app that cannot be built any more. */
  async resolve(
    id: string,
    importer: string | undefined,
    kind: string,
  ): Promise<string | { readonly problems: string } | null> {
    if (id === "@/client") return CLIENT;
    if (importer?.startsWith(PREFIX) && id.startsWith("./")) return PREFIX + id.slice(2);
    if (importer === undefined || id.startsWith("\0")) return null;
    const found = this.#resolve(id, importer, kind);
    // A package that the front end has not imported before.
    if (found !== null || !this.#isStale || /^[./]/.test(id)) return found;
    const problems = await this.refresh();
    return problems === "" ? this.#resolve(id, importer, kind) : { problems };
  }

  #resolve(id: string, importer: string, kind: string): string | null {
    const analysis = this.#analysis;
    if (analysis === null) return null;
    const from = importer.startsWith(PREFIX) ? analysis.graphFile : importer.replace(/\?.*$/, "");
    // What the graph does not know is Vite's: style sheets, images, its own modules.
    return clientFile(analysis.graph, id, from, kind);
  }

  /** True for a file of an npm package. */
  isPackaged(file: string): boolean {
    return this.graph?.isPackaged(file) === true;
  }

  /** A module's text, why there is none, or null where Vite reads it itself. */
  async load(
    id: string,
  ): Promise<string | { readonly refuse: string } | { readonly problems: string } | null> {
    if (id.startsWith(PREFIX)) return this.#client[id.slice(PREFIX.length)] ?? "";
    if (this.#analysis === null || id.startsWith("\0")) return null;
    const file = id.replace(/\?.*$/, "");
    // Whether a module is server code is known once it has been looked at.
    if (this.#isStale && this.#isNew(file)) {
      const problems = await this.refresh();
      if (problems !== "") return { problems };
    }
    return this.#load(this.#analysis, file);
  }

  #isNew(file: string): boolean {
    return CODE.test(file) && file.startsWith(this.#root + sep) && !this.isPackaged(file) &&
      this.graph?.knows(file) === false;
  }

  #load(analysis: Analysis, file: string): string | { readonly refuse: string } | null {
    const verdict = clientGuard(analysis)(file);
    if (verdict !== null) return "stub" in verdict ? verdict.stub : verdict;
    return isFile(file) ? null : analysis.graph.read(file) ?? null;
  }
}

/**
 * Resolves when nothing has been written to a file for a moment. Editors empty a file before they write it, and
 * where both come at once, Vite's watcher tells of the first alone.
 */
async function settled(file: string): Promise<void> {
  for (let before = timeAndSize(file);;) {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const now = timeAndSize(file);
    if (now === before) return;
    before = now;
  }
}

/** HTML files below a folder, without what was built, installed or is hidden. */
function pagesIn(folder: string, built: ReadonlySet<string>): readonly string[] {
  const found: string[] = [];
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    if (!isDirectory) {
      if (name.endsWith(".html")) found.push(path);
    } else if (!/^(?:\..*|node_modules|dist)$/.test(name) && !built.has(path)) {
      found.push(...pagesIn(path, built));
    }
  }
  return found.sort();
}

/** The folder at or above `folder` that holds an app: where Kontract's files are, else where Deno's is. */
function appFolder(folder: string): string {
  const marks = [["kontract.json", "kontract.lock.json"], ["deno.json", "deno.jsonc"]];
  return marks.map((names) => nearest(folder, names)).find((found) => found !== null) ?? folder;
}

function nearest(folder: string, names: readonly string[]): string | null {
  for (let at = folder;; at = resolve(at, "..")) {
    if (names.some((name) => isFile(resolve(at, name)))) return at;
    if (resolve(at, "..") === at) return null;
  }
}
