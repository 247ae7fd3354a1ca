/**
 * The server's side of one WebSocket: handshake, then calls side by side until either end goes.
 *
 * Over an abstract socket, so the same code serves `Deno.upgradeWebSocket` and a hibernating Durable
 * Object. `save` gives all that must survive hibernation; where the host cannot give it back, it closes
 * the socket and never guesses.
 *
 * Calls: client streams are odd and only go up. Exactly one RPC_RESPONSE or RPC_ERROR closes each, also
 * after CANCEL. A stream's EVENTs wait for CREDIT, in both directions.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { compact, EMPTY, toBase64Url } from "./bytes.ts";
import type { CryptoProvider } from "./crypto/provider.ts";
import { FrameType } from "./frames.ts";
import { RayTransport } from "./hello.ts";
import { type RayLimits, resolveLimits } from "./limits.ts";
import type { RayMessage } from "./message_state.ts";
import { OpenCall } from "./open_call.ts";
import { type Dispatch, type RpcCall, SYSTEM_OPS } from "./rpc.ts";
import {
  errorMessage,
  finalMessage,
  nextUnlessAborted,
  settle,
  tooManySubscriptions,
} from "./server_reply.ts";
import { readToken } from "./server_request.ts";
import { respond } from "./server_handshake.ts";
import type { ServerKeys } from "./server_keys.ts";
import { ControlOp, costOf, decodeCredit, decodeNumber, encodeCredit } from "./socket_control.ts";
import { InputBudget } from "./input_budget.ts";
import { CallInputs } from "./socket_input.ts";
import { CloseCode } from "./close_code.ts";
import { type LinkPositions, type RaySocket, SocketLink } from "./socket_link.ts";
import { toWireError } from "./wire_error.ts";

/** Provider and static keys of a server. */
export interface SocketKeys {
  readonly crypto: CryptoProvider;
  readonly keys: ServerKeys;
}

/** What a session is made from. */
export interface SocketSessionOptions {
  readonly app: string;
  /** Provider and static keys; asked for once, when the first message comes. */
  readonly ready: () => Promise<SocketKeys>;
  readonly socket: RaySocket;
  readonly dispatch: Dispatch;
  readonly clock: { now(): number };
  readonly limits?: Partial<RayLimits>;
  /** See `socket_link.ts`; called with what {@link SocketSession.restore} takes. */
  readonly persist?: (saved: SavedSocket) => void;
  /** Told why a socket was broken off: for the log. */
  readonly onFailure?: (error: unknown) => void;
}

/** All that must survive hibernation. Holds keys: store it like a secret. */
export interface SavedSocket {
  readonly positions: LinkPositions;
  readonly startedAt: number;
  readonly lastStream: number;
  readonly token: string | null;
  readonly lane: string;
  readonly reqno: bigint;
  /** True where calls ran or part of a message was held: memory that does not come back. */
  readonly busy: boolean;
}

// Design: a session ends after a day, whatever it sent.
const MAX_AGE = 24 * 3_600_000;

/** One WebSocket at the server. */
export class SocketSession {
  readonly #options: SocketSessionOptions;
  readonly #limits: RayLimits;
  readonly #calls = new Map<number, OpenCall>();
  readonly #budget: InputBudget;
  #phase: "new" | "handshake" | "open" | "closed" = "new";
  #link: SocketLink | undefined;
  #startedAt = 0;
  #lastStream = -1;
  #token: string | null = null;
  #lane: string = toBase64Url(crypto.getRandomValues(new Uint8Array(8)));
  #reqno = 0n;

  /** A session that waits for INIT. */
  constructor(options: SocketSessionOptions) {
    this.#options = options;
    this.#limits = resolveLimits(options.limits);
    this.#budget = new InputBudget(this.#limits);
  }

  /** A session that goes on where `saved` stands, or is closed at once where it was busy. */
  static async restore(options: SocketSessionOptions, saved: SavedSocket): Promise<SocketSession> {
    const { crypto } = await options.ready();
    const session = new SocketSession(options);
    session.#startedAt = saved.startedAt;
    session.#lastStream = saved.lastStream;
    session.#token = saved.token;
    session.#lane = saved.lane;
    session.#reqno = saved.reqno;
    session.#open(crypto, saved.positions);
    // Its streams would stay silent and a message would lose its head: the client must begin anew.
    if (saved.busy) session.#end(CloseCode.RENEW);
    return session;
  }

