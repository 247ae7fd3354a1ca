/**
 * The built app in real workerd, by miniflare's API.
 *
 * State (Durable Objects) lives in the app's own folder, so a restart finds it. miniflare's signal
 * handlers end the process at once; they are taken off as soon as it is ready, since ending in good
 * order is our business.
 *
 * @module
 */
import { join } from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";
import { KontractError } from "../../_internal/errors.ts";
import { loadMiniflare, type Miniflare as MiniflareModule } from "../load_miniflare.ts";
import type { DevHost, HostOptions } from "./host.ts";
import { SourceLines } from "./source_lines.ts";
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS, DURABLE_OBJECTS } from "./worker_config.ts";

/** Entry module of the bundle, in `dist/worker`. */
export const WORKER_ENTRY = "worker.js";

type Miniflare = InstanceType<MiniflareModule["Miniflare"]>;
type MiniflareOptions = ConstructorParameters<MiniflareModule["Miniflare"]>[0];

/** Makes the host; workerd starts with the first {@link DevHost.load}. */
export function workersHost(options: HostOptions): DevHost {
  // Loading takes a while and may happen while the app is being built.
  const loading = loadMiniflare();
  loading.catch(() => {});
  const lines = new SourceLines(join(options.dist, "worker"));
  let miniflare: Miniflare | null = null;
  return {
    async load(): Promise<string> {
      lines.clear();
      const settings = await miniflareOptions(options, lines);
      try {
        if (miniflare === null) miniflare = await first(await loading, settings);
        else await miniflare.setOptions(settings);
        return (await miniflare.ready).origin;
      } catch (cause) {
        throw new KontractError(
          "BUILD_FAILED",
          `workerd does not run this build: ${cause instanceof Error ? cause.message : cause}`,
          { cause },
        );
      }
    },
    async stop(): Promise<void> {
      await miniflare?.dispose();
    },
  };
}

async function first(module: MiniflareModule, settings: MiniflareOptions): Promise<Miniflare> {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const before = new Map(signals.map((signal) => [signal, process.listeners(signal)]));
  const miniflare = new module.Miniflare(settings);
  await miniflare.ready;
  for (const signal of signals) {
    for (const listener of process.listeners(signal)) {
      if (!before.get(signal)!.includes(listener)) process.off(signal, listener);
    }
  }
  return miniflare;
}

async function miniflareOptions(
  options: HostOptions,
  lines: SourceLines,
): Promise<MiniflareOptions> {
  const root = join(options.dist, "worker");
  const entry = join(root, WORKER_ENTRY);
  const files = (await scripts(root)).filter((path) => path !== entry);
  const modules = [entry, ...files].map((path) => ({ type: "ESModule" as const, path }));
  const durableObjects = Object.fromEntries(
    Object.entries(DURABLE_OBJECTS).map((
      [name, className],
    ) => [name, { className, useSQLite: true }]),
  );
  return {
    name: "kontract",
    host: "127.0.0.1",
    port: 0,
    modulesRoot: root,
    modules,
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: [...COMPATIBILITY_FLAGS],
    durableObjects,
    durableObjectsPersist: join(options.state, "objects"),
    bindings: { ...options.env },
    cf: false,
    handleRuntimeStdio(stdout: Readable, stderr: Readable) {
      options.output(webStream(stdout).pipeThrough(lines.stream()), "stdout");
      options.output(webStream(stderr).pipeThrough(lines.stream()), "stderr");
    },
  };
}

function webStream(stream: Readable): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      stream.on("data", (chunk: Uint8Array) => controller.enqueue(new Uint8Array(chunk)));
      stream.on("end", () => controller.close());
      stream.on("error", () => controller.close());
    },
  });
}

/** All `.js` files under a folder, in a fixed order. */
async function scripts(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) found.push(...await scripts(path));
    else if (entry.name.endsWith(".js")) found.push(path);
  }
  return found.sort();
}
