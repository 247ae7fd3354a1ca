/**
 * Waiting for what comes about by itself.
 *
 * @module
 */

/** No machine is so slow that a minute and a half more would help. */
const LIMIT_MS = 90_000;

/** Asks until it holds; fails where it never does. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while (!await holds()) {
    if (performance.now() > limit) throw new Error(`It never came to be so: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
