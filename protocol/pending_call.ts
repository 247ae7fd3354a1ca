/**
 * A call that waits for its answer at the client: settled once, by the answer, its deadline, its signal or
 * the end of the transport, whichever is first. Afterwards no timer and no listener is left.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { CallClock } from "./call_clock.ts";
import type { CollectedInputs } from "./collected_inputs.ts";
import { PostError } from "./http_channel.ts";
import { FIRST_APP_OP } from "./rpc.ts";
import type { TransportCallOptions } from "./transport.ts";
import { RemoteError } from "./wire_error.ts";

const MAX_REPEATS = 2;
const PAUSE_MS = 100;

/** One waiting call. `payload` must not change until it is settled. */
export class PendingCall {
  readonly op: number;
  readonly payload: Uint8Array;
  readonly options: TransportCallOptions;
  /** What the caller awaits. */
  readonly result: Promise<Uint8Array>;
  /** Its number in the lane, from the first sending on. */
  reqno: bigint | undefined;
  /** Its streamed arguments where they travel with it. */
  collected: CollectedInputs | undefined;
  /** True once a streamed argument was read that cannot be sent again. */
  spent = false;
  /** True while its connection is lost and no other has taken it. */
  lost: boolean | undefined;
  /** Told when the caller stopped waiting before an answer came. */
  onAbandoned: (() => void) | undefined;
  #settled = false;
  #resolve: (payload: Uint8Array) => void = () => {};
  #reject: (error: unknown) => void = () => {};
  #unwatch: () => void = () => {};
  #repeats = 0;
  #pause: ReturnType<typeof setTimeout> | undefined;

  /** Starts the clock. */
  constructor(
    op: number,
    payload: Uint8Array,
    options: TransportCallOptions,
    timeout: number,
    clock: CallClock,
  ) {
    this.op = op;
    this.payload = payload;
    this.options = options;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { signal } = options;
    const fail = (error: KontractError): void => {
      const away = error.code === "DEADLINE_EXCEEDED" && (this.lost || isOffline());
      const unknown = options.mutation && this.reqno !== undefined;
      this.reject(away ? new KontractError(unknown ? "OUTCOME_UNKNOWN" : "NETWORK") : error);
      this.onAbandoned?.();
    };
    this.#unwatch = watchCall(clock, { timeout: options.timeout ?? timeout, signal }, fail);
    if (this.#settled) this.#unwatch();
  }

  /** True once the caller has an answer. */
  get settled(): boolean {
    return this.#settled;
  }

  /** True where it must not arrive twice: what changes something and has no record of its number. */
  get once(): boolean {
    return this.options.mutation && this.op < FIRST_APP_OP;
  }

  /** The answer. */
  resolve(payload: Uint8Array): void {
    if (this.#settle()) this.#resolve(payload);
  }

  /** The failure. */
  reject(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  /**
   * Sends it once more after `error` where that may help and can do no harm: what was not sent, a read, or a call
   * of the app, which the gateway applies once for its number. Kontract's own operations that change something
   * have no such record. After an overload it waits first. False where the error is final.
   */
  repeat(error: unknown, send: () => void): boolean {
    const unsent = error instanceof PostError && !error.sent;
    if (this.#settled || this.spent || this.collected?.begun) return false;
    if (this.once && !unsent || this.#repeats >= MAX_REPEATS) return false;
    const cause = error instanceof PostError ? error.cause : error;
    if (!(cause instanceof KontractError)) return false;
    const busy = cause.code === "OVERLOADED";
    // A post that was not answered at all has been repeated often enough.
    const lost = error === cause && !(cause instanceof RemoteError) && cause.code === "NETWORK";
    if (!busy && !lost) return false;
    this.#repeats++;
    if (lost) send();
    else this.#pause = setTimeout(send, PAUSE_MS * 2 ** this.#repeats * (0.5 + Math.random()));
    return true;
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#pause);
    this.#unwatch();
    return true;
  }
}

/** True where the system knows that it has no network. A WebSocket may not notice for a long time. */
function isOffline(): boolean {
  const { navigator }: { navigator?: { onLine?: boolean } } = globalThis;
  return navigator?.onLine === false;
}

/** What can end a call from outside. */
export interface CallWatch {
  /** Milliseconds; forever where undefined. */
  readonly timeout: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Calls `fail` at most once, at the first of deadline, signal and end of the transport (`clock`); returns
 * what stops watching.
 */
export function watchCall(
  clock: CallClock,
  { timeout = Infinity, signal }: CallWatch,
  fail: (error: KontractError) => void,
): () => void {
  const end = (error: KontractError): void => {
    stop();
    fail(error);
  };
  const cancel = (): void => end(new KontractError("CANCELLED"));
  const wait = timeout >= 0 ? timeout : 0;
  const entry = { deadline: clock.now() + wait, fail: end };
  const stop = (): void => {
    clock.delete(entry);
    signal?.removeEventListener("abort", cancel);
  };
  if (signal?.aborted === true) cancel();
  else {
    signal?.addEventListener("abort", cancel, { once: true });
    clock.add(entry);
  }
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
