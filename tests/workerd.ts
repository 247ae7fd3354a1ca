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
import { Bundler } from "../compiler/bundle.ts";
import { Diagnostics } from "../compiler/diagnostic.ts";
import { readGraph } from "../compiler/resolve.ts";

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

/** Bundles `entry` for Workers; file name → text. */
export async function bundleForWorkers(entry: string): Promise<ReadonlyMap<string, string>> {
  const file = join(root, entry);
  const diagnostics = new Diagnostics();
  const made = await new Bundler().bundle({
    graph: await readGraph(file, root),
    graphFile: file,
    root,
    purpose: "workers",
    entries: { worker: file },
    virtual: new Map(),
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

/** Starts workerd on a free loopback port. Tests that use it switch Deno's sanitizers off. */
export async function startWorkerd(options: WorkerdOptions): Promise<Workerd> {
  const files = await bundleForWorkers(options.entry);
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
    stop: () => miniflare.dispose(),
  };
}
