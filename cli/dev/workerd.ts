/**
 * One workerd process, by miniflare's API.
 *
 * State (Durable Objects) lives in the app's own folder, so the next process finds it. miniflare's signal
 * handlers end the process at once; they are taken off as soon as it is ready, since ending in good
 * order is our business.
 *
 * @module
 */
import { dirname, join, relative } from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import { KontractError } from "../../_internal/errors.ts";
import type { Miniflare as MiniflareModule } from "../load_miniflare.ts";
import type { HostOptions } from "./host.ts";
import type { SourceLines } from "./source_lines.ts";
import { WORKER_FOLDER } from "./worker_modules.ts";
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS, DURABLE_OBJECTS } from "./worker_config.ts";

type Miniflare = InstanceType<MiniflareModule["Miniflare"]>;
type MiniflareOptions = ConstructorParameters<MiniflareModule["Miniflare"]>[0];

/** A running workerd. */
export interface Workerd {
  /** Of its TCP port, where miniflare's own Worker stands before the app. */
  readonly origin: string;
  /** See `DevHost.socket`. */
  readonly socket: string | undefined;
  /** Does what Cloudflare's clock would have done. */
  scheduled(): Promise<void>;
  /** Ends it. */
  stop(): Promise<void>;
}

/** One of a Worker's modules. */
export interface WorkerModule {
  /** Absolute. */
  readonly path: string;
  /** What is on disk where missing. */
  readonly contents?: string;
}

/** What a process runs. */
export interface WorkerCode {
  /** The entry first. */
  readonly modules: readonly WorkerModule[];
  /** Text of a module that is not among {@link WorkerCode.modules}, by path below the build's folder. */
  readonly later?: (path: string) => string | undefined;
}

/** Folder of the Worker in a build. */
export function workerFolder({ dist }: Pick<HostOptions, "dist">): string {
  return join(dist, WORKER_FOLDER);
}

/**
 * Starts workerd; resolves when it accepts connections.
 *
 * @throws {KontractError} `BUILD_FAILED`
 */
export async function startWorkerd(
  module: MiniflareModule,
  options: HostOptions,
  lines: SourceLines,
  code: WorkerCode,
): Promise<Workerd> {
  const place = socketPlace();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const before = new Map(signals.map((signal) => [signal, process.listeners(signal)]));
  try {
    const miniflare: Miniflare = new module.Miniflare({
      ...settings(module, options, lines, code, () => removeSocket(place)),
      ...(place === null
        ? {}
        : { unsafeDirectSockets: [{ host: `unix:${place}`, port: 0, proxy: true }] }),
    });
    const { origin } = await miniflare.ready;
    return {
      origin,
      socket: place === null ? undefined : socketOf(place),
      // miniflare's own call would keep this thread until it is answered, and workerd asks this thread for modules.
      scheduled: async () => {
        const answer = await fetch(new URL("/cdn-cgi/handler/scheduled", origin));
        await answer.body?.cancel();
      },
      stop: async () => {
        await miniflare.dispose();
        removePlace(place);
      },
    };
  } catch (cause) {
    removePlace(place);
    throw new KontractError(
      "BUILD_FAILED",
      `workerd does not run this build: ${cause instanceof Error ? cause.message : cause}`,
      { cause },
    );
  } finally {
    for (const signal of signals) {
      for (const listener of process.listeners(signal)) {
        if (!before.get(signal)!.includes(listener)) process.off(signal, listener);
      }
    }
  }
}

/**
 * Where a socket of the app's own may lie; null where there are none, or their names would be too long. workerd
 * notices that a client has left before its answer by this alone: of a TCP connection it only sees a reset.
 */
function socketPlace(): string | null {
  if (Deno.build.os === "windows") return null;
  const place = join(Deno.makeTempDirSync({ prefix: "kontract_" }), "app");
  const near = relative(Deno.cwd(), place);
  if (place.length <= LONGEST_SOCKET) return place;
  if (near.length <= LONGEST_SOCKET) return near;
  removePlace(place);
  return null;
}

/** What the socket of `place` is called: as a host with a port, which is what miniflare takes. */
function socketOf(place: string): string {
  return `${place}:0`;
}

function removeSocket(place: string | null): void {
  if (place === null) return;
  try {
    Deno.removeSync(socketOf(place));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Of a Unix socket's name on any system, without what miniflare appends. */
const LONGEST_SOCKET = 100;

function removePlace(place: string | null): void {
  if (place !== null) Deno.removeSync(dirname(place), { recursive: true });
}

function settings(
  module: MiniflareModule,
  options: HostOptions,
  lines: SourceLines,
  { modules, later }: WorkerCode,
  begins: () => void,
): MiniflareOptions {
  const durableObjects = Object.fromEntries(
    Object.entries(DURABLE_OBJECTS).map((
      [name, className],
    ) => [name, { className, useSQLite: true }]),
  );
  return {
    name: "kontract",
    host: "127.0.0.1",
    port: 0,
    modulesRoot: workerFolder(options),
    modules: modules.map((one) => ({ type: "ESModule", ...one })),
    ...(later === undefined ? {} : {
      unsafeUseModuleFallbackService: true,
      unsafeModuleFallbackService: ({ url }: { readonly url: string }) =>
        fallback(module, options, new URL(url).searchParams.get("specifier") ?? "", later),
    }),
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: [...COMPATIBILITY_FLAGS],
    durableObjects,
    durableObjectsPersist: join(options.state, "objects"),
    unsafeTriggerHandlers: true,
    bindings: { ...options.env },
    cf: false,
    handleRuntimeStdio(stdout: Readable, stderr: Readable) {
      // Before the process is told what to listen on. Where one ended by itself miniflare starts the next.
      begins();
      options.output(webStream(stdout).pipeThrough(lines.stream()), "stdout");
      options.output(webStream(stderr).pipeThrough(lines.stream()), "stderr");
    },
  };
}

/** Answers workerd, which asks for a module that it does not have. */
function fallback(
  module: MiniflareModule,
  options: HostOptions,
  specifier: string,
  later: (path: string) => string | undefined,
): InstanceType<MiniflareModule["Response"]> {
  const path = specifier.replace(/^\//, "");
  const text = later(path);
  if (text === undefined) return new module.Response(null, { status: 404 });
  // As miniflare does it for modules that are there from the start: what stacks name is the file.
  const file = pathToFileURL(join(workerFolder(options), path)).href;
  return new module.Response(JSON.stringify({
    name: path,
    esModule: `${text}\n//# sourceURL=${file}`,
  }));
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
