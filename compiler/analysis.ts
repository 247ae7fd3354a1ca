/**
 * Sources → manifest: everything of a build that only reads.
 *
 * Order: the graph, tables (which need no types of `env.storage`), the program with these types,
 * discovery, lowering, the manifest, the boundary. Each stage reports what it finds; a later one runs
 * as long as it can say something true.
 *
 * @module
 */
import { dirname, join, sep } from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import type { Manifest, SourceSpan } from "../_internal/manifest.ts";
import { checkBoundary } from "./boundary.ts";
import { type Diagnostic, Diagnostics } from "./diagnostic.ts";
import { digest } from "./digest.ts";
import { discover, type Discovery } from "./discover.ts";
import { tableOf } from "./discover_tables.ts";
import { clientTypes } from "./emit/client.ts";
import { emitStorageTypes } from "./emit/storage_types.ts";
import { PACKAGE_FILES } from "./emit/worker.ts";
import { erasedExports, type TextRange } from "./erased_exports.ts";
import { fileKeys } from "./file_keys.ts";
import { KontractSymbols } from "./kontract_symbols.ts";
import { EMPTY_LOCK, formatLock, Lock, LockError, type LockFile, parseLock } from "./lock.ts";
import { Lowering } from "./lower/mod.ts";
import { makeManifest } from "./manifest.ts";
import { isStackOverflow, reportNesting } from "./nesting.ts";
import { writeFile } from "./output.ts";
import { movedSpan, outlineOf } from "./outline.ts";
import type { ProgramCache } from "./program.ts";
import { appPath, listFiles, type Project, readProject, sourceFiles } from "./project.ts";
import { GraphError, type ModuleGraph } from "./resolve.ts";
import { SERVER_MODULE } from "./server_definition.ts";
import { placeOf, Reporter } from "./source_place.ts";

/** Name of the lock file in the app's folder. */
export const LOCK_NAME = "kontract.lock.json";

/** Parts of a discovery that outlive its program. */
export type AppModules = Pick<Discovery, "middleware" | "modules" | "server">;

/** What an analysis found. */
export interface Analysis {
  readonly project: Project;
  readonly graph: ModuleGraph;
  readonly graphFile: string;
  readonly manifest: Manifest;
  readonly discovery: AppModules;
  /** Places of exported types, for those who bundle module by module. */
  readonly erased: ReadonlyMap<string, readonly TextRange[]>;
  readonly lock: LockFile;
  readonly lockChanged: boolean;
  /** Routes that the lock did not have before. */
  readonly newRoutes: readonly string[];
  /** Absolute file of the front end's script, or null. */
  readonly webEntry: string | null;
  /** Folder or URL of the package, as a file name with a separator at its end. */
  readonly packageFolder: string;
}

/** Options of {@link analyze}. */
export interface AnalyzeOptions {
  readonly root: string;
  readonly hosts: readonly ("workers" | "deno")[];
  readonly cache: ProgramCache;
  readonly diagnostics: Diagnostics;
  /** Routes that the running process added to the lock; see {@link Lock}. */
  readonly freshRoutes?: ReadonlySet<string>;
  /** Type problems of the front end count too. */
  readonly checkWeb: boolean;
  /** True where the server is made module by module: find {@link Analysis.erased}. */
  readonly modules?: boolean;
  readonly time: <T>(stage: string, work: () => T) => T;
}

const WEB_ENTRIES = ["main.ts", "main.tsx", "main.js", "main.jsx"];

/** Analyzes an app; null where nothing can be built, with the reasons in `diagnostics`. */
export async function analyze(options: AnalyzeOptions): Promise<Analysis | null> {
  try {
    return await analyzeApp(options);
  } catch (error) {
    if (!isStackOverflow(error)) throw error;
    const { source } = await readProject(options.root, new Diagnostics());
    await reportNesting(options.root, await listFiles(source), options.diagnostics);
    return null;
  }
}

