/**
 * Sources → manifest: everything of a build that only reads.
 *
 * Order: the graph, the program, with types of `env.storage` from the tables in it, problems of types, what
 * the app declares, the build's hash. Each stage reports what it finds; a later one runs as long as it can
 * say something true.
 *
 * @module
 */
import { dirname, join, sep } from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import type { Manifest } from "../_internal/manifest.ts";
import { type AppGraph, AppGraphs } from "./app_graph.ts";
import { CheckCache } from "./check_cache.ts";
import { checkConstantImports } from "./constant_imports.ts";
import { checkCycles } from "./cycles.ts";
import { Declarations, type Declared } from "./declarations.ts";
import { checkDeferred } from "./deferred_imports.ts";
import { Diagnostics } from "./diagnostic.ts";
import { digest } from "./digest.ts";
import { tableOf } from "./discover_tables.ts";
import { clientTypes } from "./emit/client.ts";
import { emitStorageTypes } from "./emit/storage_types.ts";
import { ErasedExports, type TextRange } from "./erased_exports.ts";
import { readText } from "./file_texts.ts";
import { fileKeys, type ImportTable, reachedFrom } from "./file_keys.ts";
import { checkClientGlobals, checkWorkersGlobals } from "./host_globals.ts";
import { type KontractSymbols, kontractSymbols } from "./kontract_symbols.ts";
import { LOCK_NAME } from "./lock.ts";
import { LostPromises } from "./lost_promises.ts";
import { checkInlineScripts } from "./inline_scripts.ts";
import { checkLocatedCode } from "./located_code.ts";
import { checkMissingExports } from "./missing_exports.ts";
import { isStackOverflow, reportNesting } from "./nesting.ts";
import { writeFile, writeIfPossible } from "./output.ts";
import { checkOutsideImports } from "./outside_imports.ts";
import { denoTypes, ProgramCache } from "./program.ts";
import { appPath, listFiles, readProject } from "./project.ts";
import { copiedFiles } from "./public_files.ts";
import { Reporter } from "./source_place.ts";
import { syntaxProblems, type TypeCheck, typeProblems } from "./type_problems.ts";

/** What an analysis found. */
export interface Analysis extends AppGraph, Omit<Declared, "manifest"> {
  readonly manifest: Manifest;
  /** Files of the front end's folder that are published as they are, absolute, by their path in it. */
  readonly copied: ReadonlyMap<string, string>;
  /** Places of exported types, for those who bundle module by module. */
  readonly erased: ReadonlyMap<string, readonly TextRange[]>;
}

/** Options of {@link analyze}. */
export interface AnalyzeOptions {
  readonly root: string;
  /** Pages, and scripts, that the front end begins with; the page of its folder where missing. */
  readonly pages?: readonly string[] | undefined;
  readonly hosts: readonly ("workers" | "deno")[];
  readonly cache: AnalysisCache;
  readonly diagnostics: Diagnostics;
  /** Routes that the running process added to the lock; see {@link Lock}. */
  readonly freshRoutes?: ReadonlySet<string>;
  /** Type problems of the front end, and of files that are no part of a build, count too. */
  readonly checkAll: boolean;
  /** What is kept in `.kontract` for others is written where it can be, and missed by nobody; false where missing. */
  readonly mayNotWrite?: boolean;
  /** True where the server is made module by module: find {@link Analysis.erased}. */
  readonly modules?: boolean;
  /**
   * Resolves when the app's files are whole, and rejects where one has been written since it was read. What takes
   * its time or reaches the disk waits for it. They are where missing.
   */
  readonly whole?: () => Promise<void>;
  readonly time: <T>(stage: string, work: () => T) => T;
}

/** What is kept between analyses of one app. Owned by one builder. */
export class AnalysisCache {
  readonly graphs: AppGraphs = new AppGraphs();
  readonly programs: ProgramCache = new ProgramCache();
  readonly checks: CheckCache = new CheckCache();
  readonly declarations: Declarations = new Declarations();
  readonly erased: ErasedExports = new ErasedExports();

  /** What an analysis leaves undone, since nobody waits for it. */
  async settle(): Promise<void> {
    this.programs.settle();
    await this.checks.save();
  }
}

/** Analyzes an app; null where nothing can be built, with the reasons in `diagnostics`. */
export async function analyze(options: AnalyzeOptions): Promise<Analysis | null> {
  try {
    return await analyzeApp(options);
  } catch (error) {
    if (!isStackOverflow(error)) throw error;
    const { source } = readProject(options.root, new Diagnostics());
    await reportNesting(options.root, await listFiles(source), options.diagnostics);
    return null;
  }
}

