/**
 * REKEY (Noise rev 34, section 4.2). Only what lives as long as a WebSocket needs it.
 *
 * @module
 */
import { type Bytes, EMPTY } from "../bytes.ts";
import type { Symmetric } from "../crypto/provider.ts";

// The one nonce that no message may use.
const REKEY_NONCE = new Uint8Array([0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);

/** The key after `key`: the first 32 bytes of ENCRYPT(k, 2⁶⁴−1, "", 0³²). */
export function rekeyed(crypto: Symmetric, key: Uint8Array): Bytes {
  return crypto.seal(key, REKEY_NONCE, EMPTY, new Uint8Array(32)).slice(0, 32);
}
