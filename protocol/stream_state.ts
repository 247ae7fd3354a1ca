/**
 * Stream state: one direction of a WebSocket, for as long as it lives. The counter runs inside, strictly
 * by one; nobody can pass a nonce. Noise REKEY every 65,536 frames; after 2³² frames nothing is sealed or
 * opened any more.
 *
 * Not interchangeable with the message state of HTTP, whose keys live for one body.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Bytes } from "./bytes.ts";
import type { Symmetric } from "./crypto/provider.ts";
import { MAX_FRAMES, type RawFrame } from "./frames.ts";
import { rekeyed } from "./noise/rekey.ts";
import { type InnerFrame, openFrame, sealFrame } from "./sealed_frame.ts";

/** Frames under one key. */
export const REKEY_INTERVAL = 65_536;

/** Where one direction stands: secret, and stale as soon as one more frame has passed. */
export interface StreamPosition {
  readonly key: Bytes;
  /** Sequence of the next frame. */
  readonly next: number;
}

abstract class StreamState {
  readonly crypto: Symmetric;
  #key: Bytes;
  #next: number;

  constructor(crypto: Symmetric, position: StreamPosition) {
    this.crypto = crypto;
    this.#key = position.key;
    this.#next = position.next;
  }

  /** For storage; see the module's note in `socket_link.ts`. */
  get position(): StreamPosition {
    return { key: this.#key, next: this.#next };
  }

  protected get key(): Bytes {
    if (this.#next >= MAX_FRAMES) {
      throw new KontractError("RAY_PROTOCOL", "The session has sealed all frames it may.");
    }
    return this.#key;
  }

  protected get next(): number {
    return this.#next;
  }

  protected advance(): void {
    this.#next++;
    if (this.#next % REKEY_INTERVAL === 0) this.#key = rekeyed(this.crypto, this.#key);
  }
}

/** The sending direction. */
export class StreamSealer extends StreamState {
  /** Seals the next frame. */
  seal(frame: InnerFrame): Bytes {
    const sealed = sealFrame(this.crypto, this.key, this.next, frame);
    this.advance();
    return sealed;
  }
}

/** The receiving direction. */
export class StreamOpener extends StreamState {
  /** Opens the next frame; throws `RAY_PROTOCOL` for any other. */
  open(raw: RawFrame): InnerFrame {
    const frame = openFrame(this.crypto, this.key, this.next, raw);
    this.advance();
    return frame;
  }
}