  /** True while there is more than {@link SavedSocket} can hold. */
  get busy(): boolean {
    const receiving = this.#phase === "open" && this.#link?.unfinished === true;
    return this.#phase === "handshake" || this.#calls.size > 0 || receiving;
  }

  /** One WebSocket message. Text is refused. Never rejects; the promise only says when it is done. */
  async receive(data: Uint8Array | ArrayBuffer | string): Promise<void> {
    try {
      if (typeof data === "string") throw new KontractError("RAY_PROTOCOL");
      const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
      if (this.#phase === "new") await this.#handshake(bytes);
      else if (this.#phase === "open") this.#frames(bytes);
      else if (this.#phase === "handshake") throw new KontractError("RAY_PROTOCOL");
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The socket has gone: every call is cancelled. */
  gone(): void {
    this.#end(CloseCode.NORMAL);
  }

  async #handshake(bytes: Uint8Array): Promise<void> {
    this.#phase = "handshake";
    const { app, socket, clock } = this.#options;
    const { crypto, keys } = await this.#options.ready();
    const responder = { crypto, app, keys, limits: this.#limits };
    const { response, result } = await respond(responder, RayTransport.WEBSOCKET, bytes);
    if ((this.#phase as string) !== "handshake") return;
    this.#startedAt = clock.now();
    this.#open(crypto, {
      send: { key: result.responderKey, next: 0 },
      receive: { key: result.initiatorKey, next: 0 },
    });
    socket.send(response);
  }

  #open(crypto: CryptoProvider, positions: LinkPositions): void {
    const { socket, persist } = this.#options;
    this.#phase = "open";
    this.#link = new SocketLink({
      ...{ crypto, socket, positions, limits: this.#limits },
      persist: persist && ((now) => persist(this.#saved(now))),
      closed: () => this.#end(CloseCode.NORMAL),
    });
    persist?.(this.#saved(positions));
  }

  #saved(positions: LinkPositions): SavedSocket {
    return {
      positions,
      startedAt: this.#startedAt,
      lastStream: this.#lastStream,
      token: this.#token,
      lane: this.#lane,
      reqno: this.#reqno,
      busy: this.busy,
    };
  }

  #frames(bytes: Uint8Array): void {
    const link = this.#link;
    if (link === undefined) return;
    const age = this.#options.clock.now() - this.#startedAt;
    // Either way: by a clock that was set back a session would begin anew.
    if (Math.abs(age) > MAX_AGE) return this.#end(CloseCode.RENEW);
    for (const message of link.receive(bytes)) {
      // Nothing would end what begins after the end.
      if (link.closed) return;
      this.#message(message, link);
    }
    // Control messages change what is saved; the link saved before they were read.
    if (!link.closed) this.#options.persist?.(this.#saved(link.positions));
  }

  #message(message: RayMessage, link: SocketLink): void {
    const { type, stream } = message;
    switch (type) {
      case FrameType.RPC_CALL:
        return stream === 0 ? this.#control(message) : this.#begin(message, link);
      case FrameType.EVENT:
      case FrameType.RPC_RESPONSE:
        return this.#input(message);
      case FrameType.CANCEL:
        this.#known(stream)?.abort();
        return;
      case FrameType.CREDIT:
        this.#known(stream)?.credit.grant(decodeCredit(message.payload));
        return;
      case FrameType.HEARTBEAT:
        if (stream !== 0 || message.op !== 0) throw new KontractError("RAY_PROTOCOL");
        return link.send({ type, stream: 0, op: 1, payload: EMPTY });
      case FrameType.CLOSE:
        return this.#end(CloseCode.NORMAL);
      default:
        throw new KontractError("RAY_PROTOCOL");
    }
  }

  // A stream that has ended is fine, since the peer may not know yet; one that never was is not.
  #known(stream: number): OpenCall | undefined {
    if (stream % 2 !== 1 || stream > this.#lastStream) throw new KontractError("RAY_PROTOCOL");
    return this.#calls.get(stream);
  }

  #control(message: RayMessage): void {
    if (message.op === ControlOp.AUTHENTICATE) this.#token = readToken(message);
    else if (message.op === ControlOp.NUMBER) {
      const { lane, reqno } = decodeNumber(message.payload);
      this.#lane = lane;
      this.#reqno = reqno;
    } else throw new KontractError("RAY_PROTOCOL");
  }

  // An element of a streamed argument, or its end.
  #input({ type, stream, op, payload }: RayMessage): void {
    const call = this.#known(stream);
    if (call === undefined) return;
    const input = call.inputs?.get(op);
    if (input === undefined) throw new KontractError("RAY_PROTOCOL"); // never asked for
    if (type === FrameType.EVENT) input.push(payload);
    else input.end();
  }

  // What its inputs say goes nowhere once the call has ended.
  #inputsOf(stream: number): CallInputs {
    const send = (type: FrameType, op: number, payload: Uint8Array): void => {
      if (this.#calls.has(stream)) this.#link?.send({ type, stream, op, payload });
    };
    return new CallInputs(this.#budget, {
      credit: (argument, bytes) => send(FrameType.CREDIT, argument, encodeCredit(bytes)),
      cancel: (argument) => send(FrameType.CANCEL, argument, EMPTY),
    });
  }

