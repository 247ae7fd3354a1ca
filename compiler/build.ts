/**
 * One build: analysis, emitters, bundles, and the swap of the output folder.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { KontractError } from "../_internal/errors.ts";
import type { Manifest } from "../_internal/manifest.ts";
import { type Analysis, AnalysisCache, analyze, type AnalyzeOptions } from "./analysis.ts";
import { type Diagnostic, Diagnostics } from "./diagnostic.ts";
import { FrontEnd } from "./front_end.ts";
import { type Host, HostOutput, type Layout, OUTPUTS } from "./host_output.ts";
import { formatLock, LOCK_NAME } from "./lock.ts";
import { type ClientFiles, ManifestOutput } from "./manifest_output.ts";
import { checkOutputPlace } from "./output_place.ts";
import { isDiskError, OutputFolder, writeFile } from "./output.ts";
import { checkBudget } from "./size_budget.ts";
import { type BuildReport, LoadMeter, type OutputFiles, outputSizes } from "./size_report.ts";

/** Options of a build. */
export interface BuildOptions {
  /** The app's folder. */
  readonly root: string;
  /** Public keys of the gateway that the client pins, base64url. */
  readonly pins?: readonly string[];
  /** Hosts to build for; both where missing. */
  readonly hosts?: readonly Host[];
  /**
   * Output folder; `dist` in the app's folder where missing. It is replaced as a whole, so it is refused where it
   * holds anything that no build has made.
   */
  readonly outDir?: string;
  /** Short output; false where missing. */
  readonly minify?: boolean;
  /**
   * `"bundle"` where missing. `"modules"` rebuilds in a fraction of the time and is for development: it has
   * no cookbook and no sizes.
   */
  readonly layout?: Layout;
  /**
   * Measures what each route and the front end load, and holds it against the budget; where missing, an
   * app with a budget is measured.
   */
  readonly sizes?: boolean;
  /** Ends builds: from then on each rejects with the signal's reason, and nothing of it gets into the output. */
  readonly signal?: AbortSignal;
}

/** Options of a check. */
export interface CheckOptions {
  /** Fails where `.kontract/types.d.ts` cannot be written; false where missing. */
  readonly needsTypes?: boolean;
}

/** What a build gives. */
export interface BuildResult {
  /** True where the output folder holds this build. */
  readonly ok: boolean;
  /** True for a build that found its sources being written, and left: nothing is known of them. */
  readonly inVain?: boolean;
  /** Everything found out about the app; missing where that failed. */
  readonly manifest?: Manifest;
  /** Errors and warnings, by place. */
  readonly diagnostics: readonly Diagnostic[];
  /** Paths of all outputs, absolute. */
  readonly files: readonly string[];
  /** What is in the output folder, by path below it; empty where nothing was built. */
  readonly outputs: OutputFiles;
  /**
   * Files outside of the app's folder that it is made from, absolute, for who watches: modules, also missing
   * ones, and configuration.
   */
  readonly outside: readonly string[];
  /** Milliseconds by stage. */
  readonly timings: Readonly<Record<string, number>>;
  /** Sizes; empty where nothing was built. */
  readonly report: BuildReport;
}

const HOSTS: readonly Host[] = ["workers", "deno"];
/** What a build has made. */
type Made = Pick<BuildResult, "files" | "outputs" | "report">;

const NOTHING: Made = {
  files: [],
  outputs: new Map(),
  report: { outputs: [], routes: [], frontEnd: null },
};

/** What is kept between builds of one app. */
interface Memory {
  /** Routes that this builder has added to the lock. */
  readonly freshRoutes: Set<string>;
  readonly cache: AnalysisCache;
  readonly output: ManifestOutput;
  readonly front: FrontEnd;
  readonly hosts: Readonly<Record<Host, HostOutput>>;
  readonly folder: OutputFolder;
  /** What the last build was made from, where it succeeded. */
  last: { readonly analysis: Analysis; readonly client: ClientFiles } | null;
  /** Bundles for measuring; made where there is a budget. */
  meter: { readonly host: HostOutput; readonly front: FrontEnd } | null;
}