async function analyzeApp(options: AnalyzeOptions): Promise<Analysis | null> {
  const { diagnostics, time } = options;
  const project = await readProject(options.root, diagnostics);
  const sources = await sourceFiles(project);
  const webEntry = await firstFile(WEB_ENTRIES.map((name) => join(project.web, name)));
  if (sources.length === 0) {
    diagnostics.add({
      code: "KT1001",
      severity: "error",
      message: `There are no source files in '${appPath(project, project.source)}'.`,
      hint: 'Put backend functions there, or set "source" in kontract.json.',
    });
    return null;
  }
  const graphFile = join(project.root, ".kontract", "graph.ts");
  const graph = await time(
    "resolve",
    () => graphOf(project, graphFile, sources, webEntry, options),
  );
  if (graph === null) return null;
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
  const lock = await readLock(project, diagnostics);
  const stage = new Stage(options, project, graph, sources, webEntry, entry.file);
  const typesFile = join(project.root, ".kontract", "types.d.ts");
  const storageTypes = await stage.storageTypes(typesFile);
  await writeFile(typesFile, storageTypes);
  const found = await stage.run(new Map([[typesFile, storageTypes]]), typesFile, lock);
  if (found === null) return null;
  return {
    project,
    graph,
    graphFile,
    webEntry,
    packageFolder: dirname(entry.file) + sep,
    ...found,
  };
}

async function firstFile(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) {
    if ((await Deno.stat(path).catch(() => null))?.isFile === true) return path;
  }
  return null;
}

async function graphOf(
  project: Project,
  graphFile: string,
  sources: readonly string[],
  webEntry: string | null,
  options: AnalyzeOptions,
): Promise<ModuleGraph | null> {
  const specifiers = [
    "@kontract/kontract",
    "@kontract/kontract/client",
    "@kontract/kontract/codec",
    ...options.hosts.map((host) => `@kontract/kontract/${host}`),
    ...[...sources, ...(webEntry === null ? [] : [webEntry])].map((file) =>
      `../${appPath(project, file)}`
    ),
  ];
  const read = async (): Promise<ModuleGraph> => {
    const all = [...specifiers, ...remoteFiles.get(options.cache) ?? []];
    const text = all.map((one) => `import ${JSON.stringify(one)};\n`).join("");
    await writeFile(graphFile, text);
    return await options.cache.graphs.graph(graphFile, text, project.root);
  };
  try {
    const graph = await read();
    const unreached = unreachedFiles(graph, graphFile);
    if (unreached.length === 0) return graph;
    remoteFiles.set(options.cache, unreached);
    return await read();
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    // Deno's own parser has ended the process.
    if (/overflowed its stack/.test(error.message)) {
      await reportNesting(project.root, await listFiles(project.source), options.diagnostics);
      return null;
    }
    options.diagnostics.add({ code: "KT1002", severity: "error", message: error.message });
    return null;
  }
}

/** What {@link unreachedFiles} found for each builder, so that a rebuild asks Deno once. */
const remoteFiles: WeakMap<ProgramCache, readonly string[]> = new WeakMap();

/**
 * Files of a package from a registry that generated code imports and no entry point reaches: Deno fetches
 * and names a remote file only where something imports it. Of a package on disk every file is there.
 */
function unreachedFiles(graph: ModuleGraph, graphFile: string): readonly string[] {
  const entry = graph.resolve("@kontract/kontract", graphFile, "types");
  const url = entry.kind === "file" ? graph.files().get(entry.file) : undefined;
  if (entry.kind !== "file" || url === undefined || url.startsWith("file:")) return [];
  const missing = PACKAGE_FILES.filter((file) => !graph.has(join(dirname(entry.file), file)));
  return missing.map((file) => new URL(file, url).href);
}

async function readLock(project: Project, diagnostics: Diagnostics): Promise<LockFile> {
  const text = await Deno.readTextFile(join(project.root, LOCK_NAME)).catch(() => null);
  if (text === null) return EMPTY_LOCK;
  try {
    return parseLock(text);
  } catch (error) {
    if (!(error instanceof LockError)) throw error;
    diagnostics.add({
      code: "KT1005",
      severity: "error",
      message: `${LOCK_NAME} cannot be used: ${error.message}.`,
      hint: error.hint,
    });
    return EMPTY_LOCK;
  }
}

/** What an app declares, without places in its sources that the emitters do not need. */
interface Declared {
  readonly manifest: Omit<Manifest, "build">;
  readonly discovery: AppModules;
  readonly lock: LockFile;
  readonly lockChanged: boolean;
}

