/**
 * Wakes of change feeds for all that follow in one request or Durable Object: one call of a feed's hub at a time,
 * however many wait for it.
 *
 * @module
 */

/**
 * Waits for a wake beyond those that are `known`, or for the next one where nothing is, or some time. Gives how many
 * there were, null where that is not known; never rejects.
 */
export type AskHub = (known: number | null, signal: AbortSignal) => Promise<number | null>;

/** Those of one scope; promises of one request must not be awaited by another. */
export class FeedWakes {
  readonly #ended = new AbortController();
  readonly #asked = new Map<string, Promise<void>>();
  readonly #known = new Map<string, number | null>();

  /** Resolves with the call of `feed`'s hub that is under way, or with a new one, or with the signal. */
  next(feed: string, ask: AskHub, signal: AbortSignal): Promise<void> {
    let woken = this.#asked.get(feed);
    if (woken === undefined) {
      woken = ask(this.#known.get(feed) ?? null, this.#ended.signal).then((known) => {
        this.#known.set(feed, known);
        this.#asked.delete(feed);
      });
      this.#asked.set(feed, woken);
    }
    return unlessAborted(woken, signal);
  }

  /** Leaves all hubs. */
  end(): void {
    this.#ended.abort();
  }
}

function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    signal.addEventListener("abort", done);
    work.then(done);
  });
}