/** Builds and rebuilds one app; keeps what it parsed in between. */
export class Builder {
  readonly #options: BuildOptions;
  readonly #memory: Memory = {
    freshRoutes: new Set(),
    cache: new AnalysisCache(),
    output: new ManifestOutput(),
    front: new FrontEnd(),
    hosts: { workers: new HostOutput("workers"), deno: new HostOutput("deno") },
    folder: new OutputFolder(),
    last: null,
    meter: null,
  };
  #running: Promise<void> = Promise.resolve();

  /** Nothing is read before the first {@link Builder.rebuild}. */
  constructor(options: BuildOptions) {
    // From here on the process may go to another folder.
    this.#options = { ...options, root: resolve(options.root) };
  }

  /**
   * Builds from what is on disk now. Calls wait for each other.
   *
   * @param isWhole Asked by a build that begins while files may still be written, before anything comes of it:
   * false, or a file that is another by then, and the build was in vain. All files are whole where missing
   */
  rebuild(isWhole?: () => Promise<boolean>): Promise<BuildResult> {
    const { folder, cache: { graphs } } = this.#memory;
    const { root, outDir = "dist", layout } = this.#options;
    let asked: Promise<void> | null = null;
    let answer: Promise<boolean> | null = null;
    const isQuiet = (): Promise<boolean> => answer ??= isWhole?.() ?? Promise.resolve(true);
    let isHeld: boolean | undefined;
    const whole = (): Promise<void> =>
      asked ??= (async () => {
        if (isWhole === undefined) return;
        // Nothing else can be done before the answer is there.
        if (layout === "modules") isHeld = folder.holds(resolve(root, outDir));
        if (!(await isQuiet() && graphs.holds())) throw new InVain();
      })();
    const moment = { whole, isHeld: () => isHeld };
    return this.#queued(async (timer) => {
      const made = await runBuild(this.#options, this.#memory, timer, moment);
      // What half of a file does wrong is nobody's concern.
      await whole();
      return made;
    }, isQuiet);
  }

  /**
   * Does what a build of the layout `"modules"` leaves undone, since nobody waits for it: for a moment without
   * edits. Otherwise the next build begins with it.
   */
  settle(): Promise<void> {
    const settled = this.#running.then(() => this.#memory.cache.settle());
    // What cannot be done now, the next build tries again, and says so.
    return this.#running = settled.catch(() => {});
  }

  /**
   * Everything a build checks, and the types of all of the app's files; writes nothing but `.kontract/`, and that
   * only where it can.
   */
  check({ needsTypes = false }: CheckOptions = {}): Promise<BuildResult> {
    return this.#queued(async (timer) => {
      const diagnostics = new Diagnostics();
      const how = { checkAll: true, mayNotWrite: !needsTypes };
      const found = await analysisOf(this.#options, this.#memory, diagnostics, timer, how);
      return result(diagnostics, found?.manifest, timer, !diagnostics.failed);
    });
  }

  /**
   * Warnings of what the last build would load beyond the app's budget; empty without one. Bundles for
   * that beside whatever is being rebuilt, and writes nothing.
   */
  async overBudget(): Promise<readonly Diagnostic[]> {
    const { last } = this.#memory;
    const diagnostics = new Diagnostics();
    const budget = last?.analysis.project.budget ?? null;
    if (last === null || budget === null) return [];
    const { root, hosts = HOSTS, outDir = "dist" } = this.#options;
    const meter = this.#memory.meter ??= {
      host: new HostOutput(hosts[0]!),
      front: new FrontEnd(),
    };
    const input = {
      ...last,
      outDir: resolve(root, outDir),
      minify: false,
      layout: "bundle" as const,
      // A source may be another by now: the build that is under way says what is wrong with it.
      diagnostics: new Diagnostics(),
    };
    const [bundled, front] = await Promise.all([meter.host.make(input), meter.front.make(input)]);
    if (bundled === null || front === null) return [];
    const files = new Map([...underPublic(front), ...bundled.files]);
    const loads = await measured(files, bundled.routes);
    checkBudget(budget, loads, diagnostics, "warning");
    return diagnostics.list();
  }

  /** What is thrown counts where `isQuiet`: nothing is being written. */
  #queued(
    work: Work,
    isQuiet: () => Promise<boolean> = () => Promise.resolve(true),
  ): Promise<BuildResult> {
    const { signal, layout } = this.#options;
    const { cache, folder } = this.#memory;
    const all: Work = async (timer) => {
      try {
        await cache.settle();
        const made = await work(timer);
        if (layout !== "modules") await cache.settle();
        return made;
      } catch (error) {
        throw await isQuiet() ? error : new InVain();
      } finally {
        await folder.drop();
      }
    };
    const next = this.#running.then(async () => ({
      ...await guarded(all, signal),
      outside: cache.graphs.outside,
    }));
    this.#running = next.then(() => {}, () => {});
    return next;
  }
}