/** The last declarations of each builder, with the outlines (`key`) and texts that they were read from. */
const declarations: WeakMap<
  ProgramCache,
  Declared & { readonly key: string; readonly sources: ReadonlyMap<string, ts.SourceFile> }
> = new WeakMap();

/** The stages over one graph. */
class Stage {
  readonly #options: AnalyzeOptions;
  readonly #project: Project;
  readonly #graph: ModuleGraph;
  readonly #sources: readonly string[];
  readonly #webEntry: string | null;
  readonly #entry: string;

  constructor(
    options: AnalyzeOptions,
    project: Project,
    graph: ModuleGraph,
    sources: readonly string[],
    webEntry: string | null,
    entry: string,
  ) {
    this.#options = options;
    this.#project = project;
    this.#graph = graph;
    this.#sources = sources;
    this.#webEntry = webEntry;
    this.#entry = entry;
  }

  #program(roots: readonly string[], overlay: ReadonlyMap<string, string>): Promise<ts.Program> {
    return this.#options.cache.program({
      graph: this.#graph,
      roots: [...this.#sources, ...roots],
      overlay,
      graphFile: join(this.#project.root, ".kontract", "graph.ts"),
      aliases: new Map([
        ["@kontract/kontract", this.#entry],
        ["@/client", join(this.#project.root, ".kontract", "client.d.ts")],
      ]),
      compilerOptions: this.#project.compilerOptions,
    });
  }

  /** The text that types `env.storage`; made from a program that may have an older one. */
  async storageTypes(typesFile: string): Promise<string> {
    const old = await Deno.readTextFile(typesFile).catch(() => emitStorageTypes([]));
    const program = await this.#options.time(
      "parse",
      () => this.#program([typesFile, ...this.#web()], new Map([[typesFile, old]])),
    );
    const kontract = new KontractSymbols(
      program.getTypeChecker(),
      program.getSourceFile(this.#entry),
    );
    // Problems are reported by the stage after this one, which sees the same classes.
    const quiet = new Reporter(
      this.#project.root,
      new Diagnostics(),
    );
    const tables = this.#ownFiles(program).flatMap((source) =>
      source.statements.filter(ts.isClassDeclaration).flatMap((node) => {
        const table = tableOf(node, kontract, quiet);
        return table === null ? [] : [{
          name: table.name,
          className: table.className,
          module: appPath(this.#project, table.file),
          primkey: table.primkey,
          defaults: table.fields.filter((f) => f.default !== undefined).map((f) => f.name),
        }];
      })
    );
    return emitStorageTypes(tables);
  }

  #web(): readonly string[] {
    return this.#webEntry === null ? [] : [this.#webEntry];
  }

  /** The app's own modules: not the package's, not npm's, not generated ones. */
  #ownFiles(program: ts.Program): readonly ts.SourceFile[] {
    const { root } = this.#project;
    const generated = [join(root, ".kontract") + sep, join(root, "dist") + sep];
    return program.getSourceFiles().filter((source) =>
      source.fileName.startsWith(root + sep) && !source.isDeclarationFile &&
      !source.fileName.includes(`${sep}node_modules${sep}`) &&
      !generated.some((folder) => source.fileName.startsWith(folder))
    );
  }

