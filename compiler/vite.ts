/**
 * The Vite plugin: backend modules are stubs in client code, and `@/client` is the app's client.
 *
 * ```ts ignore
 * // vite.config.ts; run Vite with Deno: `deno run -A npm:vite@8 --configLoader native`
 * import { kontract } from "@kontract/kontract/vite";
 * export default { plugins: [kontract({ pins: ["…"] })] };
 * ```
 *
 * The load hook is the wall between server and client: server code that the client reaches stops the
 * build. A change of a backend module's types reloads the page, a change inside its functions does not.
 * Writes `.kontract/` only; the lock file is the build's (`kontract build`).
 *
 * @module
 */
import { resolve, sep } from "node:path";
import { type Analysis, AnalysisCache, analyze } from "./analysis.ts";
import { Diagnostics, formatDiagnostics } from "./diagnostic.ts";
import { emitClient } from "./emit/client.ts";
import { isFile } from "./file_texts.ts";
import { clientGuard } from "./front_end.ts";
import { appPath, readProject } from "./project.ts";
import { viteJsx } from "./vite_jsx.ts";

/** Options of {@link kontract}. */
export interface KontractPluginOptions {
  /** The app's folder; Vite's root or the next folder above it with a `kontract.json` where missing. */
  readonly root?: string;
  /** Public keys of the gateway that the client pins, base64url (`kontract keys`). */
  readonly pins?: readonly string[];
}

/** A module as Vite's dev server knows it. */
export interface HotModule {
  /** Its resolved id; null for a module without one. */
  readonly id: string | null;
}

/** What {@link KontractPlugin.hotUpdate} gets from Vite. */
export interface HotUpdate {
  /** Path of the file that changed. */
  readonly file: string;
  /** Modules made from it. */
  readonly modules: HotModule[];
}

/** What the plugin reads of Vite's configuration. */
export interface ViteConfig {
  /** Vite's root. */
  readonly root?: string;
  /** Bundles of workers. */
  readonly worker?: { readonly plugins?: () => unknown };
  /** How Vite reads JSX, from its version 8 on. */
  readonly oxc?: unknown;
  /** How it read JSX before. */
  readonly esbuild?: unknown;
}

/** What {@link KontractPlugin.config} is called on. */
export interface ConfigContext {
  /** Facts of the Vite that calls. */
  readonly meta?: { readonly viteVersion?: string };
}

/** What a hook is called on. */
export interface HookContext {
  /** Ends the build with a message. */
  error(message: string): never;
  /** The dev server's environment. */
  readonly environment?: {
    /** The modules it has loaded. */
    readonly moduleGraph?: { getModuleById(id: string): HotModule | undefined };
    /** The channel to open pages. */
    readonly hot?: { send(payload: unknown): void };
  };
}

/** The plugin, as Vite takes it. */
export interface KontractPlugin {
  /** The plugin's name in messages. */
  readonly name: "kontract";
  /** Before other plugins: decorators of a backend module must not reach them. */
  readonly enforce: "pre";
  /**
   * Looks at the app; tells Vite of its JSX; lets the dev server serve the package's own sources and Deno's packages. Puts the
   * plugin into the bundles of workers, which Vite makes without it.
   */
  config(this: ConfigContext, config: ViteConfig): Promise<Record<string, unknown>>;
  /** Watches the backend sources: what a hook loads, and what lies outside its root, Vite does not. */
  configureServer(server: { readonly watcher: { add(path: string): unknown } }): void;
  /** Analyses the app; its problems end the build. */
  buildStart(this: HookContext): Promise<void>;
  /** Takes `@/client` and the modules it stands for. */
  resolveId(id: string, importer?: string): string | null;
  /** Gives a backend module's stubs, and refuses server-only modules. */
  load(this: HookContext, id: string): string | null;
  /** Reloads pages where a function's signature changed, and only then. */
  hotUpdate(this: HookContext, update: HotUpdate): Promise<HotModule[] | undefined>;
}

/** Ids of the client module and its parts. */
const PREFIX = "\0kontract:";
const CLIENT = `${PREFIX}client.js`;

