/**
 * Following a function's result over any number of connections: the newest value, never a queue. Whoever comes back
 * after a loss is given the value as it is now, which is dropped where it is the one that was delivered last.
 *
 * @module
 */
import { equalBytes } from "../../protocol/bytes.ts";
import { type ClientError, type ErrorClasses, toClientError } from "./failure.ts";
import { overConnections, PASSING, type SubscriptionStatus } from "./subscription.ts";

/**
 * A backend function that only reads. The mark is for the checker, which says its name where it is missing:
 * there is nothing of it at run time.
 */
export type ReadOnlyFunction<F> = F & {
  readonly "client.live takes functions of '@/client' with 'readOnly: true'": true;
};

/** Who is told of a function's result. */
export interface LiveListener<T> {
  /** Called with the result, and with each that differs from the one before. */
  onValue(value: T): void;
  /** Called once where it ends by an error that no reconnection mends. */
  onError?(error: ClientError): void;
  /** Called when the connection comes and goes. */
  onStatus?(status: SubscriptionStatus): void;
}

/** A function's result that is kept up to date, for one `for await` or one listener. */
export interface LiveResult<T> extends AsyncIterable<T> {
  /** Starts, and tells `listener` instead of an iterator. */
  listen(listener: LiveListener<T>): this;
  /** Ends it, quietly. */
  close(): void;
}

/** What {@link liveValues} is made from. */
export interface LiveValuesOptions {
  /** Opens one connection: the result in bytes, and again whenever it has changed. */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>;
  decode(bytes: Uint8Array): unknown;
  readonly signal: AbortSignal;
  readonly errors?: ErrorClasses | undefined;
  onStatus(status: SubscriptionStatus): void;
}

/** The result as it is whenever somebody takes it, until the signal is aborted. */
export async function* liveValues(
  { open, decode, signal, errors, onStatus }: LiveValuesOptions,
): AsyncGenerator<unknown, void, void> {
  const left = new AbortController();
  const end = AbortSignal.any([signal, left.signal]);
  const connect = async function* (): AsyncGenerator<Uint8Array, void, void> {
    let live = false;
    for await (const bytes of open(end)) {
      if (!live) onStatus("live");
      live = true;
      yield bytes;
    }
  };
  const state: { newest: Uint8Array | null; over: boolean; ring: () => void } = {
    newest: null,
    over: false,
    ring: () => {},
  };
  // Reads ahead of who takes the values: what it had no time for is replaced by what came after it.
  const reading = (async () => {
    try {
      const options = { signal: end, errors, passing: PASSING, onStatus };
      for await (const bytes of overConnections(connect, options)) {
        state.newest = bytes;
        state.ring();
      }
    } finally {
      state.over = true;
      state.ring();
    }
  })();
  reading.catch(() => {}); // told below, unless nobody listens any more
  let last: Uint8Array | null = null;
  try {
    while (!signal.aborted) {
      const bytes: Uint8Array | null = state.newest;
      state.newest = null;
      if (bytes === null) {
        if (state.over) break;
        await new Promise<void>((resolve) => state.ring = resolve);
      } else if (last === null || !equalBytes(last, bytes)) {
        last = bytes;
        yield decode(bytes.slice());
      }
    }
    await reading;
  } catch (error) {
    throw toClientError(error, errors);
  } finally {
    left.abort();
  }
}
