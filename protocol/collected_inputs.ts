/**
 * Streamed arguments over HTTP: read to their end and sent in the call's own body, within the limit of a
 * message. What larger streams need is a WebSocket.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { TransportCallOptions } from "./transport.ts";

// What a frame adds to an element; see `sealed_frame.ts`, which would be a chunk of its own here.
const FRAME = 40;

// A call that is sent again finds what was read: a source can be read once.
const collected = new WeakMap<AsyncIterable<Uint8Array>, Uint8Array[]>();

/**
 * All elements, by argument. Stops reading at `signal`.
 *
 * @throws {KontractError} `TOO_LARGE` where they and their frames have more than `limit` bytes
 * @throws what a source throws
 */
export async function collectInputs(
  { inputs = [], onProgress }: TransportCallOptions,
  limit: number,
  signal: AbortSignal,
): Promise<Uint8Array[][]> {
  const all: Uint8Array[][] = [];
  let size = 0;
  let sent = 0;
  for (const source of inputs) {
    const known = collected.get(source);
    const elements: Uint8Array[] = [];
    for await (const element of known ?? unlessAborted(source, signal)) {
      size += element.length + FRAME;
      if (size > limit) {
        const text = `Over HTTP a call may have ${limit} bytes, streamed arguments included.`;
        throw new KontractError("TOO_LARGE", text);
      }
      elements.push(element);
      if (known === undefined) onProgress?.(sent += element.length);
    }
    collected.set(source, elements);
    all.push(elements);
    size += FRAME;
  }
  return all;
}

async function* unlessAborted(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  const leave = (): void => void iterator.return?.()?.catch(() => {});
  signal.addEventListener("abort", leave, { once: true });
  let ended = false;
  try {
    while (!signal.aborted) {
      const { done, value } = await iterator.next();
      ended = done === true;
      if (ended) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", leave);
    if (!ended) leave();
  }
}
