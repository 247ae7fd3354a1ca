/**
 * The client's side of one WebSocket: handshake, then calls side by side. It knows streams and numbers;
 * what may be repeated after a loss is decided above, in `socket_transport.ts`.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { EMPTY, utf8 } from "./bytes.ts";
import { initiate, type Initiated, type Pin } from "./client_handshake.ts";
import type { CryptoProvider } from "./crypto/provider.ts";
import { FrameSplitter, FrameType } from "./frames.ts";
import { RayTransport } from "./hello.ts";
import { callTooLarge, MAX_MESSAGE, type RayLimits } from "./limits.ts";
import type { RayMessage } from "./message_state.ts";
import { ControlOp, decodeCredit, encodeCredit, encodeNumber } from "./socket_control.ts";
import { CloseCode } from "./close_code.ts";
import { type RaySocket, SocketLink } from "./socket_link.ts";
import type { SocketOutputs } from "./socket_output.ts";
import { decodeWireError, RemoteError } from "./wire_error.ts";

/** Who waits for a call's answer. */
export interface CallSink {
  /** An element; null where the call is not a stream. */
  readonly event: ((element: Uint8Array) => void) | null;
  /** Streamed arguments, where there are any. */
  readonly outputs?: SocketOutputs | undefined;
  done(payload: Uint8Array): void;
  fail(error: unknown): void;
}

/** What a call is sent with. */
export interface SocketCall {
  readonly op: number;
  readonly payload: Uint8Array;
  readonly token: string | null;
  /** Of a call that is sent again: the number it had. */
  readonly reqno?: bigint | undefined;
}

/** A call under way. */
export interface BegunCall {
  readonly stream: number;
  readonly reqno: bigint;
}

/** What a connection is made from. */
export interface SocketClientOptions {
  readonly crypto: CryptoProvider;
  readonly pin: Pin;
  readonly app: string;
  readonly socket: RaySocket;
  /** Of the transport: numbers go on over reconnects. */
  readonly lane: Uint8Array;
  readonly takeNumber: () => bigint;
  /** The monotonic clock. */
  readonly now: () => number;
}

// The server ends a session after 24 hours; new calls move to a new one before that.
const RENEW_AFTER = 23 * 3_600_000;
const MAX_STREAM = 0xffff_fffd;

/** One WebSocket at the client. */
export class SocketClient {
  readonly #options: SocketClientOptions;
  readonly #calls = new Map<number, CallSink>();
  readonly #ready = Promise.withResolvers<RayLimits>();
  #initiated: Initiated | undefined;
  #link: SocketLink | undefined;
  #limits: RayLimits | undefined;
  #startedAt = 0;
  #stream = 1;
  #token: string | null = null;
  // The number the server gives the next call; told again whenever ours differs.
  #expected: bigint | undefined;
  #closed = false;
  #heardAt = 0;

  /** Over a socket that is open. */
  constructor(options: SocketClientOptions) {
    this.#options = options;
    this.#ready.promise.catch(() => {});
  }

