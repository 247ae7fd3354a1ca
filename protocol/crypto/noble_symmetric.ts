/**
 * ChaCha20-Poly1305, SHA-256, HMAC and HKDF in JavaScript (`@noble/ciphers`, `@noble/hashes`): browsers, and
 * small messages in workerd. Imported lazily, see `select.ts`.
 *
 * @module
 */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { type Bytes, concat, owned, TAG_LENGTH } from "../bytes.ts";
import type { SealKeys, Symmetric } from "./provider.ts";

/** AEAD and hash in plain JavaScript. */
export const nobleSymmetric: Symmetric = {
  symmetricName: "noble",

  seal: (key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): Bytes =>
    owned(chacha20poly1305(key, nonce, ad).encrypt(plaintext)),

  sealTo(out: Uint8Array, keys: SealKeys, head: Uint8Array, body: Uint8Array): void {
    chacha20poly1305(keys.key, keys.nonce, keys.ad).encrypt(concat(head, body), out);
  },

  open(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, ciphertext: Uint8Array): Bytes | null {
    if (ciphertext.length < TAG_LENGTH) return null;
    const cipher = chacha20poly1305(key, nonce, ad);
    try {
      return owned(cipher.decrypt(ciphertext));
    } catch {
      return null;
    }
  },

  sha256: (data: Uint8Array): Bytes => owned(sha256(data)),
  hmac: (key: Uint8Array, data: Uint8Array): Bytes => owned(hmac(sha256, key, data)),
  hkdf: (salt: Uint8Array, input: Uint8Array, info: Uint8Array, length: number): Bytes =>
    owned(hkdf(sha256, input, salt, info, length)),
};
