/**
 * Reads an answer's body up to a limit, and not one chunk further.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, concat, EMPTY } from "./bytes.ts";

/** All bytes of `source`. Throws `TOO_LARGE` as soon as it is certain; the rest is not read. */
export async function readBody(source: Response, limit: number): Promise<Bytes> {
  const claimed = Number(source.headers.get("content-length") ?? "NaN");
  if (claimed > limit) {
    await source.body?.cancel().catch(() => {});
    throw new KontractError("TOO_LARGE");
  }
  if (source.body === null) return EMPTY;
  const reader = source.body.getReader();
  const parts: Uint8Array[] = [];
  for (let length = 0; length <= limit;) {
    const { done, value } = await reader.read();
    if (done) return concat(...parts);
    length += value.length;
    parts.push(value);
  }
  await reader.cancel().catch(() => {});
  throw new KontractError("TOO_LARGE");
}
