/**
 * The client's transport over HTTP. Calls made in one tick with one token travel as one body; a stream has
 * a body of its own. Batches stay within the limits that the server announced.
 *
 * What a caller sees when no answer came: `NETWORK` where nothing can have happened or the call only
 * reads, `OUTCOME_UNKNOWN` where a state-changing call may have been applied.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, randomBytes } from "./bytes.ts";
import { CallClock } from "./call_clock.ts";
import type { collectInputs } from "./collected_inputs.ts";
import { readAnswer, streamOf } from "./client_body.ts";
import type { ClientSession } from "./client_handshake.ts";
import { FrameType } from "./frames.ts";
import { HttpChannel, PostError } from "./http_channel.ts";
import { callTooLarge, type RayLimits } from "./limits.ts";
import { LANE_LENGTH } from "./message_keys.ts";
import type { RayMessage } from "./message_state.ts";
import { failureOf, PendingCall, watchCall } from "./pending_call.ts";
import { SYSTEM_OPS } from "./rpc.ts";
import type { Transport, TransportCallOptions, TransportOptions } from "./transport.ts";
import { decodeWireError, RemoteError } from "./wire_error.ts";

/** Options of {@link createHttpTransport}. */
export interface HttpTransportOptions extends TransportOptions {
  /** Milliseconds a call waits where it says nothing itself: one minute by default. */
  readonly timeout?: number;
}

/** A transport to one gateway. Nothing is sent before the first call. */
export function createHttpTransport(options: HttpTransportOptions): Transport {
  return new HttpTransport(options);
}

const DEFAULT_TIMEOUT = 60_000;
// Here nobody can be asked for a sign of life: a subscription over a connection that is half open, or behind a proxy
// that keeps what it should pass on, would stay silent for ever. Who follows opens it anew and resumes.
const SILENCE_MS = 300_000;
// Keeps what frames add below the 64 KiB the server allows for it.
const MAX_BATCH = 256;

class HttpTransport implements Transport {
  readonly #channel: HttpChannel;
  readonly #timeout: number;
  readonly #lane: Bytes = randomBytes(LANE_LENGTH);
  readonly #clock = new CallClock();
  readonly #closed = new AbortController();
  #reqno = 0n;
  #queue: PendingCall[] = [];

  constructor(options: HttpTransportOptions) {
    this.#channel = new HttpChannel(options, this.#closed.signal);
    this.#timeout = options.timeout ?? DEFAULT_TIMEOUT;
  }

