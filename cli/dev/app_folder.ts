/**
 * An app's folder and what Kontract keeps in it: `dist/` (built, public to a deploy) and `.kontract/`
 * (this machine's own: secret, database, host state; never committed).
 *
 * @module
 */
import { join, resolve } from "node:path";
import { KontractError } from "../../_internal/errors.ts";

/** Absolute paths of one app. */
export interface AppFolder {
  readonly root: string;
  readonly dist: string;
  readonly own: string;
  readonly secretFile: string;
  readonly devFile: string;
  readonly data: string;
  readonly state: string;
  readonly temporary: string;
}

/**
 * Finds an app; `path` is relative to the current folder.
 *
 * @throws {KontractError} `CONFIG` where there is no `deno.json`.
 */
export async function openAppFolder(path: string): Promise<AppFolder> {
  const root = resolve(path);
  const isApp = await Promise.any(["deno.json", "deno.jsonc"].map(async (name) => {
    if (!(await Deno.stat(join(root, name))).isFile) throw new Error("not a file");
  })).then(() => true, () => false);
  if (!isApp) {
    throw new KontractError(
      "CONFIG",
      `'${path}' is not an app: it has no deno.json. Give the app's folder as argument.`,
    );
  }
  const own = join(root, ".kontract");
  return {
    root,
    dist: join(root, "dist"),
    own,
    secretFile: join(own, "secret"),
    devFile: join(own, "dev.json"),
    data: join(own, "pg"),
    state: join(own, "state"),
    temporary: join(own, "tmp"),
  };
}
