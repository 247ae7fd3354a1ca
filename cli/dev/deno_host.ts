/**
 * The built app on plain Deno, in a process of its own per build. The next build is started beside the old
 * one, which ends once the new one answers. `dev` keeps a process at hand that waits for the next build.
 *
 * @module
 */
import { join } from "node:path";
import { freePort } from "../embedded_postgres.ts";
import { type KeptProcess, spawnKept } from "../process/keeper.ts";
import { answering, hostProcess } from "./deno_process.ts";
import { Standby } from "./deno_standby.ts";
import type { DevHost, HostOptions } from "./host.ts";

/** The next process is not started while the first answers of this one are made. */
const STANDBY_MS = 200;

/** Makes the host; a process starts with each {@link DevHost.load}. */
export function denoHost(options: HostOptions): DevHost {
  return options.again ? new StandbyHost(options) : serveHost(options);
}

/** `deno serve`, as in production. */
function serveHost(options: HostOptions): DevHost {
  let running: KeptProcess | null = null;
  return {
    async load(): Promise<string> {
      const port = freePort();
      running = spawnKept(hostProcess(options, [
        "serve",
        "--allow-all",
        "--no-lock",
        "--quiet",
        "--host=127.0.0.1",
        `--port=${port}`,
        join(options.dist, "deno", "server.js"),
      ]));
      options.output(running.stdout, "stdout");
      options.output(running.stderr, "stderr");
      await answering(running, port);
      return `http://127.0.0.1:${port}`;
    },
    stop: () => running?.stop() ?? Promise.resolve(),
  };
}

class StandbyHost implements DevHost {
  readonly #options: HostOptions;
  #running: KeptProcess | null = null;
  #next: Promise<Standby> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ending: Promise<unknown> = Promise.resolve();

  constructor(options: HostOptions) {
    this.#options = options;
  }

  async load(): Promise<string> {
    const next = await this.#take();
    try {
      await next.load();
    } catch (error) {
      await next.process.stop();
      throw error;
    }
    this.#end(this.#running);
    this.#running = next.process;
    this.#timer = setTimeout(() => {
      this.#next = Standby.start(this.#options, true);
      this.#next.catch(() => {});
    }, STANDBY_MS);
    return next.origin;
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    const next = await this.#next?.catch(() => null);
    await Promise.all([this.#ending, this.#running?.stop(), next?.process.stop()]);
  }

  /** The process that waits, where it fits this build; a fresh one otherwise. */
  async #take(): Promise<Standby> {
    clearTimeout(this.#timer);
    const waiting = await this.#next?.catch(() => null) ?? null;
    this.#next = null;
    if (waiting !== null && await waiting.fits()) return waiting;
    this.#end(waiting?.process ?? null);
    return await Standby.start(this.#options, false);
  }

  #end(process: KeptProcess | null): void {
    if (process !== null) this.#ending = Promise.all([this.#ending, process.stop()]);
  }
}
