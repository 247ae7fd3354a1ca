/**
 * Problems of types, kept between builds: in memory, and in `.kontract/checked.json` between processes.
 *
 * Each entry stands under the key of what its file means (`file_keys.ts`), so an entry is either right or
 * not looked at: it does not matter which build wrote it, whether another one runs now or when. The file
 * begins with the hash of the rest, and is replaced by a rename; what is cut off, mixed up or of another
 * version counts as nothing.
 *
 * @module
 */
import { join } from "node:path";
import ts from "typescript";
import type { Diagnostic } from "./diagnostic.ts";
import { digest } from "./digest.ts";
import { writeIfPossible } from "./output.ts";
import { appPath } from "./project.ts";

/** Raise it where a problem's text or place is made in another way. */
const FORMAT = 5;
const VERSION = `${FORMAT} ${ts.version} ${Deno.version.deno}`;

interface Entry {
  readonly key: string;
  readonly problems: readonly Diagnostic[];
}

/** The problems of one app's files. Owned by one builder. */
export class CheckCache {
  #entries: Map<string, Entry> = new Map();
  /** App whose file has been read. */
  #root: string | null = null;
  #changed = false;

  /** Reads what an earlier process has found out; once. */
  async load(root: string): Promise<void> {
    if (this.#root === root) return;
    this.#root = root;
    const text = await Deno.readTextFile(cacheFile(root)).catch(() => "");
    this.#entries = new Map(parse(text).map(([path, entry]) => [join(root, path), entry]));
    this.#changed = false;
  }

  /** Problems of a file that means `key`: known ones, or what `find` finds. */
  problems(file: string, key: string, find: () => readonly Diagnostic[]): readonly Diagnostic[] {
    const known = this.#entries.get(file);
    if (known?.key === key) return known.problems;
    const problems = find();
    this.#entries.set(file, { key, problems });
    this.#changed = true;
    return problems;
  }

  /** Forgets files that are gone. */
  forget(isGone: (file: string) => boolean): void {
    for (const file of this.#entries.keys()) {
      if (!isGone(file)) continue;
      this.#entries.delete(file);
      this.#changed = true;
    }
  }

  /** Writes what has been found out; where it cannot be, the next process finds it out again. */
  async save(): Promise<void> {
    const root = this.#root;
    if (!this.#changed || root === null) return;
    const entries = [...this.#entries].map(([file, entry]) => [appPath({ root }, file), entry]);
    const text = JSON.stringify([VERSION, entries]);
    this.#changed = !await writeIfPossible(cacheFile(root), `${digest([text], 64)}\n${text}\n`);
  }
}

function cacheFile(root: string): string {
  return join(root, ".kontract", "checked.json");
}

function parse(text: string): readonly (readonly [path: string, entry: Entry])[] {
  const [hash, body] = text.split("\n");
  if (body === undefined || hash !== digest([body], 64)) return [];
  const [version, entries] = JSON.parse(body) as [string, [string, Entry][]];
  return version === VERSION ? entries : [];
}
