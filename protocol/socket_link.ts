/**
 * A sealed link over a WebSocket, either side, after the handshake: messages in, messages out. One
 * WebSocket message holds one or more whole frames; the first thing that is wrong breaks the link for
 * good.
 *
 * Frames that are sent in one turn leave as one WebSocket message, at its end. A host that hibernates gives
 * `persist`. It is called with the new positions after frames were sealed and **before** they leave, and
 * after frames were opened, always in the same turn; it must store them durably before it returns. So a
 * nonce that was on the wire is never used again.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { Assembler } from "./assembler.ts";
import { type Bytes, concat } from "./bytes.ts";
import type { Symmetric } from "./crypto/provider.ts";
import { FrameFlag, FrameSplitter } from "./frames.ts";
import type { RayLimits } from "./limits.ts";
import { fragments, type RayMessage } from "./message_state.ts";
import { StreamOpener, type StreamPosition, StreamSealer } from "./stream_state.ts";

/** The part of a WebSocket that is used here. */
export interface RaySocket {
  send(bytes: Bytes): void;
  close(code: number, reason?: string): void;
  /** Bytes that wait to be sent, where the host knows. */
  readonly bufferedAmount?: number;
}

/** WebSocket close codes. The reason is always empty: it would travel in clear. */
export const CloseCode = {
  NORMAL: 1000,
  /** Whatever broke the protocol, authentication included. */
  PROTOCOL: 4400,
  /** The session is as old as it may get: connect again. */
  RENEW: 4401,
  TOO_LARGE: 4413,
  /** The peer does not read what it asked for, or there are too many. */
  OVERLOADED: 4503,
} as const;

/** Both directions of a link. */
export interface LinkPositions {
  readonly send: StreamPosition;
  readonly receive: StreamPosition;
}

/** What a link is made from. */
export interface LinkOptions {
  readonly crypto: Symmetric;
  readonly socket: RaySocket;
  readonly limits: RayLimits;
  readonly positions: LinkPositions;
  readonly persist?: ((positions: LinkPositions) => void) | undefined;
}

// A peer that stops reading must not make us hold more than this.
const MAX_BUFFERED = 32 << 20;

// Bytes that share one WebSocket message, unless a single frame is larger.
const MAX_TOGETHER = 64 << 10;

/** A sealed link. */
export class SocketLink {
  readonly #socket: RaySocket;
  readonly #sealer: StreamSealer;
  readonly #opener: StreamOpener;
  readonly #assembler: Assembler;
  readonly #persist: ((positions: LinkPositions) => void) | undefined;
  #closed = false;
  #sealed: Bytes[] = [];
  #held = 0;

  /** Goes on from `positions`. */
  constructor(options: LinkOptions) {
    const { crypto, socket, limits, positions, persist } = options;
    this.#socket = socket;
    this.#sealer = new StreamSealer(crypto, positions.send);
    this.#opener = new StreamOpener(crypto, positions.receive);
    this.#assembler = new Assembler(limits);
    this.#persist = persist;
  }

  /** True once nothing can pass any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** True while part of a message is held: its bytes would not survive hibernation. */
  get unfinished(): boolean {
    return this.#assembler.unfinished;
  }

  /** Where both directions stand. */
  get positions(): LinkPositions {
    return { send: this.#sealer.position, receive: this.#opener.position };
  }

  /** Sends a message before this turn ends; does nothing on a closed link. */
  send(message: RayMessage): void {
    if (this.#closed) return;
    for (const frame of fragments(message)) {
      const sealed = this.#sealer.seal(frame);
      if (this.#held + sealed.length > MAX_TOGETHER) this.#flush();
      if (this.#sealed.push(sealed) === 1) queueMicrotask(() => this.#flush());
      this.#held += sealed.length;
    }
  }

  #flush(): void {
    const sealed = this.#sealed;
    if (sealed.length === 0 || this.#closed) return;
    this.#sealed = [];
    this.#held = 0;
    try {
      this.#persist?.(this.positions);
      this.#socket.send(sealed.length === 1 && sealed[0] ? sealed[0] : concat(...sealed));
    } catch {
      // Not stored or not sent: the peer must not be left waiting for it.
      return this.close(CloseCode.RENEW);
    }
    if ((this.#socket.bufferedAmount ?? 0) > MAX_BUFFERED) this.close(CloseCode.OVERLOADED);
  }

  /** Opens what one WebSocket message holds. Throws after having closed the link. */
  receive(data: Uint8Array): RayMessage[] {
    if (this.#closed) return [];
    try {
      const splitter = new FrameSplitter();
      const raws = splitter.push(data);
      if (raws.length === 0 || splitter.unfinished) throw new KontractError("RAY_PROTOCOL");
      const messages: RayMessage[] = [];
      for (const raw of raws) {
        const frame = this.#opener.open(raw);
        if ((frame.flags & FrameFlag.END) !== 0) throw new KontractError("RAY_PROTOCOL");
        const message = this.#assembler.push(frame);
        if (message !== null) messages.push(message);
      }
      this.#persist?.(this.positions);
      return messages;
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  /** Closes with the code that belongs to `error`. */
  fail(error: unknown): void {
    const large = error instanceof KontractError && error.code === "TOO_LARGE";
    this.close(large ? CloseCode.TOO_LARGE : CloseCode.PROTOCOL);
  }

  /** Closes the socket; later sends go nowhere. */
  close(code: number): void {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    this.#socket.close(code);
  }
}
