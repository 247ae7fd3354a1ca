/**
 * The Vite plugin, but for where the keys to pin come from: see `cli/vite.ts`.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { locatedMessage } from "./boundary.ts";
import { appPath } from "./project.ts";
import { ViteApp } from "./vite_app.ts";
import { viteJsx } from "./vite_jsx.ts";
import { type DepsOptimizer, packageResolver, preparedId } from "./vite_packages.ts";

/** Options of {@link kontract}. */
export interface KontractPluginOptions {
  /** The app's folder; Vite's root or the next folder above it with a `kontract.json` where missing. */
  readonly root?: string;
  /**
   * Public keys of the gateway that the client pins, base64url (`kontract keys`). Where missing, those that
   * `kontract build` pins: of `KONTRACT_ROOT_PIN`, `KONTRACT_SECRET`, or the secret that `dev` and `start` use.
   */
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
  /** Where Vite keeps what it made of packages. */
  readonly cacheDir?: string;
  /** Where a build goes to. */
  readonly build?: {
    readonly outDir?: string;
    readonly emptyOutDir?: boolean | null;
    /** Which files become part of what names them. */
    readonly assetsInlineLimit?: number | InlineTest;
    /** What a build begins with. */
    readonly rollupOptions?: { readonly input?: unknown };
    /** The same, from version 8 on. */
    readonly rolldownOptions?: { readonly input?: unknown };
  };
  /** What the dev server may give. */
  readonly server?: { readonly fs?: { readonly deny?: readonly string[] } };
  /** How Vite reads JSX, from its version 8 on. */
  readonly oxc?: unknown;
  /** How it read JSX before. */
  readonly esbuild?: unknown;
}

/** True for a file that becomes part of what names it; undefined leaves that to Vite. */
export type InlineTest = (file: string, content: Uint8Array) => boolean | undefined;

/** A file of a build. */
export interface BuiltFile {
  /** What it was made from, for an asset; relative to Vite's root. */
  readonly originalFileNames?: readonly string[];
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
    /** What prepares packages. */
    readonly depsOptimizer?: DepsOptimizer;
  };
}

/** The plugin, as Vite takes it. */
export interface KontractPlugin {
  /** The plugin's name in messages. */
  readonly name: "kontract";
  /** Before other plugins: decorators of a backend module must not reach them. */
  readonly enforce: "pre";
  /**
   * Looks at the app; tells Vite of its JSX, its packages and its `"site"`; lets the dev server serve the package's
   * own sources and Deno's packages, and nothing of `.kontract`. Puts the plugin into the bundles of workers, which
   * Vite makes without it.
   */
  config(this: ConfigContext, config: ViteConfig): Promise<Record<string, unknown>>;
  /** Lets Vite look for no packages beforehand where it has no way to find them. */
  configResolved(config: { readonly optimizeDeps?: { readonly include?: string[] } }): void;
  /** Watches the backend sources: what a hook loads, and what lies outside its root, Vite does not. */
  configureServer(server: { readonly watcher: { add(path: string): unknown } }): void;
  /** Analyses the app; its problems end the build. */
  buildStart(this: HookContext): Promise<void>;
  /** Takes `@/client`, the modules it stands for, and packages, wherever Deno keeps them. */
  resolveId(
    this: HookContext,
    id: string,
    importer?: string,
    options?: { readonly scan?: boolean; readonly kind?: string },
  ): Promise<string | null>;
  /** Gives a backend module's stubs, and refuses server-only modules. */
  load(this: HookContext, id: string): Promise<string | null>;
  /** Ends a build that publishes a file of the server's as it is: what a page, a style sheet or a URL names. */
  generateBundle(
    this: HookContext,
    options: unknown,
    files: Readonly<Record<string, BuiltFile>>,
  ): void;
  /** Reloads pages where a function's signature changed, and only then. */
  hotUpdate(this: HookContext, update: HotUpdate): Promise<HotModule[] | undefined>;
}

/** What the dev server of Vite itself gives to nobody; a plugin that adds to it has to say all of it. */
export const VITE_DENIES: readonly string[] = [
  ".env",
  ".env.*",
  "*.{crt,pem,key,p12,pfx,cer,der}",
  ".npmrc",
  ".yarnrc.yml",
  "**/.git/**",
];

/** The app's secret and its database lie there; what Vite keeps does, too. */
const OWN_DENIES: readonly string[] = [
  "**/.kontract/!(node_modules)",
  "**/.kontract/!(node_modules)/**",
];

