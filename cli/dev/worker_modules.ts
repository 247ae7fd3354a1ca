/**
 * The modules of a Worker's build, as they were at one moment: what runs of them loads most of them later, and
 * must not find those of the next build.
 *
 * @module
 */
import { join } from "node:path";
import type { OutputFiles } from "../../compiler/mod.ts";

/** Folder of the Worker in a build. */
export const WORKER_FOLDER = "worker";

/** Modules by path below the Worker's folder, with "/" between. */
export class WorkerModules {
  readonly #modules: OutputFiles;

  /** Those of a build's outputs. */
  constructor(outputs: OutputFiles) {
    const below = `${WORKER_FOLDER}/`;
    this.#modules = new Map(
      [...outputs].flatMap(([path, contents]) =>
        path.startsWith(below) && path.endsWith(".js")
          ? [[path.slice(below.length), contents]] as const
          : []
      ),
    );
  }

  /** A module's text; undefined where there is none. */
  text(path: string): string | undefined {
    const contents = this.#modules.get(path);
    return contents === undefined ? undefined : textOf(contents);
  }

  /** Those that are not the app's own. */
  vendor(): OutputFiles {
    return new Map([...this.#modules].filter(([path]) => path.startsWith("vendor/")));
  }
}

/** What is in an output, as text. */
export function textOf(contents: string | Uint8Array): string {
  return typeof contents === "string" ? contents : new TextDecoder().decode(contents);
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
