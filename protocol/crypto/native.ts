/**
 * What the platform has beside Web Crypto: AEAD and hash of `node:crypto`, except small messages in workerd, where
 * JavaScript is faster; and key pairs of one handshake where Web Crypto hands each step to another thread.
 *
 * @module
 */
import { findNodeDh } from "./node_dh.ts";
import { findNodeCrypto, nodeSymmetric } from "./node_symmetric.ts";
import type { DiffieHellman, Symmetric } from "./provider.ts";

// Measured in workerd: below this a call into node:crypto costs more than JavaScript takes.
const SMALL = 2048;

/** Parts of a provider. */
export type NativeParts = Symmetric & Partial<Pick<DiffieHellman, "dhName" | "generate">>;

/** The platform's, or null. */
export async function nativeParts(): Promise<NativeParts | null> {
  const node = findNodeCrypto();
  if (node === null) return null;
  const native = nodeSymmetric(node);
  if (globalThis.navigator?.userAgent === "Cloudflare-Workers") {
    return bySize((await import("./noble_symmetric.ts")).nobleSymmetric, native);
  }
  const dh = await findNodeDh(node);
  // Keys that last stay non-extractable ones of Web Crypto.
  return dh === null ? native : { ...native, dhName: dh.dhName, generate: dh.generate };
}

/** `small` below 2 KiB, `large` from there on. */
export function bySize(small: Symmetric, large: Symmetric): Symmetric {
  return {
    symmetricName: `${small.symmetricName}+${large.symmetricName}`,
    seal: (key, nonce, ad, plaintext) =>
      (plaintext.length < SMALL ? small : large).seal(key, nonce, ad, plaintext),
    sealTo: (out, keys, head, body) =>
      (body.length < SMALL ? small : large).sealTo(out, keys, head, body),
    open: (key, nonce, ad, ciphertext) =>
      (ciphertext.length < SMALL ? small : large).open(key, nonce, ad, ciphertext),
    sha256: (data) => (data.length < SMALL ? small : large).sha256(data),
    hmac: (key, data) => (data.length < SMALL ? small : large).hmac(key, data),
    hkdf: small.hkdf,
  };
}
