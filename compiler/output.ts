/**
 * Writing results: all or nothing.
 *
 * A folder is written beside its place and swapped in by renames; a file is written beside its place
 * and renamed. A reader sees the old or the new, never a mixture; a crash leaves at most a folder
 * `.<name>.kontract-…` beside it, which the next build removes or puts back.
 *
 * A folder of hundreds of files in which an edit changes a few may be updated in place instead: the changed
 * files are written beside it, then renamed into it one by one. Then a reader must wait for the end, and a
 * crash between two renames leaves a mixture, until the next build puts a whole folder there.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { readText, timeAndSize } from "./file_texts.ts";

let counter = 0;

function beside(path: string, kind: "new" | "old"): string {
  return join(dirname(path), `.${basename(path)}.kontract-${kind}-${Deno.pid}-${counter++}`);
}

/** Contents by path below a folder. */
export type FolderFiles = ReadonlyMap<string, string | Uint8Array>;

interface Written {
  readonly contents: string | Uint8Array;
  /** Time, size and number of the file on disk: anything else is not what was written. */
  readonly stamp: string | undefined;
}

/** A new folder, not yet in its place. */
interface Fresh {
  readonly name: Promise<string>;
  readonly written: Map<string, Written>;
  /** Resolves when nothing is being written early, whether it could be or not. */
  idle: Promise<void>;
}

/** A folder that is replaced again and again. */
export class OutputFolder {
  /** What is in {@link OutputFolder.#folder}. */
  #written: Map<string, Written> = new Map();
  /** Folder that was written last; empty where that failed. */
  #folder = "";
  #fresh: Fresh | null = null;
  /** Removes the empty folders that an update leaves: nobody waits for that but the next one. */
  #removing: Promise<void> = Promise.resolve();

  /** True for a folder that {@link OutputFolder.update} will replace as a whole, too. */
  isNew(folder: string): boolean {
    return this.#folder !== folder;
  }

  /**
   * Begins a new folder with some of its `files`, for {@link OutputFolder.write} or {@link OutputFolder.drop}.
   * Asynchronous: it is for who waits for the others. What fails here is tried again by the former, which says so.
   */
  writeEarly(folder: string, files: FolderFiles): void {
    const fresh = this.#fresh ??= begun(folder);
    fresh.idle = fresh.idle.then(() => fillEarly(fresh, files)).catch(() => {});
  }

  /** Removes a new folder that does not get to its place. */
  async drop(): Promise<void> {
    const fresh = this.#fresh;
    this.#fresh = null;
    await fresh?.idle;
    await fresh?.name.then(removed, () => {});
  }

