/**
 * The answer of a call whose result is bytes, at a plain REST address: the bytes themselves, with their type.
 *
 * As it is made inside the transaction and stored with the effect: the length of the head (four bytes, little-endian),
 * the head as JSON, then the body. Where a function gives null or undefined there is no body and the answer is a 204.
 *
 * A browser is told to run nothing of it (`Content-Security-Policy: sandbox`): what people upload must not act as a
 * page of the app. A function that means to give pages sets the header itself.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { bytesOf } from "../_internal/file_bytes.ts";
import { concat } from "../protocol/bytes.ts";
import type { CallContext } from "./context.ts";
import { elementBody } from "./element_body.ts";
import { type AnswerHead, answerHead } from "./json_answer.ts";

/** What a type of bytes is where nothing says it. */
const ANY_BYTES = "application/octet-stream";

interface RawHead extends AnswerHead {
  readonly type: string;
  /** True where the function gave nothing. */
  readonly empty: boolean;
}

/** Result → bytes to store. @throws {KontractError} `VALIDATION` for what is no bytes */
export function encodeRawAnswer(value: unknown, context: CallContext): Uint8Array {
  const { type, ...head } = answerHead(value, context);
  const empty = value === null || value === undefined;
  const body = empty ? new Uint8Array(0) : rawBytes(value);
  const own = value instanceof Blob && value.type !== "" ? value.type : ANY_BYTES;
  const text = new TextEncoder().encode(JSON.stringify({ ...head, type: type ?? own, empty }));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, text.length, true);
  return concat(length, text, body);
}

/** Stored bytes → the response; `more` are headers of this answer. */
export function rawAnswer(
  stored: Uint8Array,
  more: Readonly<Record<string, string>>,
): Response {
  const length = new DataView(stored.buffer, stored.byteOffset).getUint32(0, true);
  const head = JSON.parse(
    new TextDecoder().decode(stored.subarray(4, 4 + length)),
  ) as RawHead;
  const bare = head.empty || head.status === 204 || (head.status >= 300 && head.status < 400);
  if (!bare) return rawResponse(head, stored.slice(4 + length), more);
  const headers = { "cache-control": "no-store", ...head.headers, ...more };
  return new Response(null, {
    status: head.empty && head.status === 200 ? 204 : head.status,
    headers,
  });
}

/** A stream of bytes as the response. A failure on the way breaks it off: HTTP has no other word for it. */
export function rawStream(
  { type, ...head }: AnswerHead,
  elements: AsyncIterable<Uint8Array>,
  failed: (error: unknown) => void,
): Response {
  const body = elementBody(elements, {
    failed(error): never {
      failed(error);
      throw new KontractError("INTERNAL");
    },
  });
  return rawResponse({ ...head, type: type ?? ANY_BYTES, empty: false }, body, {});
}

/** The bytes of a result or an element. @throws {KontractError} `VALIDATION` */
export function rawBytes(value: unknown): Uint8Array {
  const bytes = value instanceof Blob ? bytesOf(value) : value;
  if (bytes instanceof Uint8Array) return bytes;
  throw new KontractError("VALIDATION", "The value must be bytes.");
}

function rawResponse(
  { status, headers, type }: RawHead,
  body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
  more: Readonly<Record<string, string>>,
): Response {
  return new Response(body, {
    status,
    headers: {
      "cache-control": "no-store",
      "content-security-policy": "default-src 'none'; sandbox",
      ...headers,
      ...more,
      "content-type": type,
      "x-content-type-options": "nosniff",
    },
  });
}
