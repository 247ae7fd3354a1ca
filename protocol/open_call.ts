/**
 * A call that runs on a WebSocket at the server. Most end within the turn in which they came, so what only
 * some need, a signal and streamed arguments, is made when it is asked for.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { CreditGate } from "./socket_control.ts";
import type { CallInputs } from "./socket_input.ts";

/** One open call. */
export class OpenCall {
  readonly op: number;
  /** Of its answer, where that is a stream. */
  readonly credit = new CreditGate();
  readonly #makeInputs: () => CallInputs;
  #inputs: CallInputs | undefined;
  #abort: AbortController | undefined;
  #aborted = false;
  #over = false;

  /** `inputs` makes its streamed arguments, once. */
  constructor(op: number, inputs: () => CallInputs) {
    this.op = op;
    this.#makeInputs = inputs;
  }

  /** True once its client has left it. */
  get aborted(): boolean {
    return this.#aborted;
  }

  /** Aborted when {@link abort} is called. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#aborted) this.#abort.abort();
    return this.#abort.signal;
  }

  /** The streamed arguments that were asked for; undefined where none was. */
  get inputs(): CallInputs | undefined {
    return this.#inputs;
  }

  /** The elements of an argument, once: `CONFLICT` where it was read before, `CANCELLED` where the call is over. */
  input(argument: number): AsyncIterable<Uint8Array> {
    if (this.#over) throw new KontractError("CANCELLED");
    this.#inputs ??= this.#makeInputs();
    return this.#inputs.open(argument).read();
  }

  /** The client has left it. */
  abort(): void {
    this.#aborted = true;
    this.end();
    this.#abort?.abort();
  }

  /** It has ended: no argument can be read any more. */
  end(): void {
    this.#over = true;
    this.#inputs?.abort();
  }
}
