/**
 * The answer of a call on the plain JSON surface, as it is made inside the transaction and stored with
 * the effect: status, headers, result and the digest of the body it answers.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { CallContext } from "./context.ts";

/** What is stored. */
export interface JsonAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly result: unknown;
  /** Digest of the request's body; empty where there is no `Idempotency-Key`. */
  readonly body: string;
}

/** Result → bytes; takes over what `HttpResp` said of exactly this value, and `ctx.setHeader`. */
export function encodeJsonAnswer(
  value: unknown,
  json: unknown,
  context: CallContext,
  body: string,
): Uint8Array {
  const note = context.response;
  const mine = note !== null && Object.is(note.value, value) ? note : null;
  const answer: JsonAnswer = {
    status: mine?.status ?? 200,
    headers: { ...Object.fromEntries(context.headers), ...mine?.headers },
    result: json ?? null,
    body,
  };
  return new TextEncoder().encode(JSON.stringify(answer));
}

/**
 * Bytes → answer.
 *
 * @throws {KontractError} `REPLAY` where a repeat came with another body, or the stored answer was
 *   made for another channel
 */
export function decodeJsonAnswer(bytes: Uint8Array, body: string, replayed: boolean): JsonAnswer {
  const answer = replayed ? tryParse(bytes) : JSON.parse(new TextDecoder().decode(bytes));
  if (answer === null || answer.body !== body) {
    throw new KontractError("REPLAY", "This Idempotency-Key was used with another body.");
  }
  return answer;
}

function tryParse(bytes: Uint8Array): JsonAnswer | null {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as JsonAnswer;
  } catch {
    return null;
  }
}
