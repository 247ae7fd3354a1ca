/**
 * Message state: one direction of one HTTP body, under a key made for it alone. Counters run inside,
 * from 0; a state is thrown away with its body. The key must be fresh for every body, which is what
 * `message_keys.ts` is for.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, concat } from "./bytes.ts";
import type { Symmetric } from "./crypto/provider.ts";
import { FrameFlag, type FrameType, MAX_FRAMES, type RawFrame } from "./frames.ts";
import { type InnerFrame, MAX_FRAGMENT, openFrame, sealFrame } from "./sealed_frame.ts";

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
    if (this.#ended) throw new KontractError("INTERNAL", "The body has its last frame already.");
    const parts = fragments(message);
    const sealed = parts.map((frame, index) => {
      const last = end && index === parts.length - 1;
      if (this.#next >= MAX_FRAMES) throw new KontractError("RAY_PROTOCOL");
      const flags = last ? frame.flags | FrameFlag.END : frame.flags;
      return sealFrame(this.#crypto, this.#key, this.#next++, { ...frame, flags });
    });
    this.#ended = end;
    return sealed.length === 1 && sealed[0] !== undefined ? sealed[0] : concat(...sealed);
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
