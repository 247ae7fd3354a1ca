/**
 * `.kontract/dev.json`: where a running `start` or `dev` can be looked at, and the lock that keeps two
 * of them out of one folder.
 *
 * It holds passwords, so it has mode 600. It is removed on exit; one that stayed behind is recognised by
 * the pid and start time of its process and taken over.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { identifyProcess, isSameProcess } from "../process/identity.ts";

/** What a person or a tool may want to know. */
export interface DevInfo {
  readonly url: string;
  readonly databaseUrl: string;
  readonly databaseAdminUrl: string;
}

/** The lock, held by this process. */
export class DevFile {
  readonly #path: string;
  readonly #started: string;

  private constructor(path: string, started: string) {
    this.#path = path;
    this.#started = started;
  }

  /**
   * Takes the folder for this process.
   *
   * @throws {KontractError} `CONFIG` where a living process holds it.
   */
  static async claim(path: string): Promise<DevFile> {
    const started = (await identifyProcess(Deno.pid))?.started ?? "";
    const file = new DevFile(path, started);
    for (;;) {
      try {
        await file.#write({}, true);
        return file;
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
      await refuseLiving(path);
      await Deno.remove(path).catch(() => {});
    }
  }

  /** Says where everything is; atomic, so a reader never sees half a file. */
  async publish(info: DevInfo): Promise<void> {
    await this.#write(info, false);
  }

  /** Gives the folder back. */
  async release(): Promise<void> {
    if ((await readHolder(this.#path))?.pid === Deno.pid) await Deno.remove(this.#path);
  }

  async #write(info: Partial<DevInfo>, createNew: boolean): Promise<void> {
    const text = JSON.stringify({ ...info, pid: Deno.pid, started: this.#started }, null, 2);
    if (createNew) {
      await Deno.writeTextFile(this.#path, `${text}\n`, { createNew, mode: 0o600 });
      return;
    }
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

async function refuseLiving(path: string): Promise<void> {
  const holder = await readHolder(path);
  if (holder === null || !(await isSameProcess(holder.pid, holder.started))) return;
  const where = holder.url === undefined ? "" : ` at ${holder.url}`;
  throw new KontractError(
    "CONFIG",
    `This app runs already${where} (process ${holder.pid}). Stop that one first.`,
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
