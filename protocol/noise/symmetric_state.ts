/**
 * SymmetricState (Noise rev 34, section 5.2), without pre-shared keys.
 *
 * @module
 */
import { type Bytes, concat, EMPTY, utf8 } from "../bytes.ts";
import type { Symmetric } from "../crypto/provider.ts";
import { CipherState } from "./cipher_state.ts";

/** Chaining key, handshake hash and the handshake's cipher. */
export class SymmetricState {
  readonly #crypto: Symmetric;
  #cipher: CipherState;
  #chainingKey: Bytes;
  #hash: Bytes;

  /** InitializeSymmetric. */
  constructor(crypto: Symmetric, protocolName: string) {
    const name = utf8(protocolName);
    const padded = new Uint8Array(32);
    if (name.length <= 32) padded.set(name);
    this.#crypto = crypto;
    this.#cipher = new CipherState(crypto, null);
    this.#hash = name.length <= 32 ? padded : crypto.sha256(name);
    this.#chainingKey = this.#hash;
  }

  /** h, so far. */
  get hash(): Bytes {
    return this.#hash;
  }

  /** MixKey. */
  mixKey(input: Uint8Array): void {
    const [chainingKey, key] = this.#derive(input);
    this.#chainingKey = chainingKey;
    this.#cipher = new CipherState(this.#crypto, key);
  }

  /** MixHash. */
  mixHash(data: Uint8Array): void {
    this.#hash = this.#crypto.sha256(concat(this.#hash, data));
  }

  /** EncryptAndHash. */
  encryptAndHash(plaintext: Uint8Array): Bytes {
    const ciphertext = this.#cipher.encryptWithAd(this.#hash, plaintext);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** DecryptAndHash; throws `RAY_PROTOCOL` and leaves h alone. */
  decryptAndHash(ciphertext: Uint8Array): Bytes {
    const plaintext = this.#cipher.decryptWithAd(this.#hash, ciphertext);
    this.mixHash(ciphertext);
    return plaintext;
  }

  /** Split, as raw keys: initiator to responder, responder to initiator. */
  split(): readonly [Bytes, Bytes] {
    return this.#derive(EMPTY);
  }

  /** HKDF of Noise with two outputs (section 4.3): that of RFC 5869 without an info. */
  #derive(input: Uint8Array): readonly [Bytes, Bytes] {
    const out = this.#crypto.hkdf(this.#chainingKey, input, EMPTY, 64);
    return [out.slice(0, 32), out.slice(32)];
  }
}
