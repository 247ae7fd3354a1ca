/**
 * Puts fragments together again, several streams at once, within limits. A message is handed up whole or
 * not at all.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { concat } from "./bytes.ts";
import { FrameFlag } from "./frames.ts";
import type { RayLimits } from "./limits.ts";
import type { RayMessage } from "./message_state.ts";
import type { InnerFrame } from "./sealed_frame.ts";

/**
 * Least payload of a fragment that is not the last. One byte each would make us hold a hundred times
 * what the peer has to send.
 */
export const MIN_FRAGMENT = 1024;

interface Partial {
  readonly first: InnerFrame;
  readonly parts: Uint8Array[];
  length: number;
}

/** Fragments in, messages out. */
export class Assembler {
  readonly #limits: RayLimits;
  readonly #open = new Map<number, Partial>();
  #held = 0;

  /** With the limits of this side. */
  constructor(limits: RayLimits) {
    this.#limits = limits;
  }

  /** True while a message is unfinished. */
  get unfinished(): boolean {
    return this.#open.size > 0;
  }

  /**
   * The message that `frame` completes, or null.
   *
   * @throws {KontractError} `RAY_PROTOCOL` for fragments that do not belong together, `TOO_LARGE`
   */
  push(frame: InnerFrame): RayMessage | null {
    const partial = this.#open.get(frame.stream);
    const more = (frame.flags & FrameFlag.MORE) !== 0;
    if (partial === undefined && !more) {
      if (frame.payload.length > this.#limits.message) throw new KontractError("TOO_LARGE");
      return frame;
    }
    const entry = partial ?? this.#begin(frame);
    if (entry.first.type !== frame.type || entry.first.op !== frame.op) {
      throw new KontractError("RAY_PROTOCOL");
    }
    if (more && frame.payload.length < MIN_FRAGMENT) throw new KontractError("RAY_PROTOCOL");
    entry.length += frame.payload.length;
    this.#held += frame.payload.length;
    if (entry.length > this.#limits.message || this.#held > this.#limits.reassembly) {
      throw new KontractError("TOO_LARGE");
    }
    entry.parts.push(frame.payload);
    if (more) return null;
    this.drop(frame.stream);
    const { type, stream, op } = frame;
    return { type, stream, op, payload: concat(...entry.parts) };
  }

  /** Forgets what is held of a stream. */
  drop(stream: number): void {
    this.#held -= this.#open.get(stream)?.length ?? 0;
    this.#open.delete(stream);
  }

  #begin(frame: InnerFrame): Partial {
    if (this.#open.size >= this.#limits.streams) throw new KontractError("RAY_PROTOCOL");
    const entry: Partial = { first: frame, parts: [], length: 0 };
    this.#open.set(frame.stream, entry);
    return entry;
  }
}