/** Makes the plugin. */
export function kontract(options: KontractPluginOptions = {}): KontractPlugin {
  const app = new ViteApp(options);
  const plugin: KontractPlugin = {
    name: "kontract",
    enforce: "pre",
    async config(given) {
      const { root = ".", worker } = given;
      app.setRoot(resolve(root));
      // Problems are reported where the build starts: the dev server shows them on the page.
      await app.refresh();
      return {
        server: { fs: { allow: [resolve(root), ...app.folders()] } },
        ...viteJsx(app.compilerOptions(), given, this?.meta?.viteVersion),
        optimizeDeps: { exclude: ["@kontract/kontract", "@/client"], noDiscovery: true },
        worker: { plugins: () => [forWorkers(plugin), worker?.plugins?.() ?? []] },
      };
    },
    configureServer: ({ watcher }) => {
      watcher.add(app.sourceFolder);
    },
    async buildStart() {
      const problems = await app.refresh();
      if (problems !== "") this.error(problems);
    },
    resolveId: (id, importer) => app.resolve(id, importer),
    load(id) {
      const found = app.load(id);
      if (found === null || typeof found === "string") return found;
      return this.error(found.refuse);
    },
    async hotUpdate(update) {
      if (!app.isSource(update.file)) return undefined;
      const problems = await app.refresh();
      if (problems !== "") {
        this.environment?.hot?.send({ type: "error", err: { message: problems, stack: "" } });
        return [];
      }
      if (!app.isNews(this.environment)) return app.isStub(update.file) ? [] : undefined;
      const graph = this.environment?.moduleGraph;
      const generated = app.parts().flatMap((id) => graph?.getModuleById(id) ?? []);
      return [...update.modules, ...generated];
    },
  };
  return plugin;
}

/** The plugin in a worker's bundle, where the app has been looked at already. */
function forWorkers({ name, enforce, resolveId, load }: KontractPlugin): Partial<KontractPlugin> {
  return { name, enforce, resolveId, load };
}

/** One app under Vite: its last good analysis. */
class ViteApp {
  readonly #options: KontractPluginOptions;
  readonly #cache: AnalysisCache = new AnalysisCache();
  #root: string;
  #analysis: Analysis | null = null;
  #client: Readonly<Record<string, string>> = {};
  /** The client's text as each environment last had it, and as all had it at the start. */
  readonly #seen: WeakMap<object, string> = new WeakMap();
  #first: string | null = null;
  #running: Promise<string> = Promise.resolve("");

  constructor(options: KontractPluginOptions) {
    this.#options = options;
    this.#root = resolve(options.root ?? ".");
  }

  setRoot(viteRoot: string): void {
    if (this.#options.root === undefined) this.#root = appFolder(viteRoot);
  }

  /** `compilerOptions` of the app's configuration, also of one that cannot be built. */
  compilerOptions(): Readonly<Record<string, unknown>> {
    return readProject(this.#root, new Diagnostics()).compilerOptions;
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

  isStub(file: string): boolean {
    return this.#analysis?.discovery.modules.get(file)?.kind === "boundary";
  }

  /** Looks at the sources again; the problems found as text, empty where there are none. */
  refresh(): Promise<string> {
    this.#running = this.#running.then(() => this.#refresh());
    return this.#running;
  }

  async #refresh(): Promise<string> {
    const diagnostics = new Diagnostics();
    const analysis = await analyze({
      root: this.#root,
      hosts: [],
      cache: this.#cache,
      diagnostics,
      checkWeb: false,
      time: (_stage, work) => work(),
    });
    if (analysis === null || diagnostics.failed) return formatDiagnostics(diagnostics.list());
    this.#analysis = analysis;
    this.#client = emitClient(analysis.manifest, this.#options.pins ?? []);
    this.#first ??= Object.values(this.#client).join("\n");
    return "";
  }

  resolve(id: string, importer: string | undefined): string | null {
    if (id === "@/client") return CLIENT;
    if (importer?.startsWith(PREFIX) && id.startsWith("./")) return PREFIX + id.slice(2);
    const analysis = this.#analysis;
    if (analysis === null || importer === undefined || id.startsWith("\0")) return null;
    const from = importer.startsWith(PREFIX) ? analysis.graphFile : importer.replace(/\?.*$/, "");
    const found = analysis.graph.resolve(id, from, "browser");
    // What the graph does not know is Vite's: style sheets, images, its own modules.
    return found.kind === "file" ? found.file : null;
  }

  load(id: string): string | { readonly refuse: string } | null {
    if (id.startsWith(PREFIX)) return this.#client[id.slice(PREFIX.length)] ?? "";
    const analysis = this.#analysis;
    if (analysis === null || id.startsWith("\0")) return null;
    const file = id.replace(/\?.*$/, "");
    const verdict = clientGuard(analysis)(file);
    if (verdict !== null && "refuse" in verdict) {
      return { refuse: `${appPath(analysis.project, file)}: ${verdict.refuse}` };
    }
    if (verdict !== null) return verdict.stub;
    return analysis.graph.files().has(file) && !isFile(file)
      ? analysis.graph.read(file) ?? null
      : null;
  }
}

/** The folder at or above `folder` that holds an app. */
function appFolder(folder: string): string {
  for (let at = folder;; at = resolve(at, "..")) {
    const marks = ["kontract.json", "kontract.lock.json"];
    if (marks.some((name) => isFile(resolve(at, name)))) return at;
    if (resolve(at, "..") === at) return folder;
  }
}
