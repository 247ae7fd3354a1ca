/**
 * The client's transport that chooses: HTTP at first, a WebSocket where it is worth one, HTTP again where
 * no WebSocket gets through.
 *
 * - A subscription goes over the WebSocket, and so does a stream while others are open: all streams of a
 *   page share one connection, since browsers grant six per host over HTTP/1.1.
 * - Streamed arguments go over the WebSocket: only there can the gateway say how much it wants.
 * - Calls go over a WebSocket that is there anyway; one is opened for them when they come often. Not so
 *   where the WebSocket is Deno's own: it leaves Nagle's algorithm on, so of several frames under way the
 *   second waits 40 ms for an acknowledgement. Only what needs a WebSocket uses that one.
 * - A WebSocket that fails while HTTP works is left alone for a while that grows, with jitter. Where
 *   neither works the gateway is down, which says nothing about WebSockets.
 * - One that nobody uses is closed.
 *
 * Deadline and signal of a call hold while it waits for the WebSocket, too. A call stays where it began:
 * each transport sends again under its own numbers.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { CallClock } from "./call_clock.ts";
import { createHttpTransport, type HttpTransportOptions } from "./http_transport.ts";
import { watchCall } from "./pending_call.ts";
import { SYSTEM_OPS } from "./rpc.ts";
import type { SocketLine } from "./socket_transport.ts";
import type { Transport, TransportCallOptions } from "./transport.ts";

/** Options of {@link createTransport}. */
export interface AutoTransportOptions extends HttpTransportOptions {
  /**
   * The WebSocket to use, null for none. The platform's where missing, but none beside a `fetch` of your
   * own, which would be passed by, nor in Workers, where requests may not share one.
   */
  readonly webSocket?: typeof WebSocket | null | undefined;
}

// Calls, halved every second, from which a WebSocket pays: about ten a second.
const BUSY = 12;
// Calls this close together share an HTTP body, and count once.
const TOGETHER_MS = 4;
// Streams that HTTP may carry before the next takes the WebSocket.
const HTTP_STREAMS = 1;
const IDLE_MS = 30_000;
const AVOID_MS = 30_000;
const MAX_AVOID_MS = 900_000;

/** A transport to one gateway. Nothing is sent before the first call. */
export function createTransport(options: AutoTransportOptions): Transport {
  const webSocket = options.webSocket === undefined ? ownSocket(options) : options.webSocket;
  if (webSocket === null) return createHttpTransport(options);
  const delays = options.webSocket === undefined && "Deno" in globalThis;
  return new AutoTransport({ ...options, webSocket }, !delays);
}

function ownSocket({ fetch }: AutoTransportOptions): typeof WebSocket | null {
  const usable = fetch === undefined && typeof WebSocket === "function" &&
    globalThis.navigator?.userAgent !== "Cloudflare-Workers";
  return usable ? WebSocket : null;
}

class AutoTransport implements Transport {
  readonly #options: AutoTransportOptions & { readonly webSocket: typeof WebSocket };
  readonly #http: Transport;
  /** True: a WebSocket is as quick for calls as HTTP, or quicker. */
  readonly #quick: boolean;
  readonly #clock = new CallClock();
  #line: SocketLine | undefined;
  #loading: Promise<SocketLine> | undefined;
  #closed = false;
  #avoidUntil = 0;
  #failures = 0;
  #calls = 0;
  #countedAt = 0;
  #httpStreams = 0;

  constructor(
    options: AutoTransportOptions & { readonly webSocket: typeof WebSocket },
    quick: boolean,
  ) {
    this.#options = options;
    this.#quick = quick;
    this.#http = createHttpTransport(options);
  }

  call(op: number, payload: Uint8Array, options: TransportCallOptions): Promise<Uint8Array> {
    const line = this.#line;
    if (this.#quick && line?.live === true) return line.call(op, payload, options);
    if (options.inputs !== undefined && this.#mayConnect()) {
      const timeout = options.timeout ?? this.#options.timeout ?? 60_000;
      return this.#reach({ ...options, timeout })
        .then(([transport, rest]) => transport.call(op, payload, rest));
    }
    const answer = this.#http.call(op, payload, options);
    answer.then(() => line?.wake(), () => {});
    if (this.#quick && this.#busy() && this.#mayConnect()) {
      this.#connect().catch(() => answer.then(() => this.#avoid(), () => {}));
    }
    return answer;
  }

  async *stream(
    op: number,
    payload: Uint8Array,
    options: TransportCallOptions,
  ): AsyncGenerator<Uint8Array, void> {
    const many = op === SYSTEM_OPS.SUBSCRIBE || options.inputs !== undefined ||
      this.#httpStreams >= HTTP_STREAMS;
    let failed = false;
    if (this.#line?.live === true || many && this.#mayConnect()) {
      const [transport, rest] = await this.#reach(options);
      failed = transport === this.#http;
      if (!failed) return yield* transport.stream(op, payload, rest);
      options = rest;
    }
    this.#httpStreams++;
    try {
      for await (const element of this.#http.stream(op, payload, options)) {
        if (failed) this.#avoid();
        failed = false;
        yield element;
      }
    } finally {
      this.#httpStreams--;
    }
  }

  close(): void {
    this.#closed = true;
    this.#clock.close();
    this.#http.close();
    this.#line?.close();
  }

  /** Counts a call; true where they come often enough. */
  #busy(): boolean {
    const now = performance.now();
    const since = now - this.#countedAt;
    if (since > TOGETHER_MS) {
      this.#calls = this.#calls * 0.5 ** (since / 1000) + 1;
      this.#countedAt = now;
    }
    return this.#calls > BUSY;
  }

  #mayConnect(): boolean {
    return !this.#closed && performance.now() >= this.#avoidUntil;
  }

  /** The WebSocket, or HTTP where there is none, and what is left of the time. */
  async #reach(options: TransportCallOptions): Promise<[Transport, TransportCallOptions]> {
    const { timeout } = options;
    const began = performance.now();
    let unwatch = (): void => {};
    const ended = new Promise<never>((_, reject) => {
      unwatch = watchCall(this.#clock, { timeout, signal: options.signal }, reject);
    });
    try {
      const transport = await Promise.race([ended, this.#connect().catch(() => this.#http)]);
      if (timeout === undefined) return [transport, options];
      return [transport, { ...options, timeout: timeout - (performance.now() - began) }];
    } finally {
      unwatch();
    }
  }

  async #connect(): Promise<SocketLine> {
    const line = await (this.#loading ??= this.#load());
    await line.connect();
    this.#failures = 0;
    return line;
  }

  async #load(): Promise<SocketLine> {
    try {
      const { createSocketTransport } = await import("./socket_transport.ts");
      if (this.#closed) throw new KontractError("CANCELLED");
      return this.#line = createSocketTransport({ ...this.#options, idle: IDLE_MS });
    } catch (error) {
      this.#loading = undefined; // a chunk that did not come may come another time
      throw error;
    }
  }

  // HTTP works and the WebSocket does not: something in between does not let it through.
  #avoid(): void {
    const pause = Math.min(MAX_AVOID_MS, AVOID_MS * 2 ** this.#failures++);
    this.#avoidUntil = performance.now() + pause * (0.5 + Math.random() / 2);
  }
}
