/**
 * HTTP bodies at the client: calls sealed into one request, an answer opened as it arrives.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { Assembler } from "./assembler.ts";
import { type Bytes, concat, EMPTY, randomBytes, utf8 } from "./bytes.ts";
import type { ClientSession } from "./client_handshake.ts";
import type { CryptoProvider } from "./crypto/provider.ts";
import { FrameSplitter, FrameType } from "./frames.ts";
import { MAX_MESSAGE } from "./limits.ts";
import { encodePrefix, requestKey, responseKey, SALT_LENGTH } from "./message_keys.ts";
import { MessageOpener, MessageSealer, type RayMessage } from "./message_state.ts";
import { SYSTEM_OPS } from "./rpc.ts";

/** One call, ready to be sealed. */
export interface PlainCall {
  readonly op: number;
  readonly payload: Uint8Array;
  /** Elements of streamed arguments, by argument. */
  readonly inputs?: readonly (readonly Uint8Array[])[] | undefined;
}

/** What one request says: stays the same when it must be sealed again for a new session. */
export interface PlainRequest {
  readonly token: string | null;
  readonly calls: readonly PlainCall[];
  readonly lane: Bytes;
  readonly reqno: bigint;
}

/** A sealed request and what opens its answer. */
export interface SealedRequest {
  readonly body: Bytes;
  /** A new opener; each answer needs its own. */
  answer(): AnswerOpener;
}

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
  const { lane, reqno, calls, token } = request;
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
    for (const [op, elements] of inputs.entries()) {
      for (const payload of elements) messages.push({ type: FrameType.EVENT, stream, op, payload });
      messages.push({ type: FrameType.RPC_RESPONSE, stream, op, payload: EMPTY });
    }
  }
  return {
    body: sealer.sealBody(prefix, messages),
    answer: () =>
      new AnswerOpener(crypto, (salt) => responseKey(crypto, session.rms, prefixHash, salt)),
  };
}

/** Opens one answer, whatever the chunks it comes in. */
export class AnswerOpener {
  readonly #crypto: CryptoProvider;
  readonly #keyFor: (salt: Uint8Array) => Bytes;
  readonly #splitter = new FrameSplitter();
  readonly #assembler = new Assembler(ANSWER_LIMITS);
  #opener: MessageOpener | undefined;
  #head: Uint8Array = EMPTY;

  /** `keyFor` gives the key for the answer's salt. */
  constructor(crypto: CryptoProvider, keyFor: (salt: Uint8Array) => Bytes) {
    this.#crypto = crypto;
    this.#keyFor = keyFor;
  }

  /** Messages completed by `chunk`. Throws `RAY_PROTOCOL`. */
  push(chunk: Uint8Array): RayMessage[] {
    let bytes = chunk;
    if (this.#opener === undefined) {
      this.#head = concat(this.#head, chunk);
      if (this.#head.length < SALT_LENGTH) return [];
      const key = this.#keyFor(this.#head.subarray(0, SALT_LENGTH));
      this.#opener = new MessageOpener(this.#crypto, key);
      bytes = this.#head.subarray(SALT_LENGTH);
    }
    const messages: RayMessage[] = [];
    for (const raw of this.#splitter.push(bytes)) {
      const message = this.#assembler.push(this.#opener.open(raw));
      if (message !== null) messages.push(message);
    }
    return messages;
  }

  /** The body has ended. Throws `NETWORK` where its last frame is missing, `RAY_PROTOCOL`. */
  finish(): void {
    if (this.#opener?.ended !== true) throw cutOff();
    if (this.#splitter.unfinished || this.#assembler.unfinished) {
      throw new KontractError("RAY_PROTOCOL");
    }
  }
}

/** Messages of an answer, in order, those that came together in one array; ends well only where the body ends with the frame marked END. */
export async function* readAnswer(
  opener: AnswerOpener,
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<RayMessage[], void> {
  const reader = body.getReader();
  try {
    while (true) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw cutOff(cause);
      });
      if (done) return opener.finish();
      yield opener.push(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** All messages of an answer whose length is known: one read instead of a stream. */
export async function readWholeAnswer(
  opener: AnswerOpener,
  response: Response,
): Promise<RayMessage[]> {
  const body = await response.arrayBuffer().catch((cause: unknown) => {
    throw cutOff(cause);
  });
  const messages = opener.push(new Uint8Array(body));
  opener.finish();
  return messages;
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
