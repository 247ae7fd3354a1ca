/**
 * Reads a body up to a limit, and not one chunk further.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, concat, EMPTY } from "./bytes.ts";

/** What is read at most of a body that nobody wants any more: more than is on the way while the answer travels. */
const DROPPED_BYTES = 64 << 20;
const DROPPED_MS = 10_000;

/** A body, or its start where it is longer than its reader takes at once. */
export interface BodyStart {
  readonly bytes: Bytes;
  /** Reads on; null where the body has ended. */
  readonly rest: ReadableStreamDefaultReader<Uint8Array> | null;
}

/** All bytes of `source`. Throws `TOO_LARGE` as soon as it is certain; the rest is not read. */
export async function readBody(source: Request | Response, limit: number): Promise<Bytes> {
  const { bytes, rest } = await readStart(source, limit);
  if (rest === null) return bytes;
  await rest.cancel().catch(() => {});
  throw new KontractError("TOO_LARGE");
}

/**
 * Bytes of `source` up to the chunk that goes beyond `limit`. Throws `TOO_LARGE` where the length it tells is
 * more.
 */
export async function readStart(source: Request | Response, limit: number): Promise<BodyStart> {
  const claimed = Number(source.headers.get("content-length") ?? "NaN");
  if (claimed > limit) {
    // A request's is the host's to end: it may have to be read for the refusal to arrive.
    if (source instanceof Response) await source.body?.cancel().catch(() => {});
    throw new KontractError("TOO_LARGE");
  }
  // HTTP itself holds a body to its content-length, so this cannot be more than was claimed.
  if (Number.isInteger(claimed) && source instanceof Request) {
    const bytes = new Uint8Array(await source.arrayBuffer());
    if (bytes.length <= limit) return { bytes, rest: null };
    throw new KontractError("TOO_LARGE");
  }
  if (source.body === null) return { bytes: EMPTY, rest: null };
  const reader = source.body.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  while (length <= limit) {
    const { done, value } = await reader.read();
    if (done) return { bytes: concat(...parts), rest: null };
    length += value.length;
    parts.push(value);
  }
  return { bytes: concat(...parts), rest: reader };
}

/**
 * `answer`, whose end waits until the sender has ended what is left of its body, or for a bounded while. Hosts close
 * the connection with a body that nobody reads, and an answer that is still on its way is lost with it.
 */
export function endingWith(
  answer: ReadableStream<Bytes>,
  rest: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Bytes> {
  return answer.pipeThrough(new TransformStream<Bytes, Bytes>({ flush: () => dropRest(rest) }));
}

/** Reads on and drops what comes, within bounds. Never rejects. */
async function dropRest(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), DROPPED_MS);
  try {
    for (let length = 0; length <= DROPPED_BYTES;) {
      const { done, value } = await reader.read();
      if (done) return;
      length += value.length;
    }
    await reader.cancel();
  } catch {
    // The sender has gone.
  } finally {
    clearTimeout(timer);
  }
}
