/**
 * Streamed arguments of one call in an HTTP body. They travel one after the other, and nobody can ask the
 * client for less: a body that goes on is read as its function takes elements, and what it must skip for
 * that is held up to a limit.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { BodyOpener } from "./body_opener.ts";
import { FrameType } from "./frames.ts";
import { ELEMENT_COST } from "./input_budget.ts";
import type { RayMessage } from "./message_state.ts";
import { MAX_INPUTS, readTwice } from "./socket_input.ts";

interface Input {
  readonly elements: Uint8Array[];
  ended: boolean;
  read: boolean;
  /** Its function has had enough: what still comes is dropped. */
  left: boolean;
}

/** The rest of a body. */
export interface BodyRest {
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly opener: BodyOpener;
  /** Bytes of elements that may wait for their reader. */
  readonly most: number;
}

/** Streamed arguments of one call. */
export class BodyInputs {
  readonly #stream: number;
  readonly #inputs = new Map<number, Input>();
  #rest: BodyRest | undefined;
  #reading: Promise<void> | undefined;
  #held = 0;
  #left = false;

  /** Of the call on `stream`. */
  constructor(stream: number) {
    this.#stream = stream;
  }

  /** What reads on, until the body's last frame has been read. */
  get rest(): ReadableStreamDefaultReader<Uint8Array> | null {
    const rest = this.#rest;
    return rest === undefined || rest.opener.ended ? null : rest.reader;
  }

  /** True where an argument has no end yet. */
  get unfinished(): boolean {
    return this.#inputs.values().some(({ ended }) => !ended);
  }

  /** An element or an end. Throws `RAY_PROTOCOL` for anything else. */
  push({ type, stream, op, payload }: RayMessage): void {
    const element = type === FrameType.EVENT;
    const end = type === FrameType.RPC_RESPONSE && payload.length === 0;
    if (!element && !end || stream !== this.#stream || op >= MAX_INPUTS) {
      throw new KontractError("RAY_PROTOCOL");
    }
    const input = this.#input(op);
    if (input.ended) throw new KontractError("RAY_PROTOCOL");
    input.ended = end;
    if (!element || input.left) return;
    input.elements.push(payload);
    this.#held += costOf(payload);
  }

  /** There is more to read. */
  readOn(rest: BodyRest): void {
    this.#rest = rest;
  }

  /**
   * The client has gone: who waits for its body waits no more. Deno may leave a read of such a body unsettled
   * for ever.
   */
  leave(): void {
    this.#left = true;
    this.#rest?.reader.cancel().catch(() => {});
  }

  /**
   * The elements of an argument, once.
   *
   * @throws {KontractError} `BAD_REQUEST` where it is missing, `CANCELLED` where the client has gone,
   * `OVERLOADED` where too much of other arguments comes before it, `CONFLICT` the second time
   */
  async *read(argument: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const input = this.#input(argument);
    if (input.read) throw readTwice();
    input.read = true;
    let batch: Uint8Array[] = [];
    try {
      while (true) {
        batch = input.elements.splice(0).reverse();
        for (let element = batch.pop(); element !== undefined; element = batch.pop()) {
          this.#held -= costOf(element);
          if (signal.aborted) throw new KontractError("CANCELLED");
          yield await Promise.resolve(element);
        }
        if (input.ended) return;
        await (this.#reading ??= this.#readChunk());
      }
    } finally {
      input.left = true;
      for (const element of [...batch, ...input.elements.splice(0)]) this.#held -= costOf(element);
    }
  }

  #input(argument: number): Input {
    const known = this.#inputs.get(argument);
    if (known !== undefined) return known;
    const input = { elements: [], ended: false, read: false, left: false };
    this.#inputs.set(argument, input);
    return input;
  }

  // A failure stays: what is wrong once is wrong for all who read.
  async #readChunk(): Promise<void> {
    if (this.#rest === undefined) throw new KontractError("BAD_REQUEST", MISSING);
    const { reader, opener, most } = this.#rest;
    if (this.#held > most) throw new KontractError("OVERLOADED", OUT_OF_ORDER);
    const { done, value } = await reader.read().catch(() => {
      throw new KontractError("CANCELLED");
    });
    if (this.#left) throw new KontractError("CANCELLED");
    for (const message of done ? [] : opener.push(value)) this.push(message);
    if (done) {
      this.#rest = undefined;
      opener.finish();
    }
    this.#reading = undefined;
  }
}

function costOf(element: Uint8Array): number {
  return element.length + ELEMENT_COST;
}

const MISSING = "A streamed argument is missing.";
const OUT_OF_ORDER =
  "Over HTTP streamed arguments come one after the other: read them in their order, or use a WebSocket.";