/** What a build that begins early waits for. */
interface Moment {
  /** See {@link AnalyzeOptions.whole}. */
  readonly whole: () => Promise<void>;
  /** What the output folder was found to be meanwhile. */
  readonly isHeld: () => boolean | undefined;
}

/** What a build does; the builder adds what it keeps. */
type Work = (timer: Timer) => Promise<Omit<BuildResult, "outside">>;

/**
 * A full disk, a read-only folder and a type beyond the limits of a message are diagnostics; what is left
 * is a bug and stays an error.
 */
async function guarded(work: Work, signal: AbortSignal | undefined): ReturnType<Work> {
  const timer = new Timer(signal);
  try {
    return await work(timer);
  } catch (error) {
    signal?.throwIfAborted();
    const diagnostics = new Diagnostics();
    if (error instanceof InVain) {
      return { ...result(diagnostics, undefined, timer, false), inVain: true };
    }
    if (error instanceof KontractError && error.code === "BUILD_FAILED") {
      diagnostics.add({ code: "KT3002", severity: "error", message: error.message });
    } else if (isDiskError(error)) {
      diagnostics.add({
        code: "KT7001",
        severity: "error",
        message: `The output cannot be written or a source cannot be read: ${error.message}`,
      });
    } else throw error;
    return result(diagnostics, undefined, timer, false);
  }
}

/** Ends a build whose sources were not whole. */
class InVain extends Error {}

class Timer {
  readonly timings: Record<string, number> = {};
  readonly #start: number = performance.now();
  readonly #signal: AbortSignal | undefined;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Runs `work`, unless the build was aborted, and adds its time to `stage`. */
  readonly time = <T>(stage: string, work: () => T): T => {
    this.#signal?.throwIfAborted();
    const start = performance.now();
    const done = <V>(value: V): V => {
      this.timings[stage] = (this.timings[stage] ?? 0) + performance.now() - start;
      return value;
    };
    const value = work();
    return value instanceof Promise ? value.then(done) as T : done(value);
  };

