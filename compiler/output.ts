/**
 * Writing results: all or nothing.
 *
 * A folder is written beside its place and swapped in by renames; a file is written beside its place
 * and renamed. A reader sees the old or the new, never a mixture; a crash leaves at most a folder
 * `.<name>.kontract-…` beside it, which the next build removes or puts back. Files that are what they
 * were are linked into the new folder instead of written.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { linkSync, mkdirSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import process from "node:process";

let counter = 0;

function beside(path: string, kind: "new" | "old"): string {
  return join(dirname(path), `.${basename(path)}.kontract-${kind}-${Deno.pid}-${counter++}`);
}

/** Contents by path below a folder. */
export type FolderFiles = ReadonlyMap<string, string | Uint8Array>;

/** Replaces a folder by `files`. `last` is that of {@link OutputFolder.write}. */
export function writeFolder(
  folder: string,
  files: FolderFiles,
  last?: () => Promise<void>,
): Promise<void> {
  return new OutputFolder().write(folder, files, last);
}

interface Written {
  readonly contents: string | Uint8Array;
  /** Time, size and number of the file on disk: anything else is not what was written. */
  readonly stamp: string;
}

/** A folder that is replaced again and again. */
export class OutputFolder {
  #written: Map<string, Written> = new Map();
  #folder = "";

  /**
   * Replaces the folder by `files`.
   *
   * @param last What belongs to the same step: runs when all bytes are on the disk, before the swap
   */
  async write(
    folder: string,
    files: FolderFiles,
    last: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    await Deno.mkdir(dirname(folder), { recursive: true });
    await removeLeftovers(folder);
    const fresh = beside(folder, "new");
    const before = this.#folder === folder ? this.#written : new Map<string, Written>();
    this.#written = new Map();
    try {
      const written = fill(fresh, files, folder, before);
      await last();
      await swap(fresh, folder);
      this.#written = written;
      this.#folder = folder;
    } finally {
      await removed(fresh);
    }
  }
}

/** Another build may swap its folder in between our two renames; then ours goes on top of that. */
const SWAPS = 100;

/** Puts `fresh` in the place of `folder`. */
async function swap(fresh: string, folder: string): Promise<void> {
  for (let left = SWAPS;; left--) {
    const old = beside(folder, "old");
    const existed = await renamed(folder, old);
    try {
      await Deno.rename(fresh, folder);
      return;
    } catch (error) {
      if (left > 0 && await exists(fresh) && await exists(folder)) continue;
      if (existed) await Deno.rename(old, folder);
      throw error;
    } finally {
      await removed(old);
    }
  }
}

/** Fills a new folder. Synchronous: hundreds of small files take less time than as many waits. */
function fill(
  fresh: string,
  files: FolderFiles,
  folder: string,
  before: ReadonlyMap<string, Written>,
): Map<string, Written> {
  const written = new Map<string, Written>();
  const made = new Set<string>();
  for (const [path, contents] of files) {
    const target = join(fresh, path);
    const parent = dirname(target);
    if (!made.has(parent)) {
      mkdirSync(parent, { recursive: true });
      made.add(parent);
    }
    const known = before.get(path);
    if (known !== undefined && same(known.contents, contents)) {
      if (linked(join(folder, path), target, known.stamp)) {
        written.set(path, known);
        continue;
      }
    }
    writeFileSync(target, contents);
    written.set(path, { contents, stamp: stampOf(target) });
  }
  mkdirSync(fresh, { recursive: true });
  return written;
}

function same(a: string | Uint8Array, b: string | Uint8Array): boolean {
  if (a === b) return true;
  if (typeof a === "string" || typeof b === "string") return false;
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** Gives a file a second name; false where it is not the one that was written. */
function linked(from: string, to: string, stamp: string): boolean {
  try {
    linkSync(from, to);
  } catch {
    return false;
  }
  if (stampOf(to) === stamp) return true;
  unlinkSync(to);
  return false;
}

function stampOf(path: string): string {
  const { mtimeNs, size, ino } = statSync(path, { bigint: true });
  return `${mtimeNs}:${size}:${ino}`;
}

/**
 * Removes what builds that were cut off left beside `folder`. Where the folder itself is missing, the cut
 * was between the two renames: the old one is put back first.
 */
async function removeLeftovers(folder: string): Promise<void> {
  const names = new RegExp(
    `^\\.${RegExp.escape(basename(folder))}\\.kontract-(new|old)-(\\d+)-\\d+$`,
  );
  for await (const entry of Deno.readDir(dirname(folder))) {
    const [, kind, pid] = names.exec(entry.name) ?? [];
    if (kind === undefined || Number(pid) === Deno.pid || isAlive(Number(pid))) continue;
    const path = join(dirname(folder), entry.name);
    if (kind === "old" && !await exists(folder) && await renamed(path, folder)) continue;
    await removed(path);
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/** True where a process of this number runs: the folder may be its work under way. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { readonly code?: string }).code === "EPERM";
  }
}

/** Writes a file if its text is another; true where it was written. */
export async function writeFile(path: string, text: string): Promise<boolean> {
  if (await Deno.readTextFile(path).catch(() => null) === text) return false;
  await Deno.mkdir(dirname(path), { recursive: true });
  await removeLeftovers(path);
  const fresh = beside(path, "new");
  try {
    await Deno.writeTextFile(fresh, text);
    await Deno.rename(fresh, path);
  } finally {
    await removed(fresh);
  }
  return true;
}

async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await Deno.rename(from, to);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function removed(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
