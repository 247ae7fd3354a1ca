/**
 * The folder of one run of the tests for its temporary files. A run holds its own by a lock while it lasts, however it
 * ends; what a killed one has left behind the next one takes away.
 *
 * @module
 */
import { join } from "node:path";

const PREFIX = "kontract_tests_";
const LOCK = "run.lock";

/** A run's folder. */
export interface RunFolder {
  readonly path: string;
  /** Takes it away. Never rejects. */
  remove(): Promise<void>;
}

/** Makes one in `parent`. Rejects where that is not to be used. */
export async function makeRunFolder(parent: string): Promise<RunFolder> {
  const path = await Deno.makeTempDir({ dir: parent, prefix: PREFIX });
  // PostgreSQL may run as another user, who passes through.
  await Deno.chmod(path, 0o711);
  const lock = await Deno.open(join(path, LOCK), { createNew: true, write: true });
  await lock.lock(true);
  // Another run may have come before the lock.
  await Deno.stat(join(path, LOCK));
  return {
    path,
    async remove(): Promise<void> {
      await Deno.remove(path, { recursive: true }).catch(() => {});
      lock.close();
    },
  };
}

/** Takes away what runs that have ended left in `parent`. */
export async function removeLeftFolders(parent: string): Promise<void> {
  for await (const { name } of Deno.readDir(parent)) {
    if (name.startsWith(PREFIX)) await removeLeft(join(parent, name)).catch(() => {});
  }
}

/** Rejects where it is no run's, or not ours to take away. */
async function removeLeft(path: string): Promise<void> {
  using lock = await Deno.open(join(path, LOCK));
  if (await lock.tryLock(true)) await Deno.remove(path, { recursive: true });
}
