/**
 * How many streams a session holds open at one gateway: each keeps memory, and one that follows a table a
 * look at the database every two seconds.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** Streams and subscriptions of one session at one gateway: many tabs with many subscriptions each. */
export const MAX_STREAMS = 256;

/** Milliseconds after which a refused client may try again. */
const RETRY_AFTER_MS = 5_000;

/** Counts them. */
export class OpenStreams {
  readonly #open = new Map<string, number>();

  /**
   * Counts one more for a caller's session (or whatever stands for one) until the returned function is called; again is harmless.
   *
   * @throws {KontractError} `RATE_LIMITED`
   */
  enter(tenant: string, session: string): () => void {
    const key = JSON.stringify([tenant, session]);
    const open = this.#open.get(key) ?? 0;
    if (open >= MAX_STREAMS) {
      throw new KontractError(
        "RATE_LIMITED",
        `A session may have ${MAX_STREAMS} streams open here: end some of them.`,
        { data: { retryAfter: RETRY_AFTER_MS } },
      );
    }
    this.#open.set(key, open + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const now = (this.#open.get(key) ?? 1) - 1;
      if (now > 0) this.#open.set(key, now);
      else this.#open.delete(key);
    };
  }
}