  total(): Readonly<Record<string, number>> {
    const all = { ...this.timings, total: performance.now() - this.#start };
    return Object.fromEntries(Object.entries(all).map(([k, v]) => [k, Math.round(v * 10) / 10]));
  }
}

function result(
  diagnostics: Diagnostics,
  manifest: Manifest | undefined,
  timer: Timer,
  ok: boolean,
  { files, outputs, report }: Made = NOTHING,
): Omit<BuildResult, "outside"> {
  return {
    ok,
    ...(manifest === undefined ? {} : { manifest }),
    diagnostics: diagnostics.list(),
    files,
    outputs,
    timings: timer.total(),
    report,
  };
}

function analysisOf(
  options: BuildOptions,
  { cache, freshRoutes }: Memory,
  diagnostics: Diagnostics,
  timer: Timer,
  how: Pick<AnalyzeOptions, "checkAll" | "mayNotWrite" | "whole">,
): Promise<Analysis | null> {
  const { root, hosts = HOSTS, layout } = options;
  const { time } = timer;
  const modules = layout === "modules";
  return analyze({
    root,
    hosts,
    cache,
    freshRoutes,
    diagnostics,
    modules,
    time,
    ...how,
  });
}

async function runBuild(
  options: BuildOptions,
  memory: Memory,
  timer: Timer,
  { whole, isHeld }: Moment,
): ReturnType<Work> {
  const diagnostics = new Diagnostics();
  const how = { checkAll: false, whole };
  const analysis = await analysisOf(options, memory, diagnostics, timer, how);
  if (analysis === null || diagnostics.failed) {
    return result(diagnostics, analysis?.manifest, timer, false);
  }
  const { manifest, project } = analysis;
  const outDir = resolve(project.root, options.outDir ?? "dist");
  checkOutputPlace(project, outDir, options.outDir, diagnostics);
  if (diagnostics.failed) return result(diagnostics, manifest, timer, false);
  const { hosts = HOSTS, minify = false, layout = "bundle", pins = [] } = options;
  const { folder } = memory;
  const early = layout === "modules" && folder.isNew(outDir)
    ? { early: (files: OutputFiles) => folder.writeEarly(outDir, files) }
    : {};
  const input = { analysis, outDir, minify, layout, diagnostics, ...early };
  const emitted = timer.time("emit", () => memory.output.files(analysis, pins, layout));
  const files = new Map<string, string | Uint8Array>(emitted.files);
  const [front, ...chunks] = await timer.time("bundle", async () => {
    const making = [
      memory.front.make({ ...input, client: emitted.client }),
      ...hosts.map((host) => memory.hosts[host].make(input)),
    ] as const;
    // Whatever goes on after a failure would do so beside the next build.
    await Promise.allSettled(making);
    return await Promise.all(making);
  });
  for (const [name, bytes] of underPublic(front ?? new Map())) files.set(name, bytes);
  for (const one of chunks) for (const [name, bytes] of one?.files ?? []) files.set(name, bytes);
  if (diagnostics.failed) return result(diagnostics, manifest, timer, false);
  memory.last = { analysis, client: emitted.client };
  const routes = chunks[0]?.routes ?? new Map<string, string>();
  const measure = options.sizes ?? (project.budget !== null && layout === "bundle");
  const loads = measure
    ? await timer.time("sizes", () => measured(files, routes))
    : { routes: [...routes].map(([name, file]) => ({ name, file, load: null })), frontEnd: null };
  if (project.budget !== null && measure) checkBudget(project.budget, loads, diagnostics, "error");
  if (diagnostics.failed) return result(diagnostics, manifest, timer, false);
  const sizes = layout === "bundle" ? timer.time("report", () => outputSizes(files)) : [];
  // The lock before the swap: a number that is in an output must never be given away again.
  const lock = async (): Promise<void> => {
    if (!analysis.lockChanged) return;
    await writeFile(join(project.root, LOCK_NAME), formatLock(analysis.lock));
    for (const name of analysis.newRoutes) memory.freshRoutes.add(name);
  };
  await timer.time(
    "write",
    () =>
      layout === "modules"
        ? folder.update(outDir, files, lock, isHeld())
        : folder.write(outDir, files, lock),
  );
  const report = { outputs: sizes, ...loads };
  const paths = [...files.keys()].sort().map((name) => join(outDir, name));
  return result(diagnostics, manifest, timer, true, { files: paths, outputs: files, report });
}

/** A front end's files below the output folder. */
function underPublic(front: OutputFiles): OutputFiles {
  return new Map([...front].map(([name, contents]) => [`public/${name}`, contents]));
}

/** What each route and the front end load, of one host: the other's code differs by its adapters only. */
async function measured(
  files: OutputFiles,
  routes: ReadonlyMap<string, string>,
): Promise<Pick<BuildReport, "routes" | "frontEnd">> {
  const meter = new LoadMeter(files);
  const main = "public/main.js";
  return {
    routes: await Promise.all([...routes].map(async ([name, file]) => {
      const [folder = ""] = file.split("/");
      const entry = Object.values(OUTPUTS).find(([own]) => own === folder)?.[1];
      return { name, file, load: await meter.load(file, `${folder}/${entry}.js`) };
    })),
    frontEnd: files.has(main) ? await meter.load(main, null) : null,
  };
}
