/**
 * A workerd process that waits for the next build, so that an edit does not wait for a process, nor for
 * hundreds of modules: what it does not have, workerd asks for when something imports it.
 *
 * Its entry has the Durable Objects' classes, which are the package's, and imports the app when it is told to. It
 * has the package loaded, with what a first call needs of it, as the last build had it; and of that build what is not
 * the author's, whose names tell what is in it. Where the next one has
 * another, this process is of no use: {@link WorkersStandby.fits} says so.
 *
 * @module
 */
import { join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import type { Miniflare as MiniflareModule } from "../load_miniflare.ts";
import { START_TIMEOUT_MS } from "./deno_process.ts";
import type { HostOptions, NewestOutputs } from "./host.ts";
import type { SourceLines } from "./source_lines.ts";
import { AHEAD, type Standby } from "./standby_host.ts";
import { textOf, WorkerModules } from "./worker_modules.ts";
import { startWorkerd, type Workerd, workerFolder } from "./workerd.ts";

const ENTRY = "./worker.js";
const RUNNER = "kontract-runner.js";
const WARM = "warm", EXPECT = "expect";

/** What a process is started with. */
export interface WorkersStandbyInput {
  readonly options: HostOptions;
  readonly loading: Promise<MiniflareModule>;
  readonly lines: SourceLines;
  readonly outputs: NewestOutputs;
  /** True: before there is the build that it will load. */
  readonly ahead: boolean;
}

/** What a process gets when it asks for modules. */
interface LoadedCode {
  modules: WorkerModules;
  /** What its entry has of them from the start. */
  readonly shared: string | null;
}

/** A process without a build. */
export class WorkersStandby implements Standby {
  readonly origin: string;
  readonly socket: string | undefined;
  readonly #workerd: Workerd;
  readonly #path: string;
  readonly #input: WorkersStandbyInput;
  readonly #code: LoadedCode;
  #stopping: Promise<void> | null = null;

  private constructor(
    workerd: Workerd,
    path: string,
    input: WorkersStandbyInput,
    code: LoadedCode,
  ) {
    this.origin = workerd.origin;
    this.socket = workerd.socket;
    this.#workerd = workerd;
    this.#path = path;
    this.#input = input;
    this.#code = code;
  }

  /**
   * Starts one; null where it would have to be ahead of its build and cannot.
   *
   * @throws {KontractError} `BUILD_FAILED`
   */
  static async start(input: WorkersStandbyInput): Promise<WorkersStandby | null> {
    const { options, loading, lines, outputs, ahead } = input;
    const modules = new WorkerModules(outputs());
    const code = { modules, shared: sharedModule(modules) };
    if (ahead && code.shared === null) return null;
    const path = `/${crypto.randomUUID()}`;
    const workerd = await startWorkerd(await loading, options, lines, {
      modules: [{
        path: join(workerFolder(options), RUNNER),
        contents: runner(path, code.shared, modules.text(AHEAD) !== undefined),
      }],
      later: (asked) => code.modules.text(asked),
    });
    if (ahead) await posted(`${workerd.origin}${path}?${WARM}`);
    return new WorkersStandby(workerd, path, input, code);
  }

  /** Lets the package ask the database something. */
  async expect(): Promise<void> {
    await posted(`${this.origin}${this.#path}?${EXPECT}`);
  }

  /** True where what it may have loaded already is what the build in `dist` would load; it takes that build then. */
  fits(): Promise<boolean> {
    const modules = new WorkerModules(this.#input.outputs());
    const { modules: before } = this.#code;
    const fit = sharedExport(before) === sharedExport(modules) && sameVendor(before, modules);
    if (fit) this.#code.modules = modules;
    return Promise.resolve(fit);
  }

  /**
   * Imports the build that was in `dist` when it was started or asked whether it fits, once.
   *
   * @throws {KontractError} `BUILD_FAILED`; the process is to be stopped then
   */
  async load(): Promise<void> {
    this.#input.lines.clear();
    if (await posted(`${this.origin}${this.#path}`) === 204) return;
    throw new KontractError("BUILD_FAILED", "workerd does not run this build; see above.");
  }

  /** See `DevHost.scheduled`. */
  scheduled(): Promise<void> {
    return this.#workerd.scheduled();
  }

  /** Ends the process. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#workerd.stop();
  }
}

/** Status of the answer; null where there is none. */
async function posted(url: string): Promise<number | null> {
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  const response = await fetch(url, { method: "POST", signal }).catch(() => null);
  await response?.body?.cancel();
  return response?.status ?? null;
}

/** Outputs that a build has not made again are the same objects. */
function sameVendor(a: WorkerModules, b: WorkerModules): boolean {
  const [before, now] = [a.vendor(), b.vendor()];
  return before.size === now.size && [...before].every(([path, contents]) => {
    const other = now.get(path);
    return other === contents || other !== undefined && textOf(other) === textOf(contents);
  });
}

/** Imports and exports what is shared, the Durable Objects' classes; null where any of it leads into the app. */
function sharedModule(modules: WorkerModules): string | null {
  for (const contents of modules.vendor().values()) {
    if (/["']\.\.\/(?:app|chunks)\//.test(textOf(contents))) return null;
  }
  return sharedExport(modules);
}

function sharedExport(modules: WorkerModules): string | null {
  const found = /^export (\{[^}]*\}) from ("\.\/vendor\/[^"]+");$/m.exec(
    modules.text("worker.js") ?? "",
  );
  return found && `export ${found[1]} from ${found[2]};\nimport * as shared from ${found[2]};`;
}

/**
 * The entry. A process that ended by itself is started again by miniflare: then the first request finds the app
 * not imported yet.
 */
function runner(path: string, shared: string | null, ahead: boolean): string {
  return `${shared ?? `export * from "${ENTRY}";\nconst shared = {};`}
let app;
async function load() {
  app ??= (await import("${ENTRY}")).default;
}
export default {
  async fetch(request, env, context) {
    const url = new URL(request.url);
    if (url.pathname !== "${path}") {
      await load();
      return await app.fetch(request, env, context);
    }
    try {
      if (url.search === "?${WARM}") {
        await shared.warmUp?.();
        ${ahead ? `await import("./${AHEAD}");` : ""}
      }
      else if (url.search === "?${EXPECT}") await shared.warmUp?.(env, context);
      else {
        await load();
        // While the process before ends.
        shared.prepareGateway?.(env);
      }
      return new Response(null, { status: 204 });
    } catch (error) {
      console.error(error?.stack ?? error);
      return new Response(null, { status: 500 });
    }
  },
  async scheduled(event, env, context) {
    await load();
    await app.scheduled(event, env, context);
  },
};
`;
}
