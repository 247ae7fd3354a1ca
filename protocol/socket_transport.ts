/**
 * The client's transport over one WebSocket: many calls side by side, streams with back-pressure, a new
 * connection when the old one is lost or old.
 *
 * After a loss calls are sent again under their old numbers, so the gateway applies them once; where that
 * cannot be relied on, a state-changing call is reported as `OUTCOME_UNKNOWN`. Failed connections are followed by a jittered, growing pause.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { pauseAway } from "../_internal/pause.ts";
import { randomBytes } from "./bytes.ts";
import { CallClock } from "./call_clock.ts";
import { type Pin, resolvePins } from "./client_handshake.ts";
import type { CryptoProvider } from "./crypto/provider.ts";
import { loadProvider } from "./crypto/select.ts";
import { ElementQueue } from "./element_queue.ts";
import { PostError } from "./http_channel.ts";
import { LANE_LENGTH } from "./message_keys.ts";
import { failureOf, PendingCall, watchCall } from "./pending_call.ts";
import { SocketClient } from "./socket_client.ts";
import { costOf } from "./socket_control.ts";
import { CloseCode } from "./close_code.ts";
import { SocketOutputs } from "./socket_output.ts";
import { watchSocket } from "./socket_watch.ts";
import type { Transport, TransportCallOptions, TransportOptions } from "./transport.ts";

/** Options of {@link createSocketTransport}. */
export interface SocketTransportOptions extends TransportOptions {
  /** Milliseconds a call waits where it says nothing itself: one minute by default. */
  readonly timeout?: number;
  /** The platform's by default. */
  readonly webSocket?: typeof WebSocket | undefined;
  /** Milliseconds without an open call after which the connection is closed; never by default. */
  readonly idle?: number;
  /** Milliseconds of silence after which the gateway is asked for a sign of life: one minute by default. */
  readonly silence?: number;
}

/** A transport over WebSocket, for one that chooses between several. */
export interface SocketLine extends Transport {
  /** True while there is a connection that takes calls. */
  readonly live: boolean;
  /** Connects where there is no connection. Rejects with a KontractError where it cannot. */
  connect(): Promise<void>;
  /** Ends the pause after a failed connection: the gateway was reached by other means. */
  wake(): void;
}

/** A transport over WebSocket. Nothing is opened before the first call. */
export function createSocketTransport(options: SocketTransportOptions): SocketLine {
  return new SocketTransport(options);
}

const CONNECT_TIMEOUT = 10_000;
const MAX_PAUSE = 10_000;
const SILENCE = 60_000;
// Failed connections that a call waits through which was open on one that was lost: a gateway that is started anew
// takes seconds, and knows what became of the call.
const MAX_RECONNECTS = 5;
const CREDIT_STEP = 64 << 10;

class SocketTransport implements SocketLine {
  readonly #options: SocketTransportOptions;
  readonly #url: string;
  readonly #lane = randomBytes(LANE_LENGTH);
  readonly #clock = new CallClock();
  readonly #closed = new AbortController();
  #connection: Promise<SocketClient> | undefined;
  #client: SocketClient | undefined;
  #failures = 0;
  #pauseUntil = 0;
  #waiting = new AbortController();
  #reqno = 0n;

  constructor(options: SocketTransportOptions) {
    if (!URL.canParse("/raystream", options.url)) {
      throw new KontractError("CONFIG", "The gateway's url must be an absolute http or https URL.");
    }
    const url = new URL("/raystream", options.url);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.#url = url.href;
    this.#options = options;
  }

  get live(): boolean {
    return this.#client?.stale === false;
  }

  async connect(): Promise<void> {
    await this.#connected();
  }

  wake(): void {
    this.#pauseUntil = 0;
    this.#waiting.abort();
  }

  call(op: number, payload: Uint8Array, options: TransportCallOptions): Promise<Uint8Array> {
    const timeout = this.#options.timeout ?? 60_000;
    const pending = new PendingCall(op, payload, options, timeout, this.#clock);
    if (!pending.settled) this.#send(pending);
    return pending.result;
  }

  async *stream(
    op: number,
    payload: Uint8Array,
    options: TransportCallOptions,
  ): AsyncGenerator<Uint8Array, void> {
    const { token, mutation, signal, timeout } = options;
    const queue = new ElementQueue();
    let left = false;
    let begun: { client: SocketClient; stream: number } | undefined;
    const outputs = outputsOf(options, () => begun, (error) => queue.end({ error }));
    const stop = (error: KontractError): void => queue.end({ error });
    const unwatch = watchCall(this.#clock, { timeout, signal }, stop);
    this.#connected().then((client) => {
      if (left) return;
      const { stream } = client.begin({ op, payload, token }, {
        event: (element) => queue.push(element),
        outputs,
        done: () => queue.end(null),
        fail: (error) => queue.end({ error: failureOf(error, mutation) }),
      });
      begun = { client, stream };
    }).catch((error) => queue.end({ error: failureOf(new PostError(error, false), mutation) }));
    let consumed = 0;
    try {
      for (let element = await queue.take(); element !== null; element = await queue.take()) {
        yield element;
        consumed += costOf(element);
        if (consumed < CREDIT_STEP) continue;
        begun?.client.credit(begun.stream, consumed);
        consumed = 0;
      }
    } finally {
      left = true;
      unwatch();
      begun?.client.cancel(begun.stream);
    }
  }

  close(): void {
    this.#clock.close();
    this.#closed.abort();
    this.wake();
  }

