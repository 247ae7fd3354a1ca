/**
 * Watches what an app is made from and does not hold: modules of other members of a workspace, of linked
 * packages and of folders beside it, and configuration further up.
 *
 * Folders are watched, not files, since editors replace a file, and only what a build has asked for counts.
 * Of what is not there the nearest folder that is there is watched, so a file or a folder that comes back
 * is seen.
 *
 * @module
 */
import { dirname, sep } from "node:path";

/** Watches the files that the last build has asked for. */
export class OutsideFiles implements Disposable {
  readonly #changed: () => void;
  #files: ReadonlySet<string> = new Set();
  /** The watched folders; a folder that was made anew has another number. */
  #folders: ReadonlyMap<string, number | null> = new Map();
  #watcher: Deno.FsWatcher | null = null;
  #isDone = false;

  /** `changed` is called for each sign of a change. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Watches these from now on; `since` is when the build began that has asked for them. */
  follow(files: readonly string[], since: number): void {
    if (this.#isDone) return;
    const before = this.#folders;
    this.#files = new Set(files);
    this.#folders = foldersOf(files);
    if (isSame(before, this.#folders)) return;
    this.#watcher?.close();
    this.#watcher = null;
    if (this.#folders.size > 0) {
      this.#watcher = Deno.watchFs([...this.#folders.keys()], { recursive: false });
      void this.#listen(this.#watcher);
    }
    // What changed before anybody watched.
    const fresh = files.filter((file) =>
      before.get(dirname(file)) !== this.#folders.get(dirname(file))
    );
    if (fresh.some((file) => changedAt(file) >= since)) this.#changed();
  }

  /** Ends it. */
  [Symbol.dispose](): void {
    this.#isDone = true;
    this.#watcher?.close();
  }

  async #listen(watcher: Deno.FsWatcher): Promise<void> {
    for await (const event of watcher) {
      if (event.kind !== "access" && event.paths.some((path) => this.#counts(path))) {
        this.#changed();
      }
    }
  }

  /** True for a file that is asked for, and for a folder that one of them lies in. */
  #counts(path: string): boolean {
    if (this.#files.has(path)) return true;
    return [...this.#files].some((file) => file.startsWith(path + sep));
  }
}

function foldersOf(files: readonly string[]): ReadonlyMap<string, number | null> {
  const found = new Map<string, number | null>();
  for (const wanted of new Set(files.map(dirname))) {
    for (let folder = wanted;; folder = dirname(folder)) {
      const number = numberOf(folder);
      if (number !== undefined) found.set(folder, number);
      if (number !== undefined || dirname(folder) === folder) break;
    }
  }
  return found;
}

function isSame(
  a: ReadonlyMap<string, number | null>,
  b: ReadonlyMap<string, number | null>,
): boolean {
  return a.size === b.size && [...a].every(([folder, number]) => b.get(folder) === number);
}

/** Undefined where there is no such folder. */
function numberOf(folder: string): number | null | undefined {
  try {
    const { isDirectory, ino } = Deno.statSync(folder);
    return isDirectory ? ino : undefined;
  } catch {
    return undefined;
  }
}

/** When a file, or the link that it is, last changed. */
function changedAt(file: string): number {
  try {
    const times = [Deno.statSync(file), Deno.lstatSync(file)].flatMap((
      one,
    ) => [one.mtime, one.ctime]);
    return Math.max(...times.map((time) => time?.getTime() ?? 0));
  } catch {
    return 0;
  }
}
