/**
 * Modules of this package in real workerd, bundled by our own compiler's bundler.
 *
 * @module
 */
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Miniflare } from "miniflare";
import {
  COMPATIBILITY_DATE,
  COMPATIBILITY_FLAGS,
  DURABLE_OBJECTS,
} from "../cli/dev/worker_config.ts";
import { Bundler, packageFile } from "../compiler/bundle.ts";
import { Diagnostics } from "../compiler/diagnostic.ts";
import { type ModuleGraph, readGraph } from "../compiler/resolve.ts";
import { coverageFolder, LineCounters, PASSED } from "./line_coverage/line_counters.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What {@link startWorkerd} is given. */
export interface WorkerdOptions {
  /** Entry module, relative to the repository: exports the four Durable Object classes. */
  readonly entry: string;
  /** Variables and secrets. */
  readonly bindings: Readonly<Record<string, string>>;
  /** Hyperdrive bindings: name → connection string. */
  readonly hyperdrives?: Readonly<Record<string, string>>;
  /** Folder for what the Durable Objects store. */
  readonly state: string;
}

/** A running Worker. */
export interface Workerd {
  /** Sends one request through its front door. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Fires the cron trigger; gives the outcome, `ok` where the handler did its work. */
  scheduled(): Promise<string>;
  /** Origin of its own server, for WebSockets. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Bundles `entry` for Workers, with line counters where there are any; file name → text. */
export async function bundleForWorkers(
  entry: string,
  counters: LineCounters | null = null,
): Promise<ReadonlyMap<string, string>> {
  const file = join(root, entry);
  const diagnostics = new Diagnostics();
  const graph = await readGraph(file, root);
  if (counters !== null) countLines(graph, counters);
  const made = await new Bundler().bundle({
    graph,
    graphFile: file,
    root,
    purpose: "workers",
    entries: { worker: counters === null ? file : "kontract:counted" },
    virtual: new Map([["kontract:counted", countedEntry(entry)]]),
    packageFolder: root,
    aliases: new Map(),
    overlay: new Map(),
    appended: new Map(),
    pure: () => false,
    outdir: join(root, "dist", "test"),
    minify: false,
    jsx: {},
  }, diagnostics);
  if (made === null) {
    throw new Error(`'${entry}' cannot be bundled: ${JSON.stringify(diagnostics)}`);
  }
  return new Map(
    [...made.files].filter(([name]) => name.endsWith(".js")).map((
      [name, bytes],
    ) => [name, new TextDecoder().decode(bytes)]),
  );
}

/** Makes a graph's own modules, read once each, the counted ones. */
function countLines(graph: ModuleGraph, counters: LineCounters): void {
  const read = graph.read.bind(graph);
  graph.read = (file) => {
    const text = read(file);
    const own = file.startsWith(root) && file.endsWith(".ts");
    return text !== undefined && own ? counters.count(file, text) : text;
  };
}

/** Address at which a counted Worker tells the counters that were passed. */
const PASSED_PATH = "/.passed";

function countedEntry(entry: string): string {
  return `import worker from ${JSON.stringify(packageFile(entry))};
    export * from ${JSON.stringify(packageFile(entry))};
    export default {
      ...worker,
      fetch: (request, ...rest) => new URL(request.url).pathname === "${PASSED_PATH}"
        ? Response.json([...globalThis.${PASSED}])
        : worker.fetch(request, ...rest),
    };`;
}

/** Starts workerd on a free loopback port. Tests that use it switch Deno's sanitizers off. */
export async function startWorkerd(options: WorkerdOptions): Promise<Workerd> {
  const measured = coverageFolder();
  const counters = measured === null ? null : new LineCounters();
  const files = await bundleForWorkers(options.entry, counters);
  const names = ["worker.js", ...[...files.keys()].filter((name) => name !== "worker.js")];
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const before = new Map(signals.map((signal) => [signal, process.listeners(signal)]));
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    modulesRoot: dirname(join(root, "worker.js")),
    modules: names.map((name) => ({
      type: "ESModule" as const,
      path: join(root, name),
      contents: files.get(name) ?? "",
    })),
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: [...COMPATIBILITY_FLAGS],
    durableObjects: Object.fromEntries(
      Object.entries(DURABLE_OBJECTS).map((
        [name, className],
      ) => [name, { className, useSQLite: true }]),
    ),
    durableObjectsPersist: options.state,
    bindings: { ...options.bindings },
    hyperdrives: { ...options.hyperdrives },
    cf: false,
  });
  const url = (await miniflare.ready).origin;
  for (const signal of signals) {
    for (const listener of process.listeners(signal)) {
      if (before.get(signal)?.includes(listener) === false) process.off(signal, listener);
    }
  }
  return {
    url,
    fetch: (path, init) => fetch(`${url}${path}`, init),
    scheduled: async () => {
      // Its declaration lacks the method: types of Workers are not loaded here.
      const worker = await miniflare.getWorker() as unknown as {
        scheduled(event: { cron: string }): Promise<{ outcome: string }>;
      };
      return (await worker.scheduled({ cron: "* * * * *" })).outcome;
    },
    stop: async () => {
      if (measured !== null) {
        await counters?.save(measured, await (await fetch(`${url}${PASSED_PATH}`)).json());
      }
      await miniflare.dispose();
    },
  };
}
