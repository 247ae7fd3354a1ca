/**
 * Message state: one direction of one HTTP body, under a key made for it alone. Counters run inside,
 * from 0; a state is thrown away with its body. The key must be fresh for every body, which is what
 * `message_keys.ts` is for.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Bytes } from "./bytes.ts";
import type { Symmetric } from "./crypto/provider.ts";
import { FrameFlag, type FrameType, MAX_FRAMES, type RawFrame } from "./frames.ts";
import {
  FRAME_OVERHEAD,
  type InnerFrame,
  MAX_FRAGMENT,
  openFrame,
  sealFrameTo,
} from "./sealed_frame.ts";

/** A whole message: all fragments put together. */
export interface RayMessage {
  readonly type: FrameType;
  readonly stream: number;
  readonly op: number;
  readonly payload: Uint8Array;
}

/** The fragments a message is sent in; MORE on all but the last. */
export function fragments(message: RayMessage): InnerFrame[] {
  const frames: InnerFrame[] = [];
  let at = 0;
  do {
    const payload = message.payload.subarray(at, at + MAX_FRAGMENT);
    at += payload.length;
    const flags = at < message.payload.length ? FrameFlag.MORE : 0;
    frames.push({ type: message.type, stream: message.stream, op: message.op, payload, flags });
  } while (at < message.payload.length);
  return frames;
}

/** Bytes of a message's frames. */
function sealedLength({ payload }: RayMessage): number {
  const frames = Math.max(1, Math.ceil(payload.length / MAX_FRAGMENT));
  return payload.length + frames * FRAME_OVERHEAD;
}

/** Seals the messages of one body. */
export class MessageSealer {
  readonly #crypto: Symmetric;
  readonly #key: Bytes;
  #next = 0;
  #ended = false;

  /** `key` must be used for nothing else, ever. */
  constructor(crypto: Symmetric, key: Bytes) {
    this.#crypto = crypto;
    this.#key = key;
  }

  /** The frames of one message. `end` marks the last message of the body; nothing may follow. */
  seal(message: RayMessage, end: boolean): Bytes {
    const out = new Uint8Array(sealedLength(message));
    this.#sealTo(out, 0, message, end);
    return out;
  }

  /** A body, or its start: `head` in clear, then all messages, the last one marked where it is the `end`. */
  sealBody(head: Uint8Array, messages: readonly RayMessage[], end = true): Bytes {
    let length = head.length;
    for (const message of messages) length += sealedLength(message);
    const out = new Uint8Array(length);
    out.set(head);
    let at = head.length;
    for (const [index, message] of messages.entries()) {
      at = this.#sealTo(out, at, message, end && index === messages.length - 1);
    }
    return out;
  }

  #sealTo(out: Bytes, start: number, message: RayMessage, end: boolean): number {
    if (this.#ended) throw new KontractError("INTERNAL"); // nothing may follow the last frame
    let at = start;
    for (const frame of fragments(message)) {
      if (this.#next >= MAX_FRAMES) throw new KontractError("RAY_PROTOCOL");
      const last = end && (frame.flags & FrameFlag.MORE) === 0;
      const flags = last ? frame.flags | FrameFlag.END : frame.flags;
      const place = { out, at };
      at = sealFrameTo(place, this.#crypto, this.#key, this.#next++, { ...frame, flags });
    }
    this.#ended = end;
    return at;
  }
}

/** Opens the frames of one body, in order. */
export class MessageOpener {
  readonly #crypto: Symmetric;
  readonly #key: Bytes;
  #next = 0;
  #ended = false;

  /** `key` as the sealing side has it. */
  constructor(crypto: Symmetric, key: Bytes) {
    this.#crypto = crypto;
    this.#key = key;
  }

  /** True after the frame that ends the body. */
  get ended(): boolean {
    return this.#ended;
  }

  /** One frame, which must be the next. Throws `RAY_PROTOCOL`. */
  open(raw: RawFrame): InnerFrame {
    if (this.#ended) throw new KontractError("RAY_PROTOCOL");
    const frame = openFrame(this.#crypto, this.#key, this.#next, raw);
    this.#next++;
    this.#ended = (frame.flags & FrameFlag.END) !== 0;
    if (this.#ended && (frame.flags & FrameFlag.MORE) !== 0) {
      throw new KontractError("RAY_PROTOCOL");
    }
    return frame;
  }
}
