/**
 * Writing results: all or nothing.
 *
 * A folder is written beside its place and swapped in by renames; a file is written beside its place
 * and renamed. A reader sees the old or the new, never a mixture; a crash leaves at most a folder
 * `.<name>.kontract-…` beside it, which the next build removes or puts back.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import process from "node:process";

let counter = 0;

function beside(path: string, kind: "new" | "old"): string {
  return join(dirname(path), `.${basename(path)}.kontract-${kind}-${Deno.pid}-${counter++}`);
}

/**
 * Replaces a folder by `files` (paths below it → contents).
 *
 * @param last What belongs to the same step: runs when all bytes are on the disk, before the swap
 */
export async function writeFolder(
  folder: string,
  files: ReadonlyMap<string, string | Uint8Array>,
  last: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await Deno.mkdir(dirname(folder), { recursive: true });
  await removeLeftovers(folder);
  const fresh = beside(folder, "new");
  const old = beside(folder, "old");
  try {
    for (const [path, contents] of files) {
      const target = join(fresh, path);
      await Deno.mkdir(dirname(target), { recursive: true });
      if (typeof contents === "string") await Deno.writeTextFile(target, contents);
      else await Deno.writeFile(target, contents);
    }
    await last();
    const existed = await renamed(folder, old);
    try {
      await Deno.rename(fresh, folder);
    } catch (error) {
      if (existed) await Deno.rename(old, folder);
      throw error;
    }
  } finally {
    await removed(fresh);
    await removed(old);
  }
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
