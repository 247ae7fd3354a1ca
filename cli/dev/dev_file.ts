/**
 * `.kontract/dev.json`: where a running `start` or `dev` can be looked at, and the lock that keeps two
 * of them out of one folder.
 *
 * The lock is the operating system's, on `.kontract/lock`: it ends with its process, however that ends, and
 * two that ask at the same moment cannot both have it. Whoever holds it owns `dev.json`; one that stayed
 * behind is overwritten. That file holds passwords, so it has mode 600. It is removed on exit, and readers
 * recognise a left-over by the pid and start time in it.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";
import { identifyProcess, isSameProcess } from "../process/identity.ts";

/** What a person or a tool may want to know. */
export interface DevInfo {
  readonly url: string;
  readonly databaseUrl: string;
  readonly databaseAdminUrl: string;
}

/** A process that was just forked shares its parent's locks until it is another program. */
const TRIES = 5;

/** The lock, held by this process. */
export class DevFile {
  readonly #path: string;
  readonly #started: string;
  readonly #lock: Deno.FsFile;

  private constructor(path: string, started: string, lock: Deno.FsFile) {
    this.#path = path;
    this.#started = started;
    this.#lock = lock;
  }

  /**
   * Takes the folder for this process.
   *
   * @throws {KontractError} `CONFIG` where a living process holds it.
   */
  static async claim(path: string): Promise<DevFile> {
    const started = (await identifyProcess(Deno.pid))?.started ?? "";
    const lock = await Deno.open(join(dirname(path), "lock"), { create: true, write: true });
    for (let tries = 1; !await lock.tryLock(true); tries++) {
      if (tries === TRIES) {
        lock.close();
        throw await inUse(path);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const file = new DevFile(path, started, lock);
    await file.#write({});
    return file;
  }

  /** Says where everything is. */
  async publish(info: DevInfo): Promise<void> {
    await this.#write(info);
  }

  /** Gives the folder back. */
  async release(): Promise<void> {
    await Deno.remove(this.#path).catch(() => {});
    this.#lock.close();
  }

  /** Atomic, so a reader never sees half a file. */
  async #write(info: Partial<DevInfo>): Promise<void> {
    const text = JSON.stringify({ ...info, pid: Deno.pid, started: this.#started }, null, 2);
    const next = `${this.#path}.next`;
    await Deno.writeTextFile(next, `${text}\n`, { mode: 0o600 });
    await Deno.rename(next, this.#path);
  }
}

/** What a living `start` or `dev` says of itself; null where none runs. */
export async function readDevInfo(path: string): Promise<DevInfo | null> {
  const holder = await readHolder(path);
  if (holder === null || !(await isSameProcess(holder.pid, holder.started))) return null;
  const { url, databaseUrl, databaseAdminUrl } = JSON.parse(await Deno.readTextFile(path));
  const told = [url, databaseUrl, databaseAdminUrl].every((one) => typeof one === "string");
  return told ? { url, databaseUrl, databaseAdminUrl } : null;
}

async function inUse(path: string): Promise<KontractError> {
  const holder = await readHolder(path);
  const where = holder?.url === undefined ? "" : ` at ${holder.url}`;
  const who = holder === null ? "" : ` (process ${holder.pid})`;
  return new KontractError(
    "CONFIG",
    `This app runs already${where}${who}. Stop that one first.`,
  );
}

interface Holder {
  readonly pid: number;
  readonly started: string;
  readonly url?: string;
}

async function readHolder(path: string): Promise<Holder | null> {
  try {
    const value: unknown = JSON.parse(await Deno.readTextFile(path));
    if (typeof value !== "object" || value === null) return null;
    const { pid, started, url } = value as Record<string, unknown>;
    if (typeof pid !== "number" || typeof started !== "string") return null;
    return typeof url === "string" ? { pid, started, url } : { pid, started };
  } catch {
    return null;
  }
}
