/**
 * HTTP bodies at the client: calls sealed into one request, an answer opened as it arrives.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { Assembler } from "./assembler.ts";
import { type Bytes, concat, randomBytes, utf8 } from "./bytes.ts";
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
  /** Messages of the answer, in order; ends well only where the body ends with the frame marked END. */
  open(answer: ReadableStream<Uint8Array>): AsyncGenerator<RayMessage, void>;
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
  const parts: Bytes[] = [prefix];
  const type = FrameType.RPC_CALL;
  if (token !== null) {
    const payload = utf8(token);
    parts.push(sealer.seal({ type, stream: 0, op: SYSTEM_OPS.AUTHENTICATE, payload }, false));
  }
  for (const [k, { op, payload }] of calls.entries()) {
    const last = k === calls.length - 1;
    parts.push(sealer.seal({ type, stream: streamOf(k), op, payload }, last));
  }
  return {
    body: concat(...parts),
    open: (answer) =>
      openAnswer(crypto, (salt) => responseKey(crypto, session.rms, prefixHash, salt), answer),
  };
}

async function* openAnswer(
  crypto: CryptoProvider,
  keyFor: (salt: Uint8Array) => Bytes,
  answer: ReadableStream<Uint8Array>,
): AsyncGenerator<RayMessage, void> {
  const splitter = new FrameSplitter();
  const assembler = new Assembler(ANSWER_LIMITS);
  let opener: MessageOpener | undefined;
  let head: Uint8Array = new Uint8Array(0);
  for await (const chunk of chunks(answer)) {
    let bytes = chunk;
    if (opener === undefined) {
      head = concat(head, chunk);
      if (head.length < SALT_LENGTH) continue;
      opener = new MessageOpener(crypto, keyFor(head.subarray(0, SALT_LENGTH)));
      bytes = head.subarray(SALT_LENGTH);
    }
    for (const raw of splitter.push(bytes)) {
      const message = assembler.push(opener.open(raw));
      if (message !== null) yield message;
    }
  }
  if (opener?.ended !== true) throw new KontractError("NETWORK", "The answer was cut off.");
  if (splitter.unfinished || assembler.unfinished) throw new KontractError("RAY_PROTOCOL");
}

// What a server of ours may be configured to send at most.
const ANSWER_LIMITS = {
  message: MAX_MESSAGE,
  streams: 65_535,
  subscriptions: 0,
  reassembly: 4 * MAX_MESSAGE,
};

// Not every browser can iterate a stream.
async function* chunks(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = stream.getReader();
  try {
    while (true) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw new KontractError("NETWORK", "The answer was cut off.", { cause });
      });
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
