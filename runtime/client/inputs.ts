/**
 * Streamed arguments at the client: whatever the app gives, as encoded elements. Bytes are cut into
 * pieces of one frame, so a file of any size needs no more memory than a few of them.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { ClientInput } from "./route.ts";

// With what a codec adds, one frame.
const PIECE = 65_000;

/**
 * The elements of `source`, encoded. Leaving the loop tells the source. `onCodec` hears of each piece of
 * bytes how many the codec has added to it.
 */
export async function* encodeInput(
  { bytes, encode, readFiles }: ClientInput,
  source: unknown,
  onCodec?: (added: number) => void,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const element of elementsOf(source)) {
    if (readFiles !== undefined) await readFiles(element);
    if (bytes !== true) yield encode(element);
    else if (!(element instanceof Uint8Array)) throw new KontractError("VALIDATION", NO_BYTES);
    else {
      for (const piece of piecesOf(element)) {
        const encoded = encode(piece);
        onCodec?.(encoded.length - piece.length);
        yield encoded;
      }
    }
  }
}

/** Stands for a source that was read. */
export const SPENT: AsyncIterable<never> = {
  [Symbol.asyncIterator](): never {
    throw new KontractError(
      "CONFLICT",
      "What a streamed argument gave was sent: call again with a new one.",
    );
  },
};

const NO_BYTES = "A stream of bytes must give Uint8Arrays.";

function elementsOf(source: unknown): AsyncIterable<unknown> {
  if (source instanceof Blob) return elementsOf(source.stream());
  if (Symbol.asyncIterator in Object(source)) return source as AsyncIterable<unknown>;
  // Safari's streams cannot be iterated.
  if (source instanceof ReadableStream) return readAll(source);
  throw new KontractError(
    "VALIDATION",
    "A streamed argument must be an async iterable, a ReadableStream, or for bytes a Blob.",
  );
}

async function* readAll(stream: ReadableStream<unknown>): AsyncGenerator<unknown, void, void> {
  const reader = stream.getReader();
  let ended = false;
  try {
    while (true) {
      const { done, value } = await reader.read();
      ended = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!ended) await reader.cancel();
  }
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}
