/**
 * esbuild's process: one in a program, shared by all builds. It is started by the first that needs it, and
 * ended only where nobody is using it; who comes while it ends waits and gets a new one.
 *
 * @module
 */
import * as esbuild from "esbuild";

/** What lives in the process until it is disposed of. */
interface Disposable {
  dispose(): Promise<void>;
}

let users = 0;
let ending: Promise<void> | null = null;
let generation = 0;
const owned: Set<Disposable> = new Set();

/** Runs `work`, which may call esbuild: the process is there until it has ended. */
export async function withBundler<T>(work: () => Promise<T>): Promise<T> {
  users++;
  try {
    await ending;
    return await work();
  } finally {
    users--;
  }
}

/** Counts the processes: a context dies with its own. */
export function bundlerGeneration(): number {
  return generation;
}

/** Ends the process properly only after `one` has been disposed of. */
export function ownedByBundler(one: Disposable): void {
  owned.add(one);
}

/** Disposes of one before the process ends. */
export async function disposeInBundler(one: Disposable): Promise<void> {
  owned.delete(one);
  await one.dispose().catch(() => {});
}

/** Ends the bundler's process, unless another build still needs it; the next bundle starts it again. */
export async function stopBundler(): Promise<void> {
  if (ending === null) {
    if (users > 0) return;
    ending = end();
  }
  await ending;
}

async function end(): Promise<void> {
  generation++;
  await Promise.all([...owned].map(disposeInBundler));
  await esbuild.stop();
  ending = null;
}