  // Without waiting where it can be: calls of one turn then leave together.
  #send(pending: PendingCall, failed = 0): void {
    const known = this.#client;
    if (known?.stale === false) return this.#begin(pending, known);
    this.#connected().then((client) => this.#begin(pending, client), (error) => {
      const wasSent = pending.reqno !== undefined;
      const again = wasSent && !pending.settled && failed < MAX_RECONNECTS;
      // The connection's own pauses lie between the attempts.
      if (again && error.code === "NETWORK") return this.#send(pending, failed + 1);
      this.#fail(pending, new PostError(error, wasSent));
    });
  }

  #begin(pending: PendingCall, client: SocketClient): void {
    if (pending.settled) return;
    const { op, payload, options, reqno } = pending;
    let begun: { client: SocketClient; stream: number } | undefined;
    const outputs = outputsOf(options, () => begun, (error) => {
      pending.reject(error);
      begun?.client.cancel(begun.stream);
    });
    try {
      const { stream, reqno: number } = client.begin({ op, payload, token: options.token, reqno }, {
        event: null,
        outputs,
        done: (answer) => pending.resolve(answer),
        fail: (error) => {
          pending.spent = outputs?.touched === true;
          this.#fail(pending, error);
        },
      });
      begun = { client, stream };
      pending.reqno = number;
      pending.lost = false;
      pending.onAbandoned = () => client.cancel(stream);
    } catch (error) {
      this.#fail(pending, new PostError(error, pending.reqno !== undefined));
    }
  }

  #fail(pending: PendingCall, error: unknown): void {
    const again = (): void => {
      pending.lost = true;
      this.#send(pending);
    };
    if (!this.#closed.signal.aborted && pending.repeat(error, again)) return;
    pending.reject(failureOf(error, pending.options.mutation));
  }

  async #connected(): Promise<SocketClient> {
    const known = this.#connection;
    if (known !== undefined) {
      const client = await known;
      if (!client.stale) return client;
      if (this.#connection === known) this.#connection = undefined;
      retire(client);
    }
    if (this.#closed.signal.aborted) throw new KontractError("CANCELLED");
    if (this.#connection === undefined) {
      const fresh = this.#connect();
      this.#connection = fresh;
      fresh.then((client) => {
        this.#client = client;
        this.#failures = 0;
      }, () => {
        if (this.#connection === fresh) this.#connection = undefined;
        const longest = Math.min(MAX_PAUSE, 250 * 2 ** this.#failures++);
        this.#pauseUntil = performance.now() + longest * (0.5 + Math.random() / 2);
      });
    }
    return await this.#connection;
  }

  async #connect(): Promise<SocketClient> {
    this.#waiting = new AbortController();
    await pauseAway(this.#pauseUntil - performance.now(), this.#waiting.signal);
    if (this.#closed.signal.aborted) throw new KontractError("CANCELLED");
    const crypto = await loadProvider();
    for (const pin of await resolvePins(crypto, this.#options, this.#closed.signal)) {
      const client = await this.#connectTo(crypto, pin);
      if (client !== null) return client;
    }
    throw new KontractError("RAY_SERVER_KEY");
  }

  // Null where the server broke off the handshake: it may hold another of the pins.
  #connectTo(crypto: CryptoProvider, pin: Pin): Promise<SocketClient | null> {
    return new Promise((resolve, reject) => {
      const Socket = this.#options.webSocket ?? WebSocket;
      const socket = new Socket(this.#url);
      socket.binaryType = "arraybuffer";
      const client = new SocketClient({
        ...{ crypto, pin, socket, app: this.#options.app, lane: this.#lane },
        takeNumber: () => this.#reqno++,
        now: () => this.#clock.now(),
      });
      const lose = (error: KontractError): void => client.close(CloseCode.NORMAL, error);
      const timer = setTimeout(() => {
        const error = new KontractError("NETWORK", "The gateway does not answer.");
        lose(error);
        reject(error);
      }, CONNECT_TIMEOUT);
      const leave = (): void => lose(new KontractError("CANCELLED"));
      const { signal } = this.#closed;
      signal.addEventListener("abort", leave);
      let connected = false;
      let unwatch = (): void => {};
      socket.onopen = () => {
        client.start().then(() => {
          connected = true;
          clearTimeout(timer);
          const { silence = SILENCE, idle = Infinity } = this.#options;
          unwatch = watchSocket(client, { silence, idle });
          resolve(client);
        }, reject);
      };
      socket.onmessage = ({ data }) => {
        void client.receive(typeof data === "string" ? data : new Uint8Array(data));
      };
      socket.onclose = ({ code }) => {
        clearTimeout(timer);
        unwatch();
        signal.removeEventListener("abort", leave);
        if (!connected && code === CloseCode.PROTOCOL) resolve(null);
        const error = new KontractError("NETWORK", "The connection was lost.");
        lose(error);
        reject(error); // matters only before the handshake is done
      };
    });
  }
}

/** The streamed arguments of a call, if it has any; `begun` tells where it runs. */
function outputsOf(
  { inputs, onProgress }: TransportCallOptions,
  begun: () => { readonly client: SocketClient; readonly stream: number } | undefined,
  fail: (error: unknown) => void,
): SocketOutputs | undefined {
  if (inputs === undefined) return undefined;
  return new SocketOutputs({
    inputs,
    onProgress,
    fail,
    send(type, argument, payload): void {
      const { client, stream } = begun() ?? {};
      client?.sendInput(stream ?? 0, type, argument, payload);
    },
  });
}

function retire(client: SocketClient): void {
  const error = new KontractError("NETWORK", "The connection was replaced.");
  if (client.open === 0) client.close(CloseCode.NORMAL, error);
  else setTimeout(() => retire(client), 1000);
}
