/**
 * The body of an answer: `salt_s[16]`, then sealed frames. One value or error is one buffer; a batch or a
 * stream is sent as it comes, EVENT by EVENT, each call closed by RPC_RESPONSE or RPC_ERROR and the last
 * frame of all marked END.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, EMPTY } from "./bytes.ts";
import { FrameOutlet } from "./frame_outlet.ts";
import { FrameType } from "./frames.ts";
import type { RayLimits } from "./limits.ts";
import type { MessageSealer, RayMessage } from "./message_state.ts";
import type { Dispatch, RpcCall, RpcReply, WireError } from "./rpc.ts";
import { encodeWireError, toWireError } from "./wire_error.ts";

/** A call that has been handed to the dispatcher. */
export interface RunningCall {
  readonly stream: number;
  readonly op: number;
  readonly reply: Promise<RpcReply>;
}

/** What an answer needs beside its calls. */
export interface ReplyOptions {
  readonly limits: RayLimits;
  /** Aborted when the reader goes away. */
  readonly abort: AbortController;
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

/** The body for `calls`: bytes where there is one plain reply, a stream otherwise. */
export async function replyBody(
  salt: Bytes,
  sealer: MessageSealer,
  calls: readonly RunningCall[],
  options: ReplyOptions,
): Promise<Bytes | ReadableStream<Bytes>> {
  if (await allPlainSoon(calls)) {
    const messages = await Promise.all(calls.map(async (call): Promise<RayMessage> => {
      const reply = await call.reply;
      if (reply.kind === "stream") throw new KontractError("INTERNAL");
      return finalMessage(call, reply, options.limits);
    }));
    return sealer.sealBody(salt, messages);
  }
  const outlet = new FrameOutlet(() => options.abort.abort());
  void outlet.write(salt);
  let open = calls.length;
  for (const call of calls) {
    answerCall(call).catch((error: unknown) => {
      options.onFailure?.(error);
      options.abort.abort();
      outlet.fail();
    });
  }
  return outlet.body;

  async function answerCall(call: RunningCall): Promise<void> {
    const reply = await call.reply;
    const final = reply.kind === "stream"
      ? await pump(call, reply.elements, sealer, outlet, options)
      : finalMessage(call, reply, options.limits);
    open--;
    void outlet.write(sealer.seal(final, open === 0));
    if (open === 0) outlet.end();
  }
}

/**
 * True where all replies are plain and there within one turn after the first. They then leave in one
 * buffer, and their callers, woken together, call together again.
 */
function allPlainSoon(calls: readonly RunningCall[]): Promise<boolean> {
  return new Promise((resolve) => {
    let waiting = calls.length;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const decide = (all: boolean): void => {
      clearTimeout(timer);
      resolve(all);
    };
    for (const call of calls) {
      // Never rejects: see `settle`.
      void call.reply.then((reply) => {
        waiting--;
        if (reply.kind === "stream" || waiting === 0) decide(reply.kind !== "stream");
        else timer ??= setTimeout(() => decide(false), 0);
      });
    }
  });
}

/** Runs the dispatcher; should it throw all the same, that is an opaque error reply. */
export async function settle(dispatch: Dispatch, call: RpcCall): Promise<RpcReply> {
  try {
    return await dispatch(call);
  } catch (error) {
    return { kind: "error", error: toWireError(error) };
  }
}

/** The reply to a SUBSCRIBE that is one more than `limits` allow. */
export function tooManySubscriptions({ subscriptions }: RayLimits): RpcReply {
  const text = `A connection may have ${subscriptions} subscriptions: end some of them.`;
  return { kind: "error", error: toWireError(new KontractError("RATE_LIMITED", text)) };
}

/** RPC_RESPONSE or RPC_ERROR for a reply. */
export function finalMessage(
  call: { readonly stream: number; readonly op: number },
  reply: Exclude<RpcReply, { kind: "stream" }>,
  limits: RayLimits,
): RayMessage {
  const { stream, op } = call;
  if (reply.kind === "error") return errorMessage(call, reply.error);
  if (reply.payload.length > limits.message) return errorMessage(call, toWireError(tooLarge()));
  return { type: FrameType.RPC_RESPONSE, stream, op, payload: reply.payload };
}

/** Sends the elements as EVENTs, no faster than they are read; returns what closes the call. */
async function pump(
  call: RunningCall,
  elements: AsyncIterable<Uint8Array>,
  sealer: MessageSealer,
  outlet: FrameOutlet,
  { limits, abort }: ReplyOptions,
): Promise<RayMessage> {
  const { stream, op } = call;
  const iterator = elements[Symbol.asyncIterator]();
  try {
    while (true) {
      const next = await nextUnlessAborted(iterator, abort.signal);
      if (next === null) break;
      if (next.done === true) return { type: FrameType.RPC_RESPONSE, stream, op, payload: EMPTY };
      if (next.value.length > limits.message) throw tooLarge();
      const event = { type: FrameType.EVENT, stream, op, payload: next.value };
      if (!outlet.closed) await outlet.write(sealer.seal(event, false));
    }
  } catch (error) {
    iterator.return?.()?.catch(() => {});
    return errorMessage(call, toWireError(error));
  }
  // The reader has gone: tell the source, but do not wait for what it still does.
  iterator.return?.()?.catch(() => {});
  return errorMessage(call, toWireError(new KontractError("CANCELLED")));
}

/** RPC_ERROR for a call. */
export function errorMessage(
  call: { readonly stream: number; readonly op: number },
  error: WireError,
): RayMessage {
  const { stream, op } = call;
  return { type: FrameType.RPC_ERROR, stream, op, payload: encodeWireError(error) };
}

function tooLarge(): KontractError {
  return new KontractError("TOO_LARGE", "The result is larger than the channel's limit.");
}

/** The next element, or null once `signal` is aborted. Leaves no listener behind. */
export function nextUnlessAborted<T>(
  iterator: AsyncIterator<T>,
  signal: AbortSignal,
): Promise<IteratorResult<T> | null> {
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(null);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    const settled = (): void => signal.removeEventListener("abort", stop);
    iterator.next().then(resolve, reject).finally(settled);
  });
}
