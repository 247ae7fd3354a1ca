/**
 * A streamed argument at the server of a WebSocket: elements come as the function takes them.
 *
 * Nothing may be sent before the function begins to read; then the client gets credit for a window, and
 * more as elements are taken. So a call that never looks at its argument costs nothing, and what unread
 * elements can hold is bounded for the whole connection: windows are given out as far as they fit, the
 * next reader waits.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { ElementQueue } from "./element_queue.ts";
import { INITIAL_CREDIT } from "./socket_control.ts";

/** Streamed arguments of one call. */
export const MAX_INPUTS = 8;

/** What an element costs beside its bytes: nothing must be free, or it could come without end. */
export const ELEMENT_COST = 64;

/** Windows of one connection. */
export class InputBudget {
  readonly window: number;
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** `limit`: bytes that all unread elements together may hold. */
  constructor(limit: number) {
    this.window = Math.min(INITIAL_CREDIT, limit);
    this.#free = Math.floor(limit / this.window);
  }

  /** Resolves when one more window fits. Give it back. */
  async take(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Gives a window back. */
  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

/** What an input says to its client. */
export interface InputControl {
  /** So many bytes more may come. */
  credit(bytes: number): void;
  /** Nobody reads any more. */
  cancel(): void;
}

/** One streamed argument. */
export class SocketInput {
  readonly #budget: InputBudget;
  readonly #control: InputControl;
  readonly #queue = new ElementQueue();
  #balance = 0;
  #state: "new" | "reading" | "over" = "new";
  #holding = false;
  #ended = false;
  #aborted = false;

  /** Of one call. */
  constructor(budget: InputBudget, control: InputControl) {
    this.#budget = budget;
    this.#control = control;
  }

  /** An element has come. Throws `RAY_PROTOCOL` where there was no credit for it. */
  push(element: Uint8Array): void {
    if (this.#aborted) return;
    if (this.#balance <= 0 || this.#ended) throw new KontractError("RAY_PROTOCOL");
    this.#balance -= element.length + ELEMENT_COST;
    if (this.#state === "reading") this.#queue.push(element);
  }

  /** The client has no more. */
  end(): void {
    if (this.#aborted) return;
    if (this.#ended) throw new KontractError("RAY_PROTOCOL");
    this.#ended = true;
    this.#queue.end(null);
  }

  /** The call is over or the client has gone. */
  abort(): void {
    this.#aborted = true;
    this.#release(); // whoever held a reader may have forgotten it
    this.#queue.end({ error: new KontractError("CANCELLED") });
  }

  /** The elements, once. Leaving the loop tells the client. */
  async *read(): AsyncGenerator<Uint8Array, void, void> {
    if (this.#state !== "new") throw readTwice();
    this.#state = "reading";
    await this.#budget.take();
    this.#holding = true;
    try {
      this.#grant(this.#budget.window);
      let taken = 0;
      for (let element = await this.#queue.take(); element !== null;) {
        yield element;
        taken += element.length + ELEMENT_COST;
        if (taken >= this.#budget.window / 4) {
          this.#grant(taken);
          taken = 0;
        }
        element = await this.#queue.take();
      }
    } finally {
      this.#state = "over";
      this.#release();
      if (!this.#ended && !this.#aborted) this.#control.cancel();
    }
  }

  #release(): void {
    if (this.#holding) this.#budget.release();
    this.#holding = false;
  }

  #grant(bytes: number): void {
    if (this.#ended || this.#aborted) return;
    this.#balance += bytes;
    this.#control.credit(bytes);
  }
}

/** Told to a function that reads a streamed argument again, or is run again after having read one. */
export function readTwice(): KontractError {
  return new KontractError("CONFLICT", "A streamed argument can be read once.");
}
