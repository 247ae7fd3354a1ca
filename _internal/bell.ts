/**
 * Bells: whoever waits for one is told at once when it rings. Nothing is kept for who comes later: followers
 * read first, then wait.
 *
 * @module
 */

/** Bells by name. One that nobody waits for takes no room. */
export class Bells {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Rings one. */
  ring(name: string): void {
    for (const done of [...this.#waiting.get(name) ?? []]) done();
  }

  /** Resolves when it rings next or after `timeoutMs`; never rejects. */
  next(name: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    const waiting = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, waiting);
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        waiting.delete(done);
        if (waiting.size === 0 && this.#waiting.get(name) === waiting) this.#waiting.delete(name);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      signal.addEventListener("abort", done, { once: true });
      waiting.add(done);
    });
  }
}
