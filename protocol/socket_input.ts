/**
 * Streamed arguments at the server of a WebSocket: elements come as the function takes them.
 *
 * Nothing may be sent before the function begins to read; then the client gets credit for a window, and
 * more as elements are taken. So a call that never looks at its argument costs nothing. What unread
 * elements can hold is bounded for the whole connection (`input_budget.ts`).
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { ElementQueue } from "./element_queue.ts";
import { ELEMENT_COST, type InputBudget, InputShare } from "./input_budget.ts";

/** Streamed arguments of one call. */
export const MAX_INPUTS = 8;

/** What the inputs of a call say to its client. */
export interface InputControl {
  /** So many bytes more may come. */
  credit(argument: number, bytes: number): void;
  /** Nobody reads it any more. */
  cancel(argument: number): void;
}

/** All streamed arguments of one call. */
export class CallInputs {
  readonly #budget: InputBudget;
  readonly #control: InputControl;
  #inputs: Map<number, SocketInput> | undefined;
  #share: InputShare | undefined;
  #over = false;

  /** Of a call that has asked for none yet. */
  constructor(budget: InputBudget, control: InputControl) {
    this.#budget = budget;
    this.#control = control;
  }

  /** An argument, once: `CONFLICT` where it was asked for before, `CANCELLED` where the call is over. */
  open(argument: number): SocketInput {
    if (argument >= MAX_INPUTS || this.#over) throw new KontractError("CANCELLED");
    this.#inputs ??= new Map();
    if (this.#inputs.has(argument)) throw readTwice();
    this.#share ??= new InputShare(this.#budget);
    const control = this.#control;
    const input = new SocketInput(this.#budget, this.#share, {
      credit: (bytes) => control.credit(argument, bytes),
      cancel: () => control.cancel(argument),
    });
    this.#inputs.set(argument, input);
    return input;
  }

  /** One that was asked for. */
  get(argument: number): SocketInput | undefined {
    return this.#inputs?.get(argument);
  }

  /** The call is over or the client has gone. */
  abort(): void {
    this.#over = true;
    for (const input of this.#inputs?.values() ?? []) input.abort();
  }
}

/** One streamed argument. */
export class SocketInput {
  readonly #budget: InputBudget;
  readonly #share: InputShare;
  readonly #control: { credit(bytes: number): void; cancel(): void };
  readonly #queue = new ElementQueue();
  #window = 0;
  #balance = 0;
  #held = 0;
  #state: "new" | "reading" | "over" = "new";
  #ended = false;
  #aborted = false;

  /** Of the call that `share` belongs to. */
  constructor(
    budget: InputBudget,
    share: InputShare,
    control: { credit(bytes: number): void; cancel(): void },
  ) {
    this.#budget = budget;
    this.#share = share;
    this.#control = control;
  }

  /** An element has come. Throws `RAY_PROTOCOL` where there was no credit for it. */
  push(element: Uint8Array): void {
    if (this.#aborted) return;
    if (this.#balance <= 0 || this.#ended) throw new KontractError("RAY_PROTOCOL");
    const cost = element.length + ELEMENT_COST;
    this.#balance -= cost;
    if (this.#state !== "reading") return;
    if (!this.#budget.hold(cost)) {
      this.#control.cancel();
      return this.#fail("OVERLOADED");
    }
    this.#held += cost;
    this.#queue.push(element);
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
    if (!this.#aborted) this.#fail("CANCELLED");
  }

  /** The elements, once. Leaving the loop tells the client. */
  async *read(): AsyncGenerator<Uint8Array, void, void> {
    if (this.#state !== "new") throw readTwice();
    if (this.#aborted) throw new KontractError("CANCELLED");
    this.#state = "reading";
    try {
      this.#share.enter(this.#open);
      let taken = 0;
      for (let element = await this.#take(); element !== null; element = await this.#take()) {
        yield element;
        taken += element.length + ELEMENT_COST;
        if (taken < this.#window / 4) continue;
        this.#grant(taken);
        taken = 0;
      }
    } finally {
      this.#leave("CANCELLED");
      if (!this.#ended && !this.#aborted) this.#control.cancel();
    }
  }

  readonly #open = (window: number): void => {
    this.#window = window;
    this.#grant(window);
  };

  async #take(): Promise<Uint8Array | null> {
    const element = await this.#queue.take();
    if (element !== null) this.#drop(element.length + ELEMENT_COST);
    return element;
  }

  // At once: whoever held a reader may have forgotten it.
  #fail(code: "CANCELLED" | "OVERLOADED"): void {
    this.#aborted = true;
    this.#leave(code);
  }

  #leave(code: "CANCELLED" | "OVERLOADED"): void {
    const reading = this.#state === "reading";
    this.#state = "over";
    this.#queue.fail(new KontractError(code));
    this.#drop(this.#held);
    if (reading) this.#share.leave(this.#open, this.#window);
  }

  #drop(cost: number): void {
    this.#held -= cost;
    this.#budget.drop(cost);
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
