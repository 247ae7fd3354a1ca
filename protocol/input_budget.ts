/**
 * What the unread elements of streamed arguments may hold on one connection of a server.
 *
 * Credit: a call that begins to read gets a share of half of `reassembly`, the smaller the less is free,
 * or waits for one in turn. All arguments of a call live off its share, so no call ever waits while it
 * holds something, and functions that read several arguments in step cannot block each other.
 *
 * Memory: the last element may go past its credit by its own length, and nobody knows before how long it
 * is. So what is held is counted too, and what goes beyond `reassembly` and one message is refused. That
 * meets no client whose elements fit into their windows: those hold twice half of `reassembly` at most.
 *
 * @module
 */
import type { RayLimits } from "./limits.ts";
import { INITIAL_CREDIT } from "./socket_control.ts";

/** What an element costs beside its bytes: nothing must be free, or it could come without end. */
export const ELEMENT_COST = 64;

// The first argument of a call has half of its share as its window.
const MAX_SHARE = 2 * INITIAL_CREDIT;
// The eighth argument has 1/256 of it, which must be something.
const MIN_SHARE = 512;

/** The budget of one connection. */
export class InputBudget {
  readonly #most: number;
  readonly #least: number;
  readonly #waiting = new Set<(share: number) => void>();
  #free: number;
  #held = 0;

  /** Within these limits. */
  constructor({ message, reassembly }: Pick<RayLimits, "message" | "reassembly">) {
    this.#most = reassembly + message + ELEMENT_COST;
    this.#free = Math.max(MIN_SHARE, reassembly >> 1);
    this.#least = Math.min(MAX_SHARE, Math.max(MIN_SHARE, this.#free >> 6));
  }

  /** Bytes that unread elements hold. */
  get held(): number {
    return this.#held;
  }

  /** Credit that no call has. */
  get free(): number {
    return this.#free;
  }

  /** Calls `ready` with a share once there is one; returns what stops waiting. Give the share back. */
  wait(ready: (share: number) => void): () => void {
    this.#waiting.add(ready);
    this.#serve();
    return () => void this.#waiting.delete(ready);
  }

  /** Gives a share back. */
  release(share: number): void {
    this.#free += share;
    this.#serve();
  }

  /** An element has come; false where there is no room for it. */
  hold(cost: number): boolean {
    if (this.#held + cost > this.#most) return false;
    this.#held += cost;
    return true;
  }

  /** Elements were taken or thrown away. */
  drop(cost: number): void {
    this.#held -= cost;
  }

  #serve(): void {
    for (const ready of this.#waiting) {
      if (this.#free < this.#least) return;
      const share = Math.min(MAX_SHARE, Math.max(this.#least, Math.floor(this.#free / 4)));
      this.#free -= share;
      this.#waiting.delete(ready);
      ready(share);
    }
  }
}

/** One call's part of it, held while the call reads. */
export class InputShare {
  readonly #budget: InputBudget;
  readonly #waiting = new Set<(window: number) => void>();
  #readers = 0;
  #share = 0;
  #left = 0;
  #stop: () => void = () => {};

  /** Of one call. */
  constructor(budget: InputBudget) {
    this.#budget = budget;
  }

  /** Calls `open` with half of what is left, at once where the call holds its share. */
  enter(open: (window: number) => void): void {
    const first = this.#readers++ === 0;
    if (this.#share > 0) return open(this.#cut());
    this.#waiting.add(open);
    if (!first) return;
    this.#stop = this.#budget.wait((share) => {
      this.#share = this.#left = share;
      for (const each of this.#waiting) each(this.#cut());
      this.#waiting.clear();
    });
  }

  /** Who entered with `open` reads no more. With the last, the share goes back. */
  leave(open: (window: number) => void, window: number): void {
    this.#waiting.delete(open);
    this.#left += window;
    if (--this.#readers > 0) return;
    this.#stop();
    const share = this.#share;
    this.#share = this.#left = 0;
    this.#budget.release(share);
  }

  #cut(): number {
    const window = this.#left >> 1;
    this.#left -= window;
    return window;
  }
}
