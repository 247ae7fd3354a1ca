/**
 * A call that waits for its answer at the client: settled once, by the answer, its deadline, its signal or
 * the end of the transport, whichever is first. Afterwards no timer and no listener is left.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { PostError } from "./http_channel.ts";
import type { TransportCallOptions } from "./transport.ts";
import { RemoteError } from "./wire_error.ts";

/** One waiting call. `payload` must not change until it is settled. */
export class PendingCall {
  readonly op: number;
  readonly payload: Uint8Array;
  readonly options: TransportCallOptions;
  /** What the caller awaits. */
  readonly result: Promise<Uint8Array>;
  /** Reads may be sent once more after a cut answer; cleared when that has happened. */
  mayRepeat: boolean;
  /** Told when the caller stopped waiting before an answer came. */
  onAbandoned: (() => void) | undefined;
  #settled = false;
  #resolve: (payload: Uint8Array) => void = () => {};
  #reject: (error: KontractError) => void = () => {};
  #unwatch: () => void = () => {};

  /** Starts the clock. */
  constructor(
    op: number,
    payload: Uint8Array,
    options: TransportCallOptions,
    timeout: number,
    closed: AbortSignal,
  ) {
    this.op = op;
    this.payload = payload;
    this.options = options;
    this.mayRepeat = !options.mutation;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { signal } = options;
    const fail = (error: KontractError): void => {
      this.reject(error);
      this.onAbandoned?.();
    };
    this.#unwatch = watchCall({ timeout: options.timeout ?? timeout, signal, closed }, fail);
    if (this.#settled) this.#unwatch();
  }

  /** True once the caller has an answer. */
  get settled(): boolean {
    return this.#settled;
  }

  /** The answer. */
  resolve(payload: Uint8Array): void {
    if (this.#settle()) this.#resolve(payload);
  }

  /** The failure. */
  reject(error: KontractError): void {
    if (this.#settle()) this.#reject(error);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#unwatch();
    return true;
  }
}

/** What can end a call from outside. */
export interface CallWatch {
  /** Milliseconds; forever where undefined. */
  readonly timeout: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly closed: AbortSignal;
}

/** Calls `fail` at most once, at the first of deadline, signal and end; returns what stops watching. */
export function watchCall(watch: CallWatch, fail: (error: KontractError) => void): () => void {
  const { timeout, signal, closed } = watch;
  const cancel = (): void => {
    stop();
    fail(new KontractError("CANCELLED"));
  };
  const expire = (): void => {
    stop();
    fail(new KontractError("DEADLINE_EXCEEDED"));
  };
  const timer = timeout === undefined ? undefined : setTimeout(expire, timeout);
  const stop = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
    closed.removeEventListener("abort", cancel);
  };
  signal?.addEventListener("abort", cancel, { once: true });
  closed.addEventListener("abort", cancel, { once: true });
  if (signal?.aborted === true || closed.aborted) cancel();
  return stop;
}

/**
 * What the caller is told. Only an error from inside the channel says what happened to a state-changing
 * call; anything else leaves its outcome unknown once it has been sent.
 */
export function failureOf(error: unknown, mutation: boolean): KontractError {
  if (error instanceof RemoteError) return error;
  const sent = !(error instanceof PostError) || error.sent;
  const cause = error instanceof PostError ? error.cause : error;
  if (sent && mutation) return new KontractError("OUTCOME_UNKNOWN", undefined, { cause });
  if (cause instanceof KontractError) return cause;
  return new KontractError("NETWORK", undefined, { cause });
}