  #begin(message: RayMessage, link: SocketLink): void {
    const { stream, op } = message;
    const payload = compact(message.payload);
    const fresh = stream % 2 === 1 && stream > this.#lastStream;
    if (!fresh || this.#calls.size >= this.#limits.streams) throw new KontractError("RAY_PROTOCOL");
    this.#lastStream = stream;
    const reqno = this.#reqno++;
    if (reqno > 0xffff_ffff_ffff_fffen) throw new KontractError("RAY_PROTOCOL");
    const call = new OpenCall(op, () => this.#inputsOf(stream));
    this.#calls.set(stream, call);
    const request: RpcCall = {
      op,
      payload,
      token: this.#token,
      lane: this.#lane,
      reqno,
      get signal() {
        return call.signal;
      },
      input: (argument) => call.input(argument),
    };
    this.#run(call, request, stream, link).catch((error: unknown) => this.#fail(error));
  }

  // One that was cancelled may take a while to end, and its client has left it already.
  #oneTooMany({ op }: OpenCall): boolean {
    if (op !== SYSTEM_OPS.SUBSCRIBE) return false;
    let open = 0;
    for (const call of this.#calls.values()) {
      if (call.op === op && !call.aborted) open++;
    }
    return open > this.#limits.subscriptions;
  }

  async #run(
    call: OpenCall,
    request: RpcCall,
    stream: number,
    link: SocketLink,
  ): Promise<void> {
    const target = { stream, op: request.op };
    const reply = this.#oneTooMany(call)
      ? tooManySubscriptions(this.#limits)
      : await settle(this.#options.dispatch, request);
    const final = reply.kind === "stream"
      ? await this.#pump(call, target, reply.elements, link)
      : finalMessage(target, reply, this.#limits);
    this.#calls.delete(stream);
    call.end();
    link.send(final);
  }

  async #pump(
    { signal, credit }: OpenCall,
    target: { readonly stream: number; readonly op: number },
    elements: AsyncIterable<Uint8Array>,
    link: SocketLink,
  ): Promise<RayMessage> {
    const iterator = elements[Symbol.asyncIterator]();
    const leave = (error: unknown): RayMessage => {
      iterator.return?.()?.catch(() => {});
      return errorMessage(target, toWireError(error));
    };
    try {
      while (true) {
        const next = await nextUnlessAborted(iterator, signal);
        if (next === null) return leave(new KontractError("CANCELLED"));
        if (next.done === true) return { type: FrameType.RPC_RESPONSE, ...target, payload: EMPTY };
        if (next.value.length > this.#limits.message) throw new KontractError("TOO_LARGE");
        await credit.spend(costOf(next.value), signal);
        if (!signal.aborted) link.send({ type: FrameType.EVENT, ...target, payload: next.value });
      }
    } catch (error) {
      return leave(error);
    }
  }

  #fail(error: unknown): void {
    this.#options.onFailure?.(error);
    const large = error instanceof KontractError && error.code === "TOO_LARGE";
    this.#end(large ? CloseCode.TOO_LARGE : CloseCode.PROTOCOL);
  }

  #end(code: number): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    if (this.#link === undefined) this.#options.socket.close(code);
    else this.#link.close(code);
    for (const call of this.#calls.values()) call.abort();
  }
}
