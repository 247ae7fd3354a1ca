/**
 * Reads a body up to a limit, and not one chunk further.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, concat, EMPTY } from "./bytes.ts";

/** All bytes of `source`. Throws `TOO_LARGE` as soon as it is certain; the rest is not read. */
export async function readBody(source: Request | Response, limit: number): Promise<Bytes> {
  const claimed = Number(source.headers.get("content-length") ?? "NaN");
  if (claimed > limit) {
    // A request's is the host's to end: it may have to be read for the refusal to arrive.
    if (source instanceof Response) await source.body?.cancel().catch(() => {});
    throw new KontractError("TOO_LARGE");
  }
  // HTTP itself holds a body to its content-length, so this cannot be more than was claimed.
  if (Number.isInteger(claimed) && source instanceof Request) {
    const bytes = new Uint8Array(await source.arrayBuffer());
    if (bytes.length <= limit) return bytes;
    throw new KontractError("TOO_LARGE");
  }
  if (source.body === null) return EMPTY;
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source.body) {
    length += chunk.length;
    if (length > limit) throw new KontractError("TOO_LARGE");
    parts.push(chunk);
  }
  return concat(...parts);
}
