/**
 * The modules of a Worker's build, as they were at one moment: what runs of them loads most of them later, and
 * must not find those of the next build.
 *
 * @module
 */
import { join } from "node:path";

/** Module texts by path below the folder, with "/" between. */
export type ModuleTexts = ReadonlyMap<string, string>;

/** Reads one folder again and again; a file that did not change is read once. */
export class WorkerModules {
  readonly #folder: string;
  #known: ReadonlyMap<string, { readonly stamp: string; readonly text: string }> = new Map();

  /** `folder` is the build's, absolute. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** All modules that are there now. Synchronous: hundreds of small files take less time than as many waits. */
  read(): ModuleTexts {
    const now = new Map<string, { readonly stamp: string; readonly text: string }>();
    for (const path of scripts(this.#folder, "")) {
      const file = join(this.#folder, path);
      const { mtime, size, ino } = Deno.statSync(file);
      const stamp = `${mtime?.getTime()}:${size}:${ino}`;
      const known = this.#known.get(path);
      now.set(path, known?.stamp === stamp ? known : { stamp, text: Deno.readTextFileSync(file) });
    }
    this.#known = now;
    return new Map([...now].map(([path, { text }]) => [path, text]));
  }
}

/** All `.js` files below a folder, in a fixed order. */
export function scripts(folder: string, below: string): string[] {
  const found: string[] = [];
  for (const { name, isDirectory } of Deno.readDirSync(join(folder, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    if (isDirectory) found.push(...scripts(folder, path));
    else if (name.endsWith(".js")) found.push(path);
  }
  return found.sort();
}