async function analyzeApp(options: AnalyzeOptions): Promise<Analysis | null> {
  const { cache, diagnostics, time, whole = () => Promise.resolve() } = options;
  const project = readProject(options.root, diagnostics);
  if (!project.readable) return null;
  const { root } = project;
  // Deno takes its time for both.
  const [app] = await Promise.all([
    time("resolve", () => cache.graphs.read(project, options)),
    denoTypes(),
  ]);
  if (app === null) return null;
  const write = options.mayNotWrite === true ? writeIfPossible : writeFile;
  const { program, types } = await time(
    "program",
    () =>
      typedProgram(app, cache.programs, async (file, text) => {
        await whole();
        await write(file, text);
      }),
  );
  const own = ownFiles(app, program);
  const syntax = syntaxProblems(root, program, own);
  diagnostics.addAll(syntax);
  if (syntax.length > 0) return null;
  checkOutsideImports(app, program, diagnostics);
  const keys = time("keys", () => fileKeys(program, own, cache.programs));
  await cache.checks.load(root);
  const server = serverFiles(app, own, cache.programs);
  const built = new Set(own.map((one) => one.fileName));
  const check = typeCheck(app, { program, server, built, keys, checks: cache.checks });
  const checked = own.filter((one) => server.has(one.fileName));
  diagnostics.addAll(time("check", () => typeProblems(check, checked)));
  cache.checks.forget((file) => program.getSourceFile(file) === undefined);
  const lockText = readText(join(root, LOCK_NAME)) ?? null;
  const { freshRoutes } = options;
  const { manifest: declared, ...found } = time(
    "declare",
    () => cache.declarations.of({ app, program, own, lockText, freshRoutes, diagnostics, time }),
  );
  const reporter = new Reporter(root, diagnostics);
  const { modules, middleware, server: settings } = found.discovery;
  const settingsFile = settings?.file ?? null;
  const serverEntries = [
    ...[...modules].flatMap(([file, { kind }]) => kind === "boundary" ? [file] : []),
    ...middleware.map((one) => one.file),
    ...(settingsFile === null ? [] : [settingsFile]),
  ];
  const entries = new Set([...serverEntries, ...app.webScripts]);
  const onWorkers = options.hosts.includes("workers")
    ? reachedFrom(serverEntries, server, cache.programs)
    : new Set<string>();
  const { graph } = app;
  const isBundled = options.pages === undefined && project.site === null;
  const isServers = (file: string): boolean => (modules.get(file)?.kind ?? "free") !== "free";
  for (const source of own) {
    const { fileName } = source;
    checkDeferred(source, reporter);
    checkConstantImports(source, graph, program.getTypeChecker(), reporter);
    if (found.client.has(fileName)) {
      checkClientGlobals(source, program.getTypeChecker(), reporter);
      checkMissingExports(source, declared, program.getTypeChecker(), reporter);
      if (isBundled) {
        checkLocatedCode(source, project, isServers, program.getTypeChecker(), reporter);
      }
    } else if (onWorkers.has(fileName)) {
      checkWorkersGlobals(source, program.getTypeChecker(), reporter);
    }
  }
  const imports = cache.programs;
  time("cycles", () => checkCycles({ program, graph, own, imports, entries, reporter }));
  // A page that another bundler has made has a hash of its own in it.
  const copied = project.site === null ? await copiedFiles(project.web) : new Map<string, string>();
  if (options.pages === undefined) {
    checkInlineScripts(project, copied, app.webEntry, diagnostics);
  }
  const build = time("hash", () => buildHash(app, found.meaning, own, copied.values()));
  const manifest: Manifest = { ...declared, build };
  if (options.checkAll) await checkRest(app, { manifest, types, server, built }, options);
  const erased = options.modules === true
    ? time("erase", () => cache.erased.of(program, own, keys))
    : new Map<string, readonly TextRange[]>();
  return { ...app, ...found, manifest, copied, erased };
}

/**
 * A program whose `env.storage` has the app's tables. These are found in the program itself: one that was
 * made with what the last build found is made again only where they are others now.
 */
async function typedProgram(
  app: AppGraph,
  programs: ProgramCache,
  write: (file: string, text: string) => Promise<void>,
): Promise<{ readonly program: ts.Program; readonly types: string }> {
  const file = storageTypesFile(app);
  const old = readText(file) ?? emitStorageTypes([]);
  const first = await programOf(app, programs, new Map([[file, old]]));
  const types = storageTypes(app, first);
  await write(file, types);
  const program = types === old ? first : await programOf(app, programs, new Map([[file, types]]));
  return { program, types };
}

function storageTypesFile({ project }: AppGraph): string {
  return join(project.root, ".kontract", "types.d.ts");
}

/** A program with `generated` declarations. */
function programOf(
  app: AppGraph,
  programs: ProgramCache,
  generated: ReadonlyMap<string, string>,
  more: readonly string[] = [],
): Promise<ts.Program> {
  const { root, compilerOptions } = app.project;
  return programs.program({
    graph: app.graph,
    roots: [...app.sources, ...generated.keys(), ...app.webScripts, ...more],
    overlay: generated,
    graphFile: app.graphFile,
    aliases: new Map([
      ["@kontract/kontract", app.entry],
      ["@/client", join(root, ".kontract", "client.d.ts")],
    ]),
    compilerOptions,
  });
}