  /**
   * Replaces the folder by `files`.
   *
   * @param last What belongs to the same step: runs when all bytes are on the disk, before the swap; twice at worst
   */
  async write(folder: string, files: FolderFiles, last: LastStep = nothing): Promise<void> {
    this.#folder = "";
    await this.#fresh?.idle;
    // Its folder would stay, where it was the only one in it.
    const isVain = (path: string): boolean => !files.has(path);
    if ([...this.#fresh?.written.keys() ?? []].some(isVain)) await this.drop();
    const { name, written } = this.#fresh ??= begun(folder);
    try {
      const fresh = await name;
      this.#written = fill(fresh, files, written);
      await last();
      await swap(fresh, folder);
    } finally {
      await this.drop();
    }
    this.#folder = folder;
  }

  /** True where the folder still is what this object has written: asks for the time and size of each file. */
  holds(folder: string): boolean {
    return this.#folder === folder && holds(folder, this.#written);
  }

  /**
   * The same, in place where the folder still is what this object has written.
   *
   * @param isHeld What {@link OutputFolder.holds} said not long ago: what another hand has changed since is noticed
   * where it is in the way, or by the next call
   */
  async update(
    folder: string,
    files: FolderFiles,
    last: LastStep = nothing,
    isHeld: boolean = this.holds(folder),
  ): Promise<void> {
    if (!isHeld) return await this.write(folder, files, last);
    try {
      await this.#replace(folder, files, last);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      await this.write(folder, files, last);
    }
  }

  async #replace(folder: string, files: FolderFiles, last: LastStep): Promise<void> {
    const before = this.#written;
    this.#folder = "";
    await this.#removing;
    const fresh = await freshName(folder);
    try {
      const changed = changedFiles(files, before);
      this.#written = fill(fresh, changed);
      await last();
      move(fresh, folder, changed.keys(), before);
      for (const [path, file] of before) {
        if (!files.has(path)) Deno.removeSync(join(folder, path));
        else if (!changed.has(path)) this.#written.set(path, file);
      }
    } catch (error) {
      await removed(fresh);
      throw error;
    }
    this.#removing = removed(fresh).catch(() => {});
    this.#folder = folder;
  }
}

type LastStep = () => Promise<void>;

function nothing(): Promise<void> {
  return Promise.resolve();
}

function begun(folder: string): Fresh {
  return { name: freshName(folder), written: new Map(), idle: Promise.resolve() };
}

/** A name beside `folder`, where builds that were cut off have left nothing. */
async function freshName(folder: string): Promise<string> {
  await Deno.mkdir(dirname(folder), { recursive: true });
  await removeLeftovers(folder);
  return beside(folder, "new");
}

/** True where each file is the one that was written. */
function holds(folder: string, written: ReadonlyMap<string, Written>): boolean {
  return [...written].every(([path, { stamp }]) => timeAndSize(join(folder, path)) === stamp);
}

function changedFiles(files: FolderFiles, before: ReadonlyMap<string, Written>): FolderFiles {
  return new Map(
    [...files].filter(([path, contents]) => {
      const known = before.get(path)?.contents;
      return known === undefined || !same(known, contents);
    }),
  );
}

/**
 * Moves files to where others may be. These are removed first: a file that is renamed onto another is written to the
 * disk there and then by some file systems (ext4), which takes longer than all the rest of an update.
 */
function move(
  from: string,
  to: string,
  paths: Iterable<string>,
  old: ReadonlyMap<string, Written>,
): void {
  const made = new Set<string>();
  for (const path of paths) {
    const target = join(to, path);
    if (old.has(path)) Deno.removeSync(target);
    else makeParent(target, made);
    Deno.renameSync(join(from, path), target);
  }
}

/** Makes the folder of a file, once. */
function makeParent(file: string, made: Set<string>): void {
  const parent = dirname(file);
  if (made.has(parent)) return;
  Deno.mkdirSync(parent, { recursive: true });
  made.add(parent);
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

/**
 * Fills a new folder, of which some may be there `early`. Synchronous: hundreds of small files take less time than as
 * many waits.
 */
function fill(
  fresh: string,
  files: FolderFiles,
  early: ReadonlyMap<string, Written> = new Map(),
): Map<string, Written> {
  const written = new Map<string, Written>();
  const made = new Set<string>();
  for (const [path, contents] of files) {
    const target = join(fresh, path), known = early.get(path);
    const stamp = known && timeAndSize(target);
    if (stamp !== undefined && stamp === known?.stamp && same(known.contents, contents)) {
      written.set(path, known);
      continue;
    }
    makeParent(target, made);
    if (typeof contents === "string") Deno.writeTextFileSync(target, contents);
    else Deno.writeFileSync(target, contents);
    written.set(path, { contents, stamp: timeAndSize(target) });
  }
  Deno.mkdirSync(fresh, { recursive: true });
  return written;
}

/** The same while others work. */
async function fillEarly({ name, written }: Fresh, files: FolderFiles): Promise<void> {
  const folder = await name;
  const made = new Set<string>();
  for (const [path, contents] of files) {
    const target = join(folder, path);
    makeParent(target, made);
    if (typeof contents === "string") await Deno.writeTextFile(target, contents);
    else await Deno.writeFile(target, contents);
    written.set(path, { contents, stamp: timeAndSize(target) });
  }
}

function same(a: string | Uint8Array, b: string | Uint8Array): boolean {
  if (a === b) return true;
  if (typeof a === "string" || typeof b === "string") return false;
  return a.length === b.length && Buffer.compare(a, b) === 0;
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
  if (readText(path) === text) return false;
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

/** Writes a file where it can be written; true where it has this text then. */
export async function writeIfPossible(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text);
    return true;
  } catch (error) {
    if (isDiskError(error)) return false;
    throw error;
  }
}

/** True for what a disk, or who may not use it, is the reason of. */
export function isDiskError(error: unknown): error is Error {
  return error instanceof Error &&
    (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied ||
      // What has a NUL in it never gets as far as the system.
      /os error|NUL byte/.test(error.message) || "syscall" in error);
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
