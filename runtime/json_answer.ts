/**
 * The answer of a call on the plain JSON surface, as it is made inside the transaction and stored with
 * the effect: status, headers and result.
 *
 * @module
 */
import type { CallContext } from "./context.ts";

/** What a function says of its answer beside the value. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Media type of bytes, where the function said it. */
  readonly type?: string;
}

/** What is stored. */
export interface JsonAnswer extends AnswerHead {
  readonly result: unknown;
}

/** What `HttpResp` said of exactly this value, and `ctx.setHeader`. */
export function answerHead(
  value: unknown,
  context: CallContext,
): AnswerHead {
  const note = context.response;
  const mine = note !== null && Object.is(note.value, value) ? note : null;
  return {
    status: mine?.status ?? 200,
    headers: { ...Object.fromEntries(context.headers), ...mine?.headers },
    ...(mine?.type === undefined ? {} : { type: mine.type }),
  };
}

/** Result → bytes, with its {@link answerHead}. */
export function encodeJsonAnswer(
  value: unknown,
  json: unknown,
  context: CallContext,
): Uint8Array {
  const answer: JsonAnswer = { ...answerHead(value, context), result: json ?? null };
  return new TextEncoder().encode(JSON.stringify(answer));
}

/** Bytes → answer. */
export function decodeJsonAnswer(bytes: Uint8Array): JsonAnswer {
  return JSON.parse(new TextDecoder().decode(bytes));
}
