/**
 * A host for many builds: while one is served, the process for the next one is started already, so that an
 * edit does not wait for a process.
 *
 * @module
 */
import type { DevHost } from "./host.ts";

/** Output that imports what of a build may be loaded before the next one comes; not in one that is bundled. */
export const AHEAD = "ahead.js";

/** The next process is not started while the first answers of this one are made. */
const STANDBY_MS = 200;

/** A process without a build. */
export interface Standby {
  /** Where it listens, once {@link Standby.load} has resolved. */
  readonly origin: string;
  /** See {@link DevHost.socket}. */
  readonly socket?: string | undefined;
  /** Gets ready, since a build may come soon. Never rejects. */
  expect(): Promise<void>;
  /** True where it is up, and what it has loaded is what the build in `dist` would load. */
  fits(): Promise<boolean>;
  /**
   * Loads the build in `dist`, once. Of one that was started ahead, {@link Standby.fits} has been asked just before.
   *
   * @throws {KontractError} `BUILD_FAILED`; the process is to be stopped then
   */
  load(): Promise<void>;
  /** See {@link DevHost.scheduled}. */
  scheduled?(): Promise<void>;
  /** Ends it. */
  stop(): Promise<void>;
}

/** How processes are started and take turns. */
export interface StandbyOptions {
  /** Starts one; with `ahead` for a build to come, and null where that cannot be. */
  readonly start: (ahead: boolean) => Promise<Standby | null>;
  /** True where the process before must be gone before the next one serves: both would write the same files. */
  readonly alone: boolean;
}

/** Serves each build from a process of its own. */
export class StandbyHost implements DevHost {
  readonly #options: StandbyOptions;
  #running: Standby | null = null;
  #next: Promise<Standby | null> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ending: Promise<unknown> = Promise.resolve();

  /** Nothing is started before the first {@link StandbyHost.load}. */
  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  /** That of the process that serves. */
  get socket(): string | undefined {
    return this.#running?.socket;
  }

  /** Loads the build in `dist` into the process that waits. */
  async load(): Promise<string> {
    // Nobody is served until this has resolved, and nobody by the process before if it rejects.
    if (this.#options.alone) this.#endRunning();
    const next = await this.#take();
    try {
      await next.load();
    } catch (error) {
      await next.stop();
      throw error;
    }
    this.#endRunning();
    this.#running = next;
    if (this.#options.alone) await this.#ending;
    this.#timer = setTimeout(() => {
      this.#next = this.#options.start(true);
      // What it reads then of its own programs and of the database's does not keep an edit's build from the processor.
      void this.expect();
    }, STANDBY_MS);
    return next.origin;
  }

  /** The process that waits connects to the database, or is connected still, while the build is made. */
  async expect(): Promise<void> {
    const next = this.#next;
    const waiting = await next?.catch(() => null);
    if (this.#next === next) await waiting?.expect();
  }

  /** That of the process that serves. */
  async scheduled(): Promise<void> {
    await this.#running?.scheduled?.();
  }

  /** Ends all processes. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    const next = await this.#next?.catch(() => null);
    await Promise.all([this.#ending, this.#running?.stop(), next?.stop()]);
  }

  /** The process that waits, where it fits this build; a fresh one otherwise. */
  async #take(): Promise<Standby> {
    clearTimeout(this.#timer);
    const waiting = await this.#next?.catch(() => null) ?? null;
    this.#next = null;
    if (waiting !== null && await waiting.fits()) return waiting;
    this.#end(waiting);
    const fresh = await this.#options.start(false);
    if (fresh === null) {
      throw new Error("Invariant: a process for a build that is there was not started.");
    }
    return fresh;
  }

  #endRunning(): void {
    this.#end(this.#running);
    this.#running = null;
  }

  #end(standby: Standby | null): void {
    if (standby !== null) this.#ending = Promise.all([this.#ending, standby.stop()]);
  }
}