  /** Sends INIT; resolves with the server's limits once it has proved its key. */
  async start(): Promise<RayLimits> {
    const { crypto, pin, app, socket } = this.#options;
    this.#initiated = await initiate(crypto, pin, RayTransport.WEBSOCKET, app);
    if (!this.#closed) socket.send(this.#initiated.init);
    return await this.#ready.promise;
  }

  /** True where new calls should go to another connection. */
  get stale(): boolean {
    return this.#closed || this.#stream > MAX_STREAM ||
      this.#options.now() - this.#startedAt > RENEW_AFTER;
  }

  /** Calls that wait for their end. */
  get open(): number {
    return this.#calls.size;
  }

  /** When the gateway last said something, on the monotonic clock. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Sends a call. Only after {@link start}. */
  begin(call: SocketCall, sink: CallSink): BegunCall {
    const link = this.#link;
    const limits = this.#limits;
    if (link === undefined || limits === undefined || this.#closed) {
      throw new KontractError("NETWORK");
    }
    const { op, payload, token } = call;
    if (payload.length > limits.message) throw callTooLarge(limits.message);
    if (this.#calls.size >= limits.streams) {
      throw new KontractError("OVERLOADED", `More than ${limits.streams} calls are open at once.`);
    }
    const type = FrameType.RPC_CALL;
    const reqno = call.reqno ?? this.#options.takeNumber();
    if (this.#expected !== reqno) {
      const number = encodeNumber(this.#options.lane, reqno);
      link.send({ type, stream: 0, op: ControlOp.NUMBER, payload: number });
    }
    this.#expected = reqno + 1n;
    if (token !== this.#token) {
      const bytes = utf8(token ?? "");
      link.send({ type, stream: 0, op: ControlOp.AUTHENTICATE, payload: bytes });
      this.#token = token;
    }
    const stream = this.#stream;
    this.#stream += 2;
    this.#calls.set(stream, sink);
    link.send({ type, stream, op, payload });
    return { stream, reqno };
  }

  /** Asks the gateway for a sign of life: see {@link heardAt}. */
  beat(): void {
    this.#link?.send({ type: FrameType.HEARTBEAT, stream: 0, op: 0, payload: EMPTY });
  }

  /** Sends an element of a streamed argument, or its end. */
  sendInput(stream: number, type: FrameType, op: number, payload: Uint8Array): void {
    const limit = this.#limits?.message ?? 0;
    if (payload.length > limit) {
      throw new KontractError("TOO_LARGE", `An element may have ${limit} bytes at most.`);
    }
    if (this.#calls.has(stream)) this.#link?.send({ type, stream, op, payload });
  }

  /** Tells the server that nobody waits; what still comes for the stream is dropped. */
  cancel(stream: number): void {
    const sink = this.#calls.get(stream);
    if (sink === undefined) return;
    sink.outputs?.stop();
    this.#calls.set(stream, { event: () => {}, done: () => {}, fail: () => {} });
    this.#link?.send({ type: FrameType.CANCEL, stream, op: 0, payload: EMPTY });
  }

  /** Lets the server send `bytes` more on a stream. */
  credit(stream: number, bytes: number): void {
    if (!this.#calls.has(stream)) return;
    this.#link?.send({ type: FrameType.CREDIT, stream, op: 0, payload: encodeCredit(bytes) });
  }

  /** One WebSocket message. Never rejects. */
  async receive(data: Uint8Array | string): Promise<void> {
    try {
      if (typeof data === "string") throw new KontractError("RAY_PROTOCOL");
      this.#heardAt = performance.now();
      if (this.#link === undefined) await this.#finish(data);
      else for (const message of this.#link.receive(data)) this.#message(message);
    } catch (error) {
      this.close(CloseCode.PROTOCOL, error);
    }
  }

  /** Ends the connection; every open call fails with `error`. */
  close(code: number, error: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#link === undefined) this.#options.socket.close(code);
    else this.#link.close(code);
    this.#ready.reject(error);
    for (const sink of this.#calls.values()) {
      sink.outputs?.stop();
      sink.fail(error);
    }
    this.#calls.clear();
  }

  async #finish(data: Uint8Array): Promise<void> {
    const initiated = this.#initiated;
    this.#initiated = undefined; // a second answer is one too many
    const splitter = new FrameSplitter();
    const [response, ...rest] = splitter.push(data);
    if (!initiated || !response || rest.length > 0 || splitter.unfinished) {
      throw new KontractError("RAY_PROTOCOL");
    }
    const { result, limits } = await initiated.finish(response);
    if (this.#closed) return;
    const { crypto, socket } = this.#options;
    this.#link = new SocketLink({
      crypto,
      socket,
      limits: { ...limits, message: MAX_MESSAGE, streams: 65_535, reassembly: 4 * MAX_MESSAGE },
      positions: {
        send: { key: result.initiatorKey, next: 0 },
        receive: { key: result.responderKey, next: 0 },
      },
    });
    this.#limits = limits;
    this.#startedAt = performance.now();
    this.#ready.resolve(limits);
  }

  #message(message: RayMessage): void {
    const { type, stream, payload } = message;
    if (type === FrameType.HEARTBEAT && stream === 0 && message.op === 1) return;
    const sink = this.#calls.get(stream);
    if (sink === undefined) throw new KontractError("RAY_PROTOCOL");
    if (type === FrameType.EVENT && sink.event !== null) return sink.event(payload);
    // Of a call that was cancelled meanwhile there are no outputs any more.
    if (type === FrameType.CREDIT) return sink.outputs?.credit(message.op, decodeCredit(payload));
    if (type === FrameType.CANCEL) return sink.outputs?.cancel(message.op);
    // Whatever throws here leaves the call to `close`, which fails all that are open.
    const error = type === FrameType.RPC_ERROR ? new RemoteError(decodeWireError(payload)) : null;
    if (error === null && type !== FrameType.RPC_RESPONSE) throw new KontractError("RAY_PROTOCOL");
    this.#calls.delete(stream);
    sink.outputs?.stop();
    if (error === null) sink.done(payload);
    else sink.fail(error);
  }
}
