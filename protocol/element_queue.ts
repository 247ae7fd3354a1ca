/**
 * Elements of a stream between the socket that brings them and the caller who takes them. Bounded: a peer
 * that sends more than its credit breaks the protocol.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { compact, EMPTY } from "./bytes.ts";
import { ELEMENT_COST } from "./input_budget.ts";
import { MAX_MESSAGE } from "./limits.ts";
import { INITIAL_CREDIT } from "./socket_control.ts";

// Elements that are taken before the array is cut.
const MANY = 1000;

/** One producer, one consumer. */
export class ElementQueue {
  readonly #elements: Uint8Array[] = [];
  #taken = 0;
  #held = 0;
  #end: { readonly error: unknown } | null | undefined;
  #wake: (() => void) | undefined;

  /** One more element. Throws `RAY_PROTOCOL` where the peer had no credit for it. */
  push(element: Uint8Array): void {
    this.#held += element.length + ELEMENT_COST;
    // The last element may go past the credit by its own length, and many small ones cost more than it.
    if (this.#held > INITIAL_CREDIT + MAX_MESSAGE) throw new KontractError("RAY_PROTOCOL");
    this.#elements.push(compact(element));
    this.#wake?.();
  }

  /** Nothing follows; with `error`, taking past the last element throws it. */
  end(error: { readonly error: unknown } | null): void {
    if (this.#end === undefined) this.#end = error;
    this.#wake?.();
  }

  /** Throws away what was not taken; taking throws `error`, even where the end had come. */
  fail(error: unknown): void {
    this.#elements.length = this.#taken = 0;
    this.#held = 0;
    this.#end = { error };
    this.#wake?.();
  }

  /** The next element, or null at the end. */
  async take(): Promise<Uint8Array | null> {
    while (true) {
      const element = this.#shift();
      if (element !== undefined) {
        this.#held -= element.length + ELEMENT_COST;
        return element;
      }
      if (this.#end === null) return null;
      if (this.#end !== undefined) throw this.#end.error;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  // An array of a quarter million moves all of them at each shift.
  #shift(): Uint8Array | undefined {
    const element = this.#elements[this.#taken];
    if (element === undefined) return undefined;
    this.#elements[this.#taken++] = EMPTY;
    if (this.#taken === this.#elements.length || this.#taken === MANY) {
      this.#elements.splice(0, this.#taken);
      this.#taken = 0;
    }
    return element;
  }
}
