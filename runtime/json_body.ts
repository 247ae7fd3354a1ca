/**
 * A request's body as JSON, bounded in bytes and in depth before anything walks it.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { concat } from "../protocol/bytes.ts";

/** Bytes of a JSON body where nothing else is said: what a stranger can make us hold. */
export const MAX_JSON = 1 << 20;

/** Milliseconds until a body must have arrived: how long a stranger can make us wait. */
export const MAX_BODY_MS = 30_000;

/** Nesting of a JSON body: what a stranger can make us recurse. */
export const MAX_JSON_DEPTH = 64;

/**
 * Reads the body; undefined where it is empty.
 *
 * @throws {KontractError} `TOO_LARGE`, `BAD_REQUEST`
 */
export async function readJson(request: Request, limit: number = MAX_JSON): Promise<unknown> {
  const bytes = await readBytes(request, limit);
  if (bytes.length === 0) return undefined;
  return parseJson(bytes);
}

/**
 * Reads a body of at most `limit` bytes that arrives within `within` milliseconds.
 *
 * @throws {KontractError} `TOO_LARGE`, `BAD_REQUEST`
 */
export async function readBytes(
  request: Request,
  limit: number,
  within: number = MAX_BODY_MS,
): Promise<Uint8Array> {
  const claimed = Number(request.headers.get("content-length") ?? "NaN");
  if (claimed > limit) throw tooLarge(limit);
  if (request.body === null) return new Uint8Array(0);
  // HTTP itself holds a body to its content-length, and one read of all costs less than a reader.
  const reading = Number.isInteger(claimed)
    ? { bytes: request.bytes(), stop: (): void => {} }
    : readChunks(request.body, limit);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(
      new KontractError("BAD_REQUEST", `The body took longer than ${within} milliseconds.`),
    );
    reading.stop();
  }, within);
  try {
    const bytes = await Promise.race([reading.bytes, late.promise]);
    if (bytes.length > limit) throw tooLarge(limit);
    return bytes;
  } catch (cause) {
    if (cause instanceof KontractError) throw cause;
    throw new KontractError("BAD_REQUEST", "The body broke off.", { cause });
  } finally {
    clearTimeout(timer);
  }
}

interface Reading {
  readonly bytes: Promise<Uint8Array>;
  /** Gives up; the read under way ends. */
  readonly stop: () => void;
}

function readChunks(body: ReadableStream<Uint8Array>, limit: number): Reading {
  const reader = body.getReader();
  const stop = (): void => void reader.cancel().catch(() => {});
  const read = async (): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
      if (length > limit) {
        stop();
        throw tooLarge(limit);
      }
      chunks.push(value);
    }
    return concat(...chunks);
  };
  return { bytes: read(), stop };
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

function tooLarge(limit: number): KontractError {
  return new KontractError("TOO_LARGE", `The body is larger than ${limit} bytes.`);
}
