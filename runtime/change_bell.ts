/**
 * A bell: whoever waits is told at once when it rings. What `ChangeHub` is in one process, and inside
 * `ChangeHubDO`.
 *
 * @module
 */
import type { ChangeHub } from "./ports.ts";

/** The bell. Nothing is kept for who comes later: followers read first, then wait. */
export class ChangeBell implements ChangeHub {
  readonly #waiting = new Set<() => void>();
  readonly #limit: number;

  /** `limit` bounds how many may wait at once; beyond it `next` just waits its time. */
  constructor(limit = 50_000) {
    this.#limit = limit;
  }

  /** Rings. */
  wake(): void {
    for (const done of [...this.#waiting]) done();
  }

  /** As in {@link ChangeHub}. */
  next(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      signal.addEventListener("abort", done, { once: true });
      if (this.#waiting.size < this.#limit) this.#waiting.add(done);
    });
  }
}
