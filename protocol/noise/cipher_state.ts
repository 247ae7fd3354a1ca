/**
 * CipherState (Noise rev 34, section 5.1). The nonce lives here and only here: it moves on by one for
 * every success and no caller can set it.
 *
 * Counted up to 2⁵³−1 instead of 2⁶⁴−2; whoever uses it ends far earlier (2³² frames).
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { type Bytes, viewOf } from "../bytes.ts";
import type { Symmetric } from "../crypto/provider.ts";

/** The AEAD's nonce for a counter: 0⁴ ‖ LE64(counter). */
export function nonceOf(counter: number): Bytes {
  const nonce = new Uint8Array(12);
  const view = viewOf(nonce);
  view.setUint32(4, counter >>> 0, true);
  view.setUint32(8, Math.floor(counter / 0x1_0000_0000), true);
  return nonce;
}

/** A key, or none yet, and the number of the next message. */
export class CipherState {
  readonly #crypto: Symmetric;
  readonly #key: Bytes | null;
  #next = 0;

  /** With `key` null, messages pass through in clear, as during a handshake before its first DH. */
  constructor(crypto: Symmetric, key: Bytes | null) {
    this.#crypto = crypto;
    this.#key = key;
  }

  /** Seals one message and moves on. */
  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Bytes {
    if (this.#key === null) return new Uint8Array(plaintext);
    this.#checkExhausted();
    return this.#crypto.seal(this.#key, nonceOf(this.#next++), ad, plaintext);
  }

  /**
   * Opens one message and moves on; a failure leaves the counter where it was.
   *
   * @throws {KontractError} `RAY_PROTOCOL`
   */
  decryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Bytes {
    if (this.#key === null) return new Uint8Array(ciphertext);
    this.#checkExhausted();
    const plaintext = this.#crypto.open(this.#key, nonceOf(this.#next), ad, ciphertext);
    if (plaintext === null) throw new KontractError("RAY_PROTOCOL");
    this.#next++;
    return plaintext;
  }

  #checkExhausted(): void {
    if (this.#next >= Number.MAX_SAFE_INTEGER) throw new KontractError("RAY_PROTOCOL");
  }
}