  async run(
    overlay: ReadonlyMap<string, string>,
    typesFile: string,
    lockFile: LockFile,
  ): Promise<
    | Pick<
      Analysis,
      "manifest" | "discovery" | "lock" | "lockChanged" | "newRoutes" | "erased"
    >
    | null
  > {
    const { time } = this.#options;
    const program = await time(
      "program",
      () => this.#program([typesFile, ...this.#web()], overlay),
    );
    const own = this.#ownFiles(program);
    const inSource = own.filter((s) => s.fileName.startsWith(this.#project.source + sep));
    if (this.#syntax(program, own)) return null;
    const keys = time("keys", () => fileKeys(program, own, this.#options.cache));
    const { checks } = this.#options.cache;
    await checks.load(this.#project.root);
    time("check", () => this.#types(program, inSource, keys));
    await checks.save((file) => program.getSourceFile(file) !== undefined);
    const declared = time("declare", () => this.#declared(program, own, lockFile));
    const manifest: Manifest = {
      ...declared.manifest,
      build: time("hash", () => this.#buildHash(declared.manifest, own)),
    };
    if (this.#options.checkWeb) await this.#checkWeb(overlay, typesFile, manifest, inSource);
    return {
      manifest,
      discovery: declared.discovery,
      lock: declared.lock,
      newRoutes: manifest.routes.map((route) => route.name)
        .filter((name) => !Object.hasOwn(lockFile.routes, name)),
      lockChanged: declared.lockChanged,
      erased: time("erase", () => this.#erased(program, own, keys)),
    };
  }

  /** What the app declares: as before while all outlines are, with places moved. */
  #declared(
    program: ts.Program,
    own: readonly ts.SourceFile[],
    lockFile: LockFile,
  ): Declared {
    const { cache } = this.#options;
    const sources = new Map(own.map((source) => [source.fileName, source]));
    const inSource = (file: string): boolean => file.startsWith(this.#project.source + sep);
    const key = digest([
      this.#project.name,
      JSON.stringify(lockFile),
      ...program.getSourceFiles().flatMap((source) => [
        source.fileName,
        sources.has(source.fileName) && inSource(source.fileName)
          ? outlineOf(source).key
          : (source as { readonly version?: string }).version ?? "",
      ]),
    ], 32);
    const kept = declarations.get(cache);
    if (kept?.key === key) {
      const changed = own.filter((source) => kept.sources.get(source.fileName) !== source);
      const inlined = new Set(kept.discovery.middleware.map((one) => one.file));
      if (!changed.some((source) => inlined.has(source.fileName))) {
        const moved = this.#moved(kept, changed);
        declarations.set(cache, { ...moved, sources });
        return moved;
      }
    }
    declarations.delete(cache);
    const before = this.#options.diagnostics.list().length;
    const found = this.#declare(program, own, lockFile);
    const quiet = this.#options.diagnostics.list().length === before;
    if (quiet && !found.lockChanged) declarations.set(cache, { ...found, key, sources });
    return found;
  }

  #moved<T extends Declared & { readonly sources: ReadonlyMap<string, ts.SourceFile> }>(
    kept: T,
    changed: readonly ts.SourceFile[],
  ): T {
    if (changed.length === 0) return kept;
    const fresh = new Map(
      changed.map((source) => [appPath(this.#project, source.fileName), source]),
    );
    const move = <V extends { readonly source: SourceSpan }>(one: V): V => {
      const after = fresh.get(one.source.file);
      const before = after === undefined ? undefined : kept.sources.get(after.fileName);
      if (after === undefined || before === undefined) return one;
      return { ...one, source: movedSpan(one.source, before, after) };
    };
    const { manifest } = kept;
    const { routes, tables, errors, execs } = manifest;
    return {
      ...kept,
      manifest: {
        ...manifest,
        routes: routes.map(move),
        tables: tables.map(move),
        errors: errors.map(move),
        execs: execs.map(move),
      },
    };
  }

  #declare(program: ts.Program, own: readonly ts.SourceFile[], lockFile: LockFile): Declared {
    const { diagnostics, time } = this.#options;
    const reporter = new Reporter(this.#project.root, diagnostics);
    const kontract = new KontractSymbols(
      program.getTypeChecker(),
      program.getSourceFile(this.#entry),
    );
    const discovery = time(
      "discover",
      () => discover(own, kontract, reporter, join(this.#project.source, SERVER_MODULE)),
    );
    const lock = new Lock(lockFile, this.#options.freshRoutes);
    const tables = new Set(discovery.tables.map((table) => table.symbol));
    const lowering = new Lowering({ program, kontract, lock, reporter, tables });
    const execLock = new Lock(EMPTY_LOCK);
    const execLowering = new Lowering({ program, kontract, lock: execLock, reporter, tables });
    const manifest = time("lower", () =>
      makeManifest({
        app: this.#project.name,
        root: this.#project.root,
        discovery,
        lowering,
        execLowering,
        lock,
        reporter,
      }));
    if (this.#webEntry !== null) {
      checkBoundary(this.#webEntry, {
        program,
        graph: this.#graph,
        modules: discovery.modules,
        routes: manifest.routes,
        errors: new Set(discovery.errors.map((error) => error.symbol)),
        reporter,
      });
    }
    const { middleware, modules, server } = discovery;
    const next = lock.finish();
    const lockChanged = formatLock(next) !== formatLock(lockFile);
    return { manifest, discovery: { middleware, modules, server }, lock: next, lockChanged };
  }

  #erased(
    program: ts.Program,
    own: readonly ts.SourceFile[],
    keys: ReadonlyMap<string, string>,
  ): ReadonlyMap<string, readonly TextRange[]> {
    const { cache, modules } = this.#options;
    const ranges = new Map<string, readonly TextRange[]>();
    if (modules !== true) return ranges;
    for (const source of own) {
      if (!/\bexport\b\s*(?:\{|default\b)/.test(source.text)) continue;
      const { fileName } = source;
      const key = keys.get(fileName) ?? "";
      let known = cache.erased.get(fileName);
      if (known?.key !== key) {
        known = { key, ranges: erasedExports(source, program.getTypeChecker()) };
        cache.erased.set(fileName, known);
      }
      if (known.ranges.length > 0) ranges.set(fileName, known.ranges);
    }
    return ranges;
  }

  /** Types of the front end, which need those of the client module. */
  async #checkWeb(
    overlay: ReadonlyMap<string, string>,
    typesFile: string,
    manifest: Manifest,
    checked: readonly ts.SourceFile[],
  ): Promise<void> {
    const file = join(this.#project.root, ".kontract", "client.d.ts");
    const withClient = new Map([...overlay, [file, clientTypes(manifest)]]);
    const program = await this.#program([typesFile, ...this.#web(), file], withClient);
    const done = new Set(checked.map((source) => source.fileName));
    const own = this.#ownFiles(program);
    const keys = fileKeys(program, own, this.#options.cache);
    this.#types(program, own.filter((s) => !done.has(s.fileName)), keys);
    await this.#options.cache.checks.save((name) => program.getSourceFile(name) !== undefined);
  }

  #buildHash(manifest: Omit<Manifest, "build">, own: readonly ts.SourceFile[]): string {
    const texts = [JSON.stringify(manifest)];
    for (const source of own) texts.push(appPath(this.#project, source.fileName), source.text);
    const base = pathToFileURL(dirname(this.#entry)).href;
    const rest = [...this.#graph.files()].filter(([, url]) =>
      !url.startsWith(pathToFileURL(this.#project.root + sep).href)
    ).map(([file, url]) => [url.startsWith(base) ? url.slice(base.length) : url, file] as const);
    for (const [name, file] of rest.sort(([a], [b]) => a < b ? -1 : 1)) {
      if (name.startsWith("file:")) texts.push(this.#graph.read(file) ?? "");
      else texts.push(name, this.#graph.read(file) ?? "");
    }
    texts.push(...this.#graph.packages());
    return digest(texts, 16);
  }

  #syntax(program: ts.Program, own: readonly ts.SourceFile[]): boolean {
    const found = own.flatMap((source) => program.getSyntacticDiagnostics(source));
    for (const one of found) this.#options.diagnostics.add(this.#diagnostic("KT1003", one));
    return found.length > 0;
  }

  /** Problems of types; those of a file that means what it meant are kept from the last build. */
  #types(
    program: ts.Program,
    sources: readonly ts.SourceFile[],
    keys: ReadonlyMap<string, string>,
  ): void {
    for (const source of sources) {
      const { fileName } = source;
      const problems = this.#options.cache.checks.problems(
        fileName,
        keys.get(fileName) ?? "",
        () =>
          program.getSemanticDiagnostics(source).map((one) => {
            const missing = one.code === 2307 || one.code === 2792;
            return this.#diagnostic(missing ? "KT1002" : "KT1004", one);
          }),
      );
      for (const one of problems) this.#options.diagnostics.add(one);
    }
  }

  #diagnostic(code: "KT1002" | "KT1003" | "KT1004", one: ts.Diagnostic): Diagnostic {
    const text = ts.flattenDiagnosticMessageText(one.messageText, "\n");
    return {
      code,
      severity: one.category === ts.DiagnosticCategory.Error ? "error" : "warning",
      message: `TS${one.code}: ${text}`,
      ...(one.file === undefined || one.start === undefined
        ? {}
        : placeOf(this.#project.root, one.file, one.start, one.length ?? 1)),
    };
  }
}
