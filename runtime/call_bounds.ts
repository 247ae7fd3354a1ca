/**
 * The bounds of one call: its deadline and its caller's patience, as one signal.
 *
 * While the body runs, passing a bound gives the call up at once. While the commit runs nobody knows
 * yet, so the answer is waited for a little longer, and then the outcome is said to be unknown.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/**
 * How long a commit under way is waited for after a bound has passed, in milliseconds: longer than
 * storage itself waits, which knows more.
 */
const COMMIT_GRACE_MS = 6_000;

/** Bounds of one call. Call {@link CallBounds.close} when it is over. */
export class CallBounds {
  readonly #abort = new AbortController();
  readonly #caller: AbortSignal;
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #cancel = (): void => this.#pass(new KontractError("CANCELLED"));
  #passed: (() => void) | null = null;
  #committing = false;

  /** `timeoutMs` from now, or until `caller` aborts. */
  constructor(caller: AbortSignal, timeoutMs: number) {
    this.#caller = caller;
    this.#timer = setTimeout(
      () => this.#pass(new KontractError("DEADLINE_EXCEEDED")),
      Math.max(0, timeoutMs),
    );
    if (caller.aborted) this.#cancel();
    else caller.addEventListener("abort", this.#cancel, { once: true });
  }

  /** Aborted when a bound has passed. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Throws where a bound has passed: before the commit nothing has happened yet. */
  check(): void {
    if (this.#abort.signal.aborted) throw this.#abort.signal.reason;
  }

  /** Says whether a commit may be under way. */
  set committing(value: boolean) {
    this.#committing = value;
  }

  /** `work`, or the error of the bound that passed first. */
  async race<T>(work: Promise<T>): Promise<T> {
    work.catch(() => {}); // given up: its error has nobody left to go to
    const passed = new Promise<"passed">((resolve) => {
      if (this.#abort.signal.aborted) resolve("passed");
      else this.#passed = () => resolve("passed");
    });
    const settled = await Promise.race([work.then((value) => ({ value })), passed]);
    if (settled !== "passed") return settled.value;
    if (!this.#committing) throw this.#abort.signal.reason;
    return await this.#waitForCommit(work);
  }

  async #waitForCommit<T>(work: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const unknown = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new KontractError("OUTCOME_UNKNOWN")), COMMIT_GRACE_MS);
    });
    try {
      return await Promise.race([work, unknown]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Lets go of timer and listener. */
  close(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener("abort", this.#cancel);
  }

  #pass(reason: KontractError): void {
    clearTimeout(this.#timer);
    if (this.#abort.signal.aborted) return;
    this.#abort.abort(reason);
    this.#passed?.();
  }
}
