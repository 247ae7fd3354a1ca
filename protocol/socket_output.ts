/**
 * A streamed argument at the client of a WebSocket: its source is asked for the next element only while
 * the gateway has given credit, and told when nobody wants more. Untouched until the first credit.
 *
 * @module
 */
import { FrameType } from "./frames.ts";
import { EMPTY } from "./bytes.ts";
import { ELEMENT_COST } from "./input_budget.ts";
import type { TransportCallOptions } from "./transport.ts";

/** Sends one message of the call's stream: an element, or the end of one argument. */
export type SendInput = (type: FrameType, argument: number, payload: Uint8Array) => void;

/** What the streamed arguments of one call are sent with. */
export interface OutputOptions extends Pick<TransportCallOptions, "inputs" | "onProgress"> {
  readonly send: SendInput;
  /** A source threw: the call must end with what it threw. */
  readonly fail: (error: unknown) => void;
}

/** The streamed arguments of one call. */
export class SocketOutputs {
  readonly #outputs: readonly Output[];
  /** True once a source was asked for an element: the call cannot be sent again. */
  touched = false;

  /** In the order of the function's parameters. */
  constructor({ inputs = [], send, fail, onProgress }: OutputOptions) {
    let sent = 0;
    this.#outputs = inputs.map((source, argument) =>
      new Output(source, {
        touch: () => {
          this.touched = true;
        },
        element: (payload) => {
          send(FrameType.EVENT, argument, payload);
          onProgress?.(sent += payload.length);
        },
        end: () => send(FrameType.RPC_RESPONSE, argument, EMPTY),
        fail,
      })
    );
  }

  /** The gateway wants more of an argument. */
  credit(argument: number, bytes: number): void {
    this.#outputs[argument]?.credit(bytes);
  }

  /** The gateway wants no more of it. */
  cancel(argument: number): void {
    this.#outputs[argument]?.stop();
  }

  /** The call is over: every source is told. */
  stop(): void {
    for (const output of this.#outputs) output.stop();
  }
}

interface Sink {
  touch(): void;
  element(payload: Uint8Array): void;
  end(): void;
  fail(error: unknown): void;
}

class Output {
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #sink: Sink;
  #iterator: AsyncIterator<Uint8Array> | undefined;
  #balance = 0;
  #state: "idle" | "pulling" | "over" = "idle";

  constructor(source: AsyncIterable<Uint8Array>, sink: Sink) {
    this.#source = source;
    this.#sink = sink;
  }

  credit(bytes: number): void {
    this.#balance += bytes;
    if (this.#state === "idle") void this.#pull();
  }

  stop(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#iterator?.return?.()?.catch(() => {});
  }

  async #pull(): Promise<void> {
    this.#state = "pulling";
    try {
      this.#sink.touch();
      this.#iterator ??= this.#source[Symbol.asyncIterator]();
      while (this.#balance > 0) {
        const { done, value } = await this.#iterator.next();
        if (this.#over()) return;
        if (done === true) {
          this.#state = "over";
          return this.#sink.end();
        }
        this.#balance -= value.length + ELEMENT_COST;
        this.#sink.element(value);
      }
      this.#state = "idle";
    } catch (error) {
      if (this.#over()) return;
      this.#state = "over";
      this.#sink.fail(error);
    }
  }

  #over(): boolean {
    return this.#state === "over";
  }
}
