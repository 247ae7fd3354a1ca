/**
 * Opens the sealed frames of one HTTP body, whatever the chunks they come in.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { Assembler } from "./assembler.ts";
import type { Bytes } from "./bytes.ts";
import type { Symmetric } from "./crypto/provider.ts";
import { FrameSplitter } from "./frames.ts";
import type { RayLimits } from "./limits.ts";
import { MessageOpener, type RayMessage } from "./message_state.ts";

/** Chunks in, messages out. What is wrong is fatal. */
export class BodyOpener {
  readonly #splitter = new FrameSplitter();
  readonly #assembler: Assembler;
  readonly #opener: MessageOpener;

  /** `key` belongs to this body alone. */
  constructor(crypto: Symmetric, key: Bytes, limits: RayLimits) {
    this.#assembler = new Assembler(limits);
    this.#opener = new MessageOpener(crypto, key);
  }

  /** True after the frame that ends the body. */
  get ended(): boolean {
    return this.#opener.ended;
  }

  /** Messages completed by `chunk`. Throws `RAY_PROTOCOL`, `TOO_LARGE`. */
  push(chunk: Uint8Array): RayMessage[] {
    const messages: RayMessage[] = [];
    for (const raw of this.#splitter.push(chunk)) {
      const message = this.#assembler.push(this.#opener.open(raw));
      if (message !== null) messages.push(message);
    }
    return messages;
  }

  /** The body is over. Throws `RAY_PROTOCOL` where it was cut off or something is left over. */
  finish(): void {
    if (!this.ended || this.#splitter.unfinished || this.#assembler.unfinished) {
      throw new KontractError("RAY_PROTOCOL");
    }
  }
}
