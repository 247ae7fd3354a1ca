/**
 * A sealed link over a WebSocket, either side, after the handshake: messages in, messages out. One
 * WebSocket message holds one or more whole frames; the first thing that is wrong breaks the link for
 * good.
 *
 * What is sent in one turn leaves at its end, small messages together in one frame; where they are many, as
 * they come, in frames of sixteen. A host that hibernates gives `persist`. It is called with the new positions after frames were sealed and **before** they leave, and
 * after frames were opened, always in the same turn; it must store them durably before it returns. So a
 * nonce that was on the wire is never used again.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { Assembler } from "./assembler.ts";
import type { Bytes } from "./bytes.ts";
import type { Symmetric } from "./crypto/provider.ts";
import { CloseCode } from "./close_code.ts";
import { decodeBatch, encodeBatch, ENTRY_HEADER } from "./batch.ts";
import { FrameFlag, FrameSplitter, FrameType } from "./frames.ts";
import type { RayLimits } from "./limits.ts";
import { fragments, type RayMessage } from "./message_state.ts";
import type { InnerFrame } from "./sealed_frame.ts";
import { StreamOpener, type StreamPosition, StreamSealer } from "./stream_state.ts";

/** The part of a WebSocket that is used here. */
export interface RaySocket {
  send(bytes: Bytes): void;
  close(code: number, reason?: string): void;
  /** Bytes that wait to be sent, where the host knows. */
  readonly bufferedAmount?: number;
}

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
  /** Told once when nothing can pass any more, whoever closed it. */
  readonly closed?: () => void;
}

// A peer that stops reading must not make us hold more than this.
const MAX_BUFFERED = 32 << 20;

// What shares a frame. More would save little and make each end wait while the other one works: with these,
// 32 calls in flight are two groups, of which one is at the gateway while the other is at the client.
const MAX_TOGETHER = 32 << 10;
const MANY_TOGETHER = 16;

// Larger messages are sealed where they lie: a batch would copy them.
const MAX_BATCHED = 16 << 10;

/** A sealed link. */
export class SocketLink {
  readonly #socket: RaySocket;
  readonly #sealer: StreamSealer;
  readonly #opener: StreamOpener;
  readonly #assembler: Assembler;
  readonly #limit: number;
  readonly #persist: ((positions: LinkPositions) => void) | undefined;
  readonly #tell: (() => void) | undefined;
  #closed = false;
  #waiting: RayMessage[] = [];
  #held = 0;

  /** Goes on from `positions`. */
  constructor(options: LinkOptions) {
    const { crypto, socket, limits, positions, persist, closed } = options;
    this.#socket = socket;
    this.#sealer = new StreamSealer(crypto, positions.send);
    this.#opener = new StreamOpener(crypto, positions.receive);
    this.#assembler = new Assembler(limits);
    this.#limit = limits.message;
    this.#persist = persist;
    this.#tell = closed;
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

  /**
   * Sends a message before this turn ends; does nothing on a closed link. Its payload must not change
   * before then.
   */
  send(message: RayMessage): void {
    if (this.#closed) return;
    const size = ENTRY_HEADER + message.payload.length;
    if (this.#held + size > MAX_TOGETHER || this.#waiting.length === MANY_TOGETHER) this.#flush();
    if (this.#waiting.push(message) === 1) queueMicrotask(() => this.#flush());
    this.#held += size;
  }

  #flush(): void {
    if (this.#waiting.length === 0 || this.#closed) return;
    const messages = this.#waiting;
    this.#waiting = [];
    this.#held = 0;
    try {
      const frames = framesOf(messages);
      if (this.#persist === undefined) {
        // One is under way while the next is sealed.
        for (const frame of frames) this.#socket.send(this.#sealer.seal(frame));
      } else {
        const sealed = frames.map((frame) => this.#sealer.seal(frame));
        this.#persist(this.positions);
        for (const bytes of sealed) this.#socket.send(bytes);
      }
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
        if (frame.type === FrameType.BATCH) messages.push(...this.#openBatch(frame));
        else {
          const message = this.#assembler.push(frame);
          if (message !== null) messages.push(message);
        }
      }
      this.#persist?.(this.positions);
      return messages;
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  #openBatch({ flags, stream, op, payload }: InnerFrame): RayMessage[] {
    if (flags !== 0 || stream !== 0 || op !== 0) throw new KontractError("RAY_PROTOCOL");
    const messages = decodeBatch(payload);
    if (messages.some((message) => message.payload.length > this.#limit)) {
      throw new KontractError("TOO_LARGE");
    }
    return messages;
  }

  /** Closes with the code that belongs to `error`. */
  fail(error: unknown): void {
    const large = error instanceof KontractError && error.code === "TOO_LARGE";
    this.close(large ? CloseCode.TOO_LARGE : CloseCode.PROTOCOL);
  }

  /** Closes the socket; later sends go nowhere. */
  close(code: number): void {
    this.#flush();
    if (this.#closed) return; // What was flushed may have been too much.
    this.#closed = true;
    this.#socket.close(code);
    this.#tell?.();
  }
}

/** One frame for all, or fragments where one is large; each is a WebSocket message. */
function framesOf(messages: readonly RayMessage[]): InnerFrame[] {
  const large = messages.some(({ payload }) => payload.length > MAX_BATCHED);
  if (messages.length === 1 || large) return messages.flatMap(fragments);
  const payload = encodeBatch(messages);
  return [{ type: FrameType.BATCH, flags: 0, stream: 0, op: 0, payload }];
}
