/**
 * HTTP bodies at the client: calls sealed into one request, an answer opened as it arrives.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { BodyOpener } from "./body_opener.ts";
import { type Bytes, concat, EMPTY, randomBytes, utf8 } from "./bytes.ts";
import type { ClientSession } from "./client_handshake.ts";
import type { CryptoProvider } from "./crypto/provider.ts";
import { FrameType } from "./frames.ts";
import { MAX_MESSAGE } from "./limits.ts";
import { encodePrefix, requestKey, responseKey, SALT_LENGTH } from "./message_keys.ts";
import { MessageSealer, type RayMessage } from "./message_state.ts";
import { SYSTEM_OPS } from "./rpc.ts";

/** An element of a streamed argument or its end; the argument's number is the op. */
export type InputMessage = Omit<RayMessage, "stream">;

/** One call, ready to be sealed. */
export interface PlainCall {
  readonly op: number;
  readonly payload: Uint8Array;
  /** Elements and ends of streamed arguments. */
  readonly inputs?: readonly InputMessage[] | undefined;
}

/** What one request says: stays the same when it must be sealed again for a new session. */
export interface PlainRequest {
  readonly token: string | null;
  readonly calls: readonly PlainCall[];
  readonly lane: Bytes;
  readonly reqno: bigint;
  /** True where it must not be sent again when nobody has answered. */
  readonly once?: boolean;
  /**
   * Of a body that is longer than its start, `head`: gives all of it, sealing the rest as it is read, and
   * tells when the first of it leaves.
   */
  readonly more?:
    | ((head: Bytes, sealer: MessageSealer, leaves: () => void) => RequestBody)
    | undefined;
}

/** What is posted. A stream can be sent once. */
export type RequestBody = Bytes | ReadableStream<Bytes>;

/** A sealed request and what opens its answer. */
export interface SealedRequest {
  readonly body: Bytes;
  /** Goes on where the request has more. */
  readonly sealer: MessageSealer;
  /** A new opener; each answer needs its own. */
  answer(): AnswerOpener;
}

// An answer of so many bytes is read in one go. A longer one is opened as it comes: whoever stands in between can
// make it up, and must not be held for it.
const MAX_WHOLE = 64 << 10;

/** Stream number of the k-th call of a body. */
export function streamOf(k: number): number {
  return 2 * k + 1;
}

/** Seals `request` for `session`, with a new salt. */
export function sealRequest(
  crypto: CryptoProvider,
  session: ClientSession,
  request: PlainRequest,
): SealedRequest {
  const { lane, reqno, calls, token, more } = request;
  const salt = randomBytes(SALT_LENGTH);
  const prefix = encodePrefix({ lane, reqno, salt, ticket: session.ticket });
  const prefixHash = crypto.sha256(prefix);
  const sealer = new MessageSealer(crypto, requestKey(crypto, session.rms, prefixHash));
  const type = FrameType.RPC_CALL;
  const messages: RayMessage[] = [];
  if (token !== null) {
    messages.push({ type, stream: 0, op: SYSTEM_OPS.AUTHENTICATE, payload: utf8(token) });
  }
  for (const [k, { op, payload, inputs = [] }] of calls.entries()) {
    const stream = streamOf(k);
    messages.push({ type, stream, op, payload });
    for (const input of inputs) messages.push({ ...input, stream });
  }
  return {
    body: sealer.sealBody(prefix, messages, more === undefined),
    sealer,
    answer: () =>
      new AnswerOpener((salt) => {
        const key = responseKey(crypto, session.rms, prefixHash, salt);
        return new BodyOpener(crypto, key, ANSWER_LIMITS);
      }),
  };
}

/** Opens one answer, whatever the chunks it comes in. */
export class AnswerOpener {
  readonly #openerFor: (salt: Uint8Array) => BodyOpener;
  #opener: BodyOpener | undefined;
  #head: Uint8Array = EMPTY;

  /** `openerFor` makes the opener for the answer's salt. */
  constructor(openerFor: (salt: Uint8Array) => BodyOpener) {
    this.#openerFor = openerFor;
  }

  /** Messages completed by `chunk`. Throws `RAY_PROTOCOL`. */
  push(chunk: Uint8Array): RayMessage[] {
    if (this.#opener !== undefined) return this.#opener.push(chunk);
    this.#head = this.#head.length > 0 ? concat(this.#head, chunk) : chunk;
    if (this.#head.length < SALT_LENGTH) return [];
    this.#opener = this.#openerFor(this.#head.subarray(0, SALT_LENGTH));
    return this.#opener.push(this.#head.subarray(SALT_LENGTH));
  }

  /** True after the frame that ends the answer. */
  get ended(): boolean {
    return this.#opener?.ended === true;
  }

  /** The body has ended. Throws `NETWORK` where its last frame is missing, `RAY_PROTOCOL`. */
  finish(): void {
    if (!this.ended) throw cutOff();
    this.#opener?.finish();
  }
}

/** Messages of an answer, in order, those that came together in one array; ends well only where the body ends with the frame marked END. */
export async function* readAnswer(
  opener: AnswerOpener,
  response: Response,
): AsyncGenerator<RayMessage[], void> {
  const { body, headers, type } = response;
  const length = parseInt(headers.get("content-length")!);
  // What was encoded on the way has another length, and another origin's answer hides that it was.
  const certain = type !== "cors" && !headers.has("content-encoding");
  if (body === null || certain && length <= MAX_WHOLE) {
    const whole = await response.arrayBuffer().catch((cause: unknown) => {
      throw cutOff(cause);
    });
    const messages = opener.push(new Uint8Array(whole));
    opener.finish();
    yield messages;
    return;
  }
  const reader = body.getReader();
  try {
    while (true) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        // The last frame is authentic: what becomes of the connection after it is nobody's loss.
        if (opener.ended) return { done: true, value: undefined } as const;
        throw cutOff(cause);
      });
      if (done) return opener.finish();
      yield opener.push(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function cutOff(cause?: unknown): KontractError {
  return new KontractError("NETWORK", "The answer was cut off.", { cause });
}

// What a server of ours may be configured to send at most.
const ANSWER_LIMITS = {
  message: MAX_MESSAGE,
  streams: 65_535,
  subscriptions: 0,
  reassembly: 4 * MAX_MESSAGE,
};