  call(op: number, payload: Uint8Array, options: TransportCallOptions): Promise<Uint8Array> {
    const pending = new PendingCall(op, payload, options, this.#timeout, this.#clock);
    if (options.inputs !== undefined) void this.#collect(pending);
    else if (!pending.settled) this.#enqueue(pending);
    return pending.result;
  }

  async *stream(
    op: number,
    payload: Uint8Array,
    options: TransportCallOptions,
  ): AsyncGenerator<Uint8Array, void> {
    const { token, mutation, signal, timeout } = options;
    const abort = new AbortController();
    const fail = (error: unknown): void => abort.abort(error);
    const stopWatching = watchCall(this.#clock, { timeout, signal }, fail);
    const silence = { deadline: this.#clock.now() + SILENCE_MS, fail };
    if (op === SYSTEM_OPS.SUBSCRIBE) this.#clock.add(silence);
    try {
      const { limits } = await this.#channel.session(abort.signal);
      if (payload.length > limits.message) throw callTooLarge(limits.message);
      const collected = options.inputs &&
        await collect(options, { limits, payload, signal: abort.signal, fail }).catch(fail);
      abort.signal.throwIfAborted();
      const request = {
        token,
        calls: [{ op, payload, inputs: collected?.inputs }],
        lane: this.#lane,
        reqno: this.#take(1),
        more: collected?.more,
      };
      const { response, opener } = await this.#channel.post(request, abort.signal);
      let ended = false;
      for await (const messages of readAnswer(opener, response)) {
        silence.deadline = this.#clock.now() + SILENCE_MS;
        for (const message of messages) {
          if (message.stream !== streamOf(0) || ended) throw new KontractError("RAY_PROTOCOL");
          if (message.type === FrameType.EVENT) yield message.payload;
          else ended = endStream(message);
          if (ended) collected?.enough?.();
        }
      }
    } catch (error) {
      // Our own reason wins over whatever fetch makes of it.
      throw abort.signal.aborted ? abort.signal.reason : failureOf(error, mutation);
    } finally {
      stopWatching();
      this.#clock.delete(silence);
      fail(new KontractError("CANCELLED"));
    }
  }

  close(): void {
    this.#clock.close();
    this.#closed.abort();
  }

  async #collect(pending: PendingCall): Promise<void> {
    const session = await this.#session([pending], () => void this.#collect(pending));
    if (session === undefined || pending.settled) return;
    const abort = new AbortController();
    pending.onAbandoned = () => abort.abort();
    try {
      const { options, payload } = pending;
      const { limits } = session;
      const fail = (error: unknown): void => {
        pending.reject(error);
        pending.onAbandoned?.();
      };
      const collected = await collect(options, { limits, payload, signal: abort.signal, fail });
      pending.collected = collected;
      if (!pending.settled) await this.#send([pending]);
    } catch (error) {
      pending.reject(error);
    } finally {
      // The gateway may have answered without reading all that there is. What is sent again is still needed.
      const end = (): void => abort.abort();
      pending.result.then(end, end);
    }
  }

  #take(count: number): bigint {
    const reqno = this.#reqno;
    this.#reqno += BigInt(count);
    return reqno;
  }

  #enqueue(pending: PendingCall): void {
    if (this.#queue.push(pending) === 1) queueMicrotask(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    const queue = this.#queue;
    this.#queue = [];
    const session = await this.#session(queue, (pending) => this.#enqueue(pending));
    if (session === undefined) return;
    const waiting = queue.filter((pending) => !pending.settled);
    for (const batch of batches(waiting, session.limits)) void this.#send(batch);
  }

  // Undefined where there is none: who waits has been told, or is sent `again` later.
  #session(
    waiting: readonly PendingCall[],
    again: (pending: PendingCall) => void,
  ): Promise<ClientSession | void> {
    return this.#channel.session(this.#closed.signal).catch((error: unknown) => {
      const unsent = new PostError(error, false);
      for (const pending of waiting) this.#fail(pending, unsent, () => again(pending));
    });
  }

  // Runs one batch to its end; afterwards every call in it is settled or queued again.
  async #send(batch: readonly PendingCall[], first?: bigint): Promise<void> {
    const abort = new AbortController();
    // The body may be dropped only when nobody waits for any part of it.
    const leave = (): void => {
      if (batch.every((pending) => pending.settled)) abort.abort(new KontractError("CANCELLED"));
    };
    for (const pending of batch) pending.onAbandoned = leave;
    const token = batch[0]?.options.token ?? null;
    const answered = new Set<PendingCall>();
    const reqno = first ?? this.#take(batch.length);
    for (const [index, pending] of batch.entries()) pending.reqno = reqno + BigInt(index);
    // One with streamed arguments is alone in its body.
    const { more } = batch[0]?.collected ?? {};
    const calls = batch.map(({ op, payload, collected }) => {
      return { op, payload, inputs: collected?.inputs };
    });
    const once = batch[0]?.once;
    const request = { token, calls, lane: this.#lane, reqno, once, more };
    try {
      const { response, opener } = await this.#channel.post(request, abort.signal);
      // All of a chunk in one turn: whoever calls again on getting an answer shares a body again.
      for await (const messages of readAnswer(opener, response)) {
        for (const message of messages) this.#answered(batch, answered, message);
      }
      if (batch.some((pending) => !pending.settled && !answered.has(pending))) {
        throw new KontractError("RAY_PROTOCOL");
      }
    } catch (error) {
      for (const pending of batch) {
        if (!pending.settled && !answered.has(pending)) this.#fail(pending, error);
      }
    }
  }

  #answered(batch: readonly PendingCall[], answered: Set<PendingCall>, message: RayMessage): void {
    const pending = batch[(message.stream - 1) / 2];
    if (pending === undefined || answered.has(pending)) throw new KontractError("RAY_PROTOCOL");
    const { type, payload } = message;
    // What throws here leaves the call among those that the body's end fails.
    const error = type === FrameType.RPC_ERROR ? new RemoteError(decodeWireError(payload)) : null;
    if (error === null && type !== FrameType.RPC_RESPONSE) throw new KontractError("RAY_PROTOCOL");
    answered.add(pending);
    pending.collected?.enough?.();
    if (error === null) pending.resolve(payload);
    else this.#fail(pending, error);
  }

  #fail(
    pending: PendingCall,
    error: unknown,
    // Alone, and under the number it has.
    again = (): void => void this.#send([pending], pending.reqno),
  ): void {
    if (pending.repeat(error, again)) return;
    pending.reject(failureOf(error, pending.options.mutation));
  }
}

/** Cuts `waiting` into bodies of one token each, within the server's limits. */
function batches(waiting: readonly PendingCall[], limits: RayLimits): PendingCall[][] {
  const done: PendingCall[][] = [];
  const open = new Map<string | null, { calls: PendingCall[]; bytes: number }>();
  for (const pending of waiting) {
    const bytes = pending.payload.length;
    if (bytes > limits.message) {
      pending.reject(callTooLarge(limits.message));
      continue;
    }
    const { token } = pending.options;
    // One that may arrive once would take the retries from all that share its body.
    const batch = pending.once ? undefined : open.get(token);
    const fits = batch !== undefined && batch.bytes + bytes <= limits.message &&
      batch.calls.length < Math.min(limits.streams, MAX_BATCH);
    if (fits) {
      batch.calls.push(pending);
      batch.bytes += bytes;
      continue;
    }
    const calls = [pending];
    done.push(calls);
    if (!pending.once) open.set(token, { calls, bytes });
  }
  return done;
}

async function collect(
  ...given: Parameters<typeof collectInputs>
): ReturnType<typeof collectInputs> {
  return await (await import("./collected_inputs.ts")).collectInputs(...given);
}

function endStream(message: RayMessage): true {
  if (message.type === FrameType.RPC_ERROR) throw new RemoteError(decodeWireError(message.payload));
  if (message.type !== FrameType.RPC_RESPONSE || message.payload.length > 0) {
    throw new KontractError("RAY_PROTOCOL");
  }
  return true;
}
