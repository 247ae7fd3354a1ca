/**
 * HKDF-SHA256 twice: RFC 5869, and the form of Noise (rev 34, section 4.3), which is the same
 * construction with an empty info and 32-byte outputs. Both over a provider's HMAC.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { type Bytes, concat, EMPTY } from "../bytes.ts";
import type { Symmetric } from "./provider.ts";

const FIRST = new Uint8Array([1]);

/** RFC 5869, section 2.2. */
export function hkdfExtract(crypto: Symmetric, salt: Uint8Array, ikm: Uint8Array): Bytes {
  return crypto.hmac(salt.length === 0 ? new Uint8Array(32) : salt, ikm);
}

/** RFC 5869, section 2.3. `length` at most 8160. */
export function hkdfExpand(
  crypto: Symmetric,
  prk: Uint8Array,
  info: Uint8Array,
  length: number = 32,
): Bytes {
  if (length > 255 * 32) {
    throw new KontractError("INTERNAL");
  }
  // Nearly every key here is one block.
  if (length === 32) return crypto.hmac(prk, concat(info, FIRST));
  const out = new Uint8Array(length);
  let block: Bytes = EMPTY;
  for (let at = 0, counter = 1; at < length; at += 32, counter++) {
    block = crypto.hmac(prk, concat(block, info, new Uint8Array([counter])));
    out.set(block.subarray(0, Math.min(32, length - at)), at);
  }
  return out;
}

/** Noise HKDF with two outputs. */
export function noiseHkdf(
  crypto: Symmetric,
  chainingKey: Uint8Array,
  input: Uint8Array,
): readonly [Bytes, Bytes] {
  const out = hkdfExpand(crypto, crypto.hmac(chainingKey, input), EMPTY, 64);
  return [out.slice(0, 32), out.slice(32)];
}
