/**
 * Files as one build sees them: each is looked at once, and read again only where it may have changed.
 *
 * A file of the app's own is read in every round. Any other (a package's, TypeScript's) changes by an update
 * only: its time and size tell.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { sep } from "node:path";
import { digest } from "./digest.ts";

/** Milliseconds without a change after which a file counts as whole. */
export const SETTLE_MS = 20;

/** Files that are read as texts; of any other its time and size tell, an own one's too. */
const TEXT = /\.(?:[cm]?[jt]sx?|jsonc?|css|html|txt|md|svg)$/;

/** What Deno writes at the end of a remote file in its cache. */
const CACHE_NOTE = /\n\/\/ denoCacheMetadata=.*\s*$/;

interface Seen {
  round: number;
  /** The text itself, or time and size; undefined where there is no such file. */
  readonly stamp: string | undefined;
  text?: string | undefined;
  hash?: string;
}

/** Texts of one app's files and of what it uses. Owned by one builder. */
export class FileTexts {
  #root = "";
  #round = 0;
  /** The app's own files that this round found to be others than the last one did. */
  readonly #changed: Set<string> = new Set();
  readonly #seen: Map<string, Seen> = new Map();

  /** Begins a round: what is asked for from now on is looked at again. */
  refresh(root: string): void {
    for (const [file, { round }] of this.#seen) {
      if (round < this.#round || root !== this.#root) this.#seen.delete(file);
    }
    this.#root = root;
    this.#round++;
    this.#changed.clear();
  }

  /** True where each file that this round found changed still is what was read of it. */
  holds(): boolean {
    return [...this.#changed].every((file) => this.#now(file) === this.#seen.get(file)?.stamp);
  }

  /** A file's text; undefined where there is none. */
  read(file: string): string | undefined {
    const seen = this.#look(file);
    if (seen.stamp === undefined) return undefined;
    return seen.text ??= readText(file)?.replace(CACHE_NOTE, "\n");
  }

  /** True where there is one: what this round has found is not looked for again. */
  has(file: string): boolean {
    const seen = this.#seen.get(file);
    return seen?.round === this.#round && seen.stamp !== undefined || isFile(file);
  }

  /** Equal as long as the file is what it was; undefined where there is none. */
  stamp(file: string): string | undefined {
    return this.#look(file).stamp;
  }

  /** Hash of what is in a file. */
  hash(file: string): string {
    const seen = this.#look(file);
    return seen.hash ??= digest([(TEXT.test(file) ? this.read(file) : readBytes(file)) ?? ""], 32);
  }

  #look(file: string): Seen {
    const before = this.#seen.get(file);
    if (before?.round === this.#round) return before;
    const stamp = this.#now(file);
    if (before?.stamp !== stamp && this.#isOwnText(file)) this.#changed.add(file);
    const seen: Seen = before !== undefined && before.stamp === stamp
      ? before
      : { round: 0, stamp, ...(this.#isOwnText(file) ? { text: stamp } : {}) };
    seen.round = this.#round;
    this.#seen.set(file, seen);
    return seen;
  }

  #now(file: string): string | undefined {
    return this.#isOwnText(file) ? readText(file) : timeAndSize(file);
  }

  #isOwnText(file: string): boolean {
    return TEXT.test(file) && file.startsWith(this.#root + sep) &&
      !file.includes(`${sep}node_modules${sep}`);
  }
}

/**
 * When a file was written and how long it is; undefined where there is none. Asked for more than a thousand times in a
 * build: Deno follows a link in three times the time that it looks at a file in.
 */
export function timeAndSize(file: string): string | undefined {
  try {
    const found = Deno.lstatSync(file);
    const { mtime, size, ino, isFile } = found.isSymlink ? Deno.statSync(file) : found;
    return isFile ? `${mtime?.getTime()}:${size}:${ino}` : undefined;
  } catch {
    return undefined;
  }
}

/** A file's text, undefined where it cannot be read. Synchronous: a small file takes less time than a wait. */
export function readText(file: string): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    return undefined;
  }
}

/** A character for each byte: no two contents are the same text. */
function readBytes(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1").replace(CACHE_NOTE, "\n");
  } catch {
    return undefined;
  }
}

/** True where a file lies on disk now. */
export function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