/** The text that types `env.storage`. */
function storageTypes(app: AppGraph, program: ts.Program): string {
  const { project } = app;
  const kontract = kontractOf(app, program);
  // Problems are reported where declarations are read, which sees the same classes.
  const quiet = new Reporter(project.root, new Diagnostics());
  const tables = ownFiles({ project }, program).flatMap((source) =>
    source.statements.filter(ts.isClassDeclaration).flatMap((node) => {
      const table = tableOf(node, kontract, quiet);
      return table === null ? [] : [{
        name: table.name,
        className: table.className,
        module: appPath(project, table.file),
        primkey: table.primkey,
        defaults: table.fields.filter((f) => f.default !== undefined).map((f) => f.name),
      }];
    })
  );
  return emitStorageTypes(tables);
}

function kontractOf({ entry }: AppGraph, program: ts.Program): KontractSymbols {
  return kontractSymbols(program, entry);
}

function typeCheck(
  app: AppGraph,
  own: Pick<TypeCheck, "program" | "server" | "built" | "keys" | "checks">,
): TypeCheck {
  const { root } = app.project;
  const isKontract = (file: string): boolean =>
    file.startsWith(app.packageFolder) && !file.startsWith(root + sep);
  return {
    ...own,
    root,
    graph: app.graph,
    kontract: kontractOf(app, own.program),
    isKontract,
    lost: new LostPromises(root, own.program.getTypeChecker(), isKontract),
  };
}

/** The app's own modules: not the package's, not npm's, not generated ones. */
function ownFiles(
  { project: { root } }: Pick<AppGraph, "project">,
  program: ts.Program,
): readonly ts.SourceFile[] {
  const isOwn = ownTest(root);
  return program.getSourceFiles().filter((source) =>
    !source.isDeclarationFile && isOwn(source.fileName)
  );
}

/** True for a file of the app in `root` that is neither made nor installed. */
function ownTest(root: string): (file: string) => boolean {
  const generated = [join(root, ".kontract") + sep, join(root, "dist") + sep];
  return (file) =>
    file.startsWith(root + sep) && !file.includes(`${sep}node_modules${sep}`) &&
    !generated.some((folder) => file.startsWith(folder));
}

/** The backend's sources, and what of the app they import, wherever it lies beside the front end. */
function serverFiles(
  { project }: AppGraph,
  own: readonly ts.SourceFile[],
  imports: ImportTable,
): ReadonlySet<string> {
  const mayBe = new Set(
    own.map((one) => one.fileName).filter((file) => !file.startsWith(project.web + sep)),
  );
  const inSource = [...mayBe].filter((file) => file.startsWith(project.source + sep));
  return reachedFrom(inSource, mayBe, imports);
}

/** What is known when the rest is checked. */
interface Known {
  readonly manifest: Manifest;
  /** Text that types `env.storage`. */
  readonly types: string;
  readonly server: ReadonlySet<string>;
  readonly built: ReadonlySet<string>;
}

/** Adds problems of types in the front end, which needs those of the client module, and in what no build is made of. */
async function checkRest(
  app: AppGraph,
  { manifest, types, server, built }: Known,
  { cache, diagnostics }: AnalyzeOptions,
): Promise<void> {
  const { root } = app.project;
  const generated = new Map([
    [storageTypesFile(app), types],
    [join(root, ".kontract", "client.d.ts"), clientTypes(manifest)],
  ]);
  const program = await programOf(app, cache.programs, generated, app.checked);
  const own = ownFiles(app, program);
  const keys = fileKeys(program, own, cache.programs);
  const rest = own.filter((source) => !server.has(source.fileName));
  const check = typeCheck(app, { program, server, built, keys, checks: cache.checks });
  diagnostics.addAll(typeProblems(check, rest));
  cache.checks.forget((name) => program.getSourceFile(name) === undefined);
}

/** Hash of everything that is built from. */
function buildHash(
  app: AppGraph,
  meaning: string,
  own: readonly ts.SourceFile[],
  copied: Iterable<string>,
): string {
  const { project, graph } = app;
  const parts = [meaning];
  const imported = graph.wantedFiles().filter(ownTest(project.root));
  for (const file of new Set([...own.map((one) => one.fileName), ...imported, ...copied])) {
    parts.push(appPath(project, file), graph.hash(file));
  }
  const base = pathToFileURL(dirname(app.entry)).href;
  const root = pathToFileURL(project.root + sep).href;
  const rest = [...graph.files()].filter(([, url]) => !url.startsWith(root)).map(([file, url]) =>
    [url.startsWith(base) ? url.slice(base.length) : url, file] as const
  );
  for (const [name, file] of rest.sort(([a], [b]) => a < b ? -1 : 1)) {
    // Where a file lies on this machine is no part of the app.
    parts.push(name.startsWith("file:") ? "" : name, graph.hash(file));
  }
  return digest([...parts, ...graph.packages()], 16);
}
