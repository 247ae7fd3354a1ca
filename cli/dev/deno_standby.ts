/**
 * A Deno process that waits for the next build, so that an edit does not wait for a process.
 *
 * It has the package and npm's modules loaded as the last build had them, and of that build what is not the author's,
 * whose names tell what is in it. Where the next one has others, this
 * process is of no use: {@link DenoStandby.fits} says so.
 *
 * @module
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { KontractError } from "../../_internal/errors.ts";
import { freePort } from "../embedded_postgres.ts";
import { type KeptProcess, spawnKept } from "../process/keeper.ts";
import { answering, hostProcess, START_TIMEOUT_MS } from "./deno_process.ts";
import type { HostOptions } from "./host.ts";
import { AHEAD, type Standby } from "./standby_host.ts";

const RUNNER = new URL("./deno_runner.ts", import.meta.url).href;

/** A process without a build. */
export class DenoStandby implements Standby {
  /** Where it listens, once {@link load} has resolved. */
  readonly origin: string;
  readonly #process: KeptProcess;
  readonly #path: string;
  readonly #options: HostOptions;
  readonly #vendor: string;
  readonly #port: number;

  private constructor(options: HostOptions, vendor: string, runner: string, modules: string[]) {
    this.#options = options;
    this.#vendor = vendor;
    this.#port = freePort();
    this.#path = `/${crypto.randomUUID()}`;
    this.origin = `http://127.0.0.1:${this.#port}`;
    const entry = pathToFileURL(join(options.dist, "deno", "server.js")).href;
    this.#process = spawnKept(hostProcess(options, "run", [
      runner,
      `${this.#port}`,
      this.#path,
      entry,
      ...modules,
    ]));
    options.output(this.#process.stdout, "stdout");
    options.output(this.#process.stderr, "stderr");
  }

  /** Starts one; `ahead` of a build it loads what the one in `dist` shares with the next. */
  static async start(options: HostOptions, ahead: boolean): Promise<Standby> {
    const folder = join(options.dist, "deno");
    // Beside the app's deno.json, which Deno finds from there.
    const runner = join(options.state, "runner.js");
    await Deno.mkdir(options.state, { recursive: true });
    await Deno.writeTextFile(runner, `import ${JSON.stringify(RUNNER)};\n`);
    const vendor = await vendorStamp(folder);
    return new DenoStandby(options, vendor, runner, ahead ? await sharedModules(folder) : []);
  }

  /** Lets the package ask the database something. */
  async expect(): Promise<void> {
    try {
      await answering(this.#process, this.#port);
    } catch {
      return; // `fits` will find it so, too.
    }
    await (await this.#post("?expect"))?.body?.cancel();
  }

  /** True where it is up, and what it has loaded is what the build in `dist` would load. */
  async fits(): Promise<boolean> {
    if (this.#vendor !== await vendorStamp(join(this.#options.dist, "deno"))) return false;
    return await answering(this.#process, this.#port).then(() => true, () => false);
  }

  /**
   * Imports the build in `dist`, once.
   *
   * @throws {KontractError} `BUILD_FAILED`; the process is to be stopped then
   */
  async load(): Promise<void> {
    await answering(this.#process, this.#port);
    if ((await this.#post(""))?.status === 204) return;
    throw new KontractError("BUILD_FAILED", "Deno does not run this build; see above.");
  }

  /** Null without an answer: the build ended the process, or waits for something before it can serve. */
  async #post(search: string): Promise<Response | null> {
    const signal = AbortSignal.timeout(START_TIMEOUT_MS);
    return await fetch(`${this.origin}${this.#path}${search}`, { method: "POST", signal })
      .catch(() => null);
  }

  /** Ends the process. */
  stop(): Promise<void> {
    return this.#process.stop();
  }
}

/** Name, size and time of everything that is not the app's own. */
async function vendorStamp(folder: string): Promise<string> {
  const found: string[] = [];
  for (const { name, path } of await vendorFiles(folder)) {
    const { size, mtime } = await Deno.stat(path);
    found.push(`${name} ${size} ${mtime?.getTime()}`);
  }
  return found.join("\n");
}

/** What every build's entry imports first, where none of it leads back into the app. */
async function sharedModules(folder: string): Promise<string[]> {
  for (const { path } of await vendorFiles(folder)) {
    if (/["']\.\.\/(?:app|chunks)\//.test(await Deno.readTextFile(path))) return [];
  }
  const entry = await Deno.readTextFile(join(folder, "server.js"));
  const vendor = [...entry.matchAll(/\bfrom *"(\.\/vendor\/[^"]+)"/g)].map(([, file]) => file!);
  const isThere = await Deno.stat(join(folder, AHEAD)).then(() => true, () => false);
  return [...vendor, ...isThere ? [AHEAD] : []]
    .map((file) => pathToFileURL(join(folder, file)).href);
}

async function vendorFiles(
  folder: string,
): Promise<readonly { readonly name: string; readonly path: string }[]> {
  const vendor = join(folder, "vendor");
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(vendor)) if (name.endsWith(".js")) names.push(name);
  } catch (error) {
    // Bundled as a whole: nothing is shared.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort().map((name) => ({ name, path: join(vendor, name) }));
}
