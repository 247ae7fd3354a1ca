/**
 * Notices that the sender of a request has gone.
 *
 * Under Deno touching `request.signal` makes the host abort it for every answered request, too, which costs
 * a fifth of a small call. So the signals of requests under way are touched only at a sweep: a request
 * that is answered before the next one never pays. Elsewhere the signal is listened to at once; in Workers
 * a timer could not serve several requests anyway.
 *
 * @module
 */

// A call that is not answered within two of these is watched.
const SWEEP_MS = 10;

interface Watched {
  readonly request: Request;
  readonly gone: () => void;
  hooked: boolean;
  seen: boolean;
}

/** Watches the requests of one server. */
export class PeerWatch {
  readonly #lazy: boolean;
  readonly #watched = new Set<Watched>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `lazy`: sweep instead of listening at once. */
  constructor(lazy: boolean = ("Deno" in globalThis)) {
    this.#lazy = lazy;
  }

  /** Calls `gone` once when the peer goes; returns what ends the watch. */
  add(request: Request, gone: () => void): () => void {
    const watched: Watched = { request, gone, hooked: false, seen: false };
    if (!this.#lazy) hook(watched);
    else {
      this.#watched.add(watched);
      this.#timer ??= setTimeout(() => this.#sweep(), SWEEP_MS);
    }
    return () => this.#remove(watched);
  }

  #remove(watched: Watched): void {
    if (watched.hooked) watched.request.signal.removeEventListener("abort", watched.gone);
    this.#watched.delete(watched);
    this.#rest();
  }

  #sweep(): void {
    this.#timer = undefined;
    for (const watched of this.#watched) {
      if (!watched.seen) watched.seen = true;
      else {
        this.#watched.delete(watched);
        hook(watched);
      }
    }
    if (this.#watched.size > 0) this.#timer = setTimeout(() => this.#sweep(), SWEEP_MS);
  }

  #rest(): void {
    if (this.#watched.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

function hook(watched: Watched): void {
  const { request: { signal }, gone } = watched;
  watched.hooked = true;
  if (signal.aborted) gone();
  else signal.addEventListener("abort", gone, { once: true });
}
