/**
 * Deadlines of the calls that wait at one transport, with one timer for all of them, and none while nothing
 * waits. Ends them all together with the transport.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** A call under way. */
export interface ClockEntry {
  /** On the monotonic clock; `Infinity` for never. May be put off while it is watched. */
  readonly deadline: number;
  /** Told once, of the deadline or the end. */
  fail(error: KontractError): void;
}

/** The calls of one transport. */
export class CallClock {
  readonly #entries = new Set<ClockEntry>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wakes = Infinity;
  #now: number | undefined;
  #closed = false;

  /** The monotonic clock, read once for all calls of a turn: each reading is a call into the host. */
  now(): number {
    if (this.#now === undefined) {
      this.#now = performance.now();
      queueMicrotask(() => (this.#now = undefined));
    }
    return this.#now;
  }

  /** Watches `entry`; on a closed clock it fails at once. */
  add(entry: ClockEntry): void {
    if (this.#closed) return entry.fail(new KontractError("CANCELLED"));
    this.#entries.add(entry);
    if (entry.deadline < this.#wakes) this.#arm(entry.deadline);
  }

  /** Stops watching. */
  delete(entry: ClockEntry): void {
    if (this.#entries.delete(entry) && this.#entries.size === 0) this.#arm(Infinity);
  }

  /** Every call fails with `CANCELLED`, later ones too. */
  close(): void {
    this.#closed = true;
    this.#arm(Infinity);
    const entries = [...this.#entries];
    this.#entries.clear();
    for (const entry of entries) entry.fail(new KontractError("CANCELLED"));
  }

  #arm(deadline: number): void {
    clearTimeout(this.#timer);
    this.#wakes = deadline;
    if (deadline === Infinity) return;
    // Timers count in 32 bits; one that fires early finds nobody due and is set again.
    const wait = Math.min(Math.max(0, Math.ceil(deadline - performance.now())), 2 ** 31 - 1);
    this.#timer = setTimeout(() => this.#ring(), wait);
  }

  #ring(): void {
    const now = performance.now();
    const due = [...this.#entries].filter((entry) => entry.deadline <= now);
    for (const entry of due) this.#entries.delete(entry);
    let next = Infinity;
    for (const { deadline } of this.#entries) next = Math.min(next, deadline);
    this.#arm(next);
    for (const entry of due) entry.fail(new KontractError("DEADLINE_EXCEEDED"));
  }
}
