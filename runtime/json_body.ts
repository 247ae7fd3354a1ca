/**
 * A request's body as JSON, bounded in bytes, in time and in depth before anything walks it.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { concat } from "../protocol/bytes.ts";
import { type BodyPace, bodyTooLarge, leaveRest, readStart } from "../protocol/request_body.ts";

/** Bytes of a JSON body where nothing else is said: what a stranger can make us hold. */
export const MAX_JSON = 1 << 20;

/** Nesting of a JSON body: what a stranger can make us recurse. */
export const MAX_JSON_DEPTH = 64;

/**
 * Reads the body; undefined where it is empty.
 *
 * @throws {KontractError} `TOO_LARGE`, `TOO_SLOW`, `BAD_REQUEST`
 */
export async function readJson(
  request: Request,
  limit: number,
  pace: BodyPace,
): Promise<unknown> {
  const bytes = await readBytes(request, limit, pace);
  if (bytes.length === 0) return undefined;
  return parseJson(bytes);
}

/**
 * Reads a body of at most `limit` bytes that keeps its pace.
 *
 * @throws {KontractError} `TOO_LARGE`, `TOO_SLOW`, `BAD_REQUEST`
 */
export async function readBytes(
  request: Request,
  limit: number,
  pace: BodyPace,
): Promise<Uint8Array> {
  try {
    const { chunks, rest } = await readStart(request, { limit, pace });
    if (rest === null) return chunks.length === 1 ? chunks[0]! : concat(...chunks);
    leaveRest(request, rest.letGo());
  } catch (cause) {
    if (cause instanceof KontractError) throw cause;
    throw new KontractError("BAD_REQUEST", "The body broke off.", { cause });
  }
  throw bodyTooLarge(limit);
}

/** UTF-8 JSON → value. @throws {KontractError} `BAD_REQUEST` */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new KontractError("BAD_REQUEST", "The body is not UTF-8.", { cause });
  }
  if (nesting(text) > MAX_JSON_DEPTH) {
    throw new KontractError(
      "BAD_REQUEST",
      `The body is nested deeper than ${MAX_JSON_DEPTH} levels.`,
    );
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KontractError("BAD_REQUEST", "The body is not JSON.", { cause });
  }
}

/** Deepest nesting of brackets outside strings; exact for JSON, an upper bound for anything else. */
function nesting(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 0x5c) i++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (code === 0x5d || code === 0x7d) depth--;
  }
  return deepest;
}
