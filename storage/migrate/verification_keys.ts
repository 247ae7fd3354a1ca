/**
 * Keys with which the database verifies database tokens: HMAC-SHA256 keys derived from
 * `KONTRACT_SECRET`, stored as the two pads of RFC 2104 so that SQL needs no extension. The secret itself
 * never reaches the database.
 *
 * @module
 */
import { deriveKey, KEY_LABELS, keyId } from "../../_internal/keys.ts";

/** One row of `kontract_private.keys`. */
export interface VerificationKey {
  readonly kid: string;
  /** The only header accepted with this key. */
  readonly header: string;
  readonly ipad: Uint8Array;
  readonly opad: Uint8Array;
}

const BLOCK = 64;

/** The key one secret gives. */
export async function verificationKey(secret: Uint8Array): Promise<VerificationKey> {
  const key = await deriveKey(secret, KEY_LABELS.databaseToken);
  const kid = await keyId(key);
  const header = new TextEncoder().encode(`{"alg":"HS256","kid":"${kid}"}`)
    .toBase64({ alphabet: "base64url", omitPadding: true });
  const pad = (byte: number): Uint8Array =>
    Uint8Array.from({ length: BLOCK }, (_, i) => (key[i] ?? 0) ^ byte);
  return { kid, header, ipad: pad(0x36), opad: pad(0x5c) };
}
