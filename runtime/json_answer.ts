/**
 * The answer of a call on the plain JSON surface, as it is made inside the transaction and stored with
 * the effect: status, headers and result.
 *
 * @module
 */
import type { CallContext } from "./context.ts";

/** What is stored. */
export interface JsonAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly result: unknown;
}

/** Result → bytes; takes over what `HttpResp` said of exactly this value, and `ctx.setHeader`. */
export function encodeJsonAnswer(
  value: unknown,
  json: unknown,
  context: CallContext,
): Uint8Array {
  const note = context.response;
  const mine = note !== null && Object.is(note.value, value) ? note : null;
  const answer: JsonAnswer = {
    status: mine?.status ?? 200,
    headers: { ...Object.fromEntries(context.headers), ...mine?.headers },
    result: json ?? null,
  };
  return new TextEncoder().encode(JSON.stringify(answer));
}

/** Bytes → answer. */
export function decodeJsonAnswer(bytes: Uint8Array): JsonAnswer {
  return JSON.parse(new TextDecoder().decode(bytes));
}
