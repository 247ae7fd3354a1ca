/**
 * AEAD and hash where the platform has them: `node:crypto`, except small messages in workerd, where
 * JavaScript is faster.
 *
 * @module
 */
import { findNodeCrypto, nodeSymmetric } from "./node_symmetric.ts";
import type { Symmetric } from "./provider.ts";

// Measured in workerd: below this a call into node:crypto costs more than JavaScript takes.
const SMALL = 2048;

/** The platform's, or null. */
export async function nativeSymmetric(): Promise<Symmetric | null> {
  const node = findNodeCrypto();
  if (node === null) return null;
  const native = nodeSymmetric(node);
  if (globalThis.navigator?.userAgent !== "Cloudflare-Workers") return native;
  return bySize((await import("./noble_symmetric.ts")).nobleSymmetric, native);
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
  };
}