/** Makes the plugin; `pinsOf` gives the public keys to pin of the app in a folder. */
export function vitePlugin(
  options: KontractPluginOptions,
  pinsOf: (root: string) => Promise<readonly string[]>,
): KontractPlugin {
  const { root, pins } = options;
  const app = new ViteApp({
    root,
    pins: pins === undefined ? pinsOf : () => Promise.resolve(pins),
  });
  const plugin: KontractPlugin = {
    name: "kontract",
    enforce: "pre",
    async config(given) {
      const { root = ".", worker } = given;
      app.setRoot(resolve(root), inputsOf(given));
      // Problems are reported where the build starts: the dev server shows them on the page.
      await app.refresh();
      return settings(app, given, this?.meta?.viteVersion, {
        worker: { plugins: () => [forWorkers(plugin), worker?.plugins?.() ?? []] },
      });
    },
    configResolved(config) {
      // What lies outside of node_modules Vite cannot prepare beforehand, and says so at each start.
      const { include } = config.optimizeDeps ?? {};
      const packages = app.graph?.packageFolders() ?? [];
      const isFound = packages.some((folder) => /[\\/]node_modules[\\/]/.test(folder));
      if (!isFound && packages.length > 0) include?.splice(0);
    },
    configureServer: ({ watcher }) => {
      watcher.add(app.sourceFolder);
    },
    async buildStart() {
      const problems = await app.begin();
      if (problems !== "") this.error(problems);
    },
    async resolveId(id, importer, { scan = false, kind = "" } = {}) {
      const optimizer = scan ? undefined : this.environment?.depsOptimizer;
      if (importer !== undefined && optimizer?.isOptimizedDepFile(importer) === true) return null;
      const found = await app.resolve(id, importer, kind);
      if (found !== null && typeof found !== "string") return this.error(found.problems);
      return found !== null && optimizer !== undefined && app.isPackaged(found)
        ? preparedId(optimizer, id, found)
        : found;
    },
    async load(id) {
      const found = await app.load(id);
      if (found === null || typeof found === "string") return found;
      return this.error("refuse" in found ? found.refuse : found.problems);
    },
    generateBundle(_options, files) {
      const names = Object.values(files).flatMap((one) => one.originalFileNames ?? []);
      const found = names.map((name) => app.inRoot(name)).find((file) => app.isServers(file));
      if (found !== undefined) this.error(locatedMessage(appPath(app.project, found)));
    },
    async hotUpdate(update) {
      if (!app.isSource(update.file)) {
        app.changed(update.file);
        return undefined;
      }
      const problems = await app.edited(update.file);
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

/** Pages and scripts that Vite's configuration names: one, a list, or by names of their own. */
function inputsOf({ build }: ViteConfig): readonly string[] {
  return [build?.rolldownOptions?.input, build?.rollupOptions?.input].flatMap((input) => {
    if (typeof input === "string") return [input];
    return typeof input === "object" && input !== null ? Object.values(input) : [];
  }).filter((path) => typeof path === "string");
}

/** What the plugin adds to Vite's configuration. */
function settings(
  app: ViteApp,
  given: ViteConfig,
  viteVersion: string | undefined,
  more: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { compilerOptions, root, site } = app.project;
  const exclude = ["@kontract/kontract", "@/client"];
  const isRolldown = Number.parseInt(viteVersion ?? "") >= 8;
  return {
    ...(given.cacheDir === undefined
      ? { cacheDir: join(root, ".kontract", "node_modules", ".vite") }
      : {}),
    build: {
      ...(site === null || given.build?.outDir !== undefined
        ? {}
        : { outDir: site, emptyOutDir: given.build?.emptyOutDir ?? true }),
      assetsInlineLimit: inlineTest(app, given.build?.assetsInlineLimit),
    },
    server: {
      fs: {
        allow: [resolve(given.root ?? "."), ...app.folders()],
        deny: [...(given.server?.fs?.deny === undefined ? VITE_DENIES : []), ...OWN_DENIES],
      },
    },
    ...viteJsx(compilerOptions, given, viteVersion),
    optimizeDeps: isRolldown
      ? { exclude, entries: [], rolldownOptions: { plugins: [packageResolver(() => app.graph)] } }
      : { exclude, noDiscovery: true },
    ...more,
  };
}

/** As `given` says, but for the server's files: of one that is part of another file no output tells. */
function inlineTest(app: ViteApp, given: number | InlineTest | undefined): InlineTest {
  return (file, content) => {
    if (app.isServers(file)) return false;
    return typeof given === "number" ? content.length < given : given?.(file, content);
  };
}

/** The plugin in a worker's bundle, where the app has been looked at already. */
function forWorkers(plugin: KontractPlugin): Partial<KontractPlugin> {
  const { name, enforce, resolveId, load, generateBundle } = plugin;
  return { name, enforce, resolveId, load, generateBundle };
}
