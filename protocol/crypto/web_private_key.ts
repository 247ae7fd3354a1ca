/**
 * X25519 keys that last, for Web Crypto. Servers have them: no page carries this.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { concat } from "../bytes.ts";

/** RFC 8410: PrivateKeyInfo with one X25519 key; the 32 private bytes follow. */
export const PKCS8_PREFIX = new Uint8Array([
  ...[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06],
  ...[0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20],
]);

/** RFC 7748, section 4.1: u = 9. The agreement with it is the public key. */
export const BASE_POINT = new Uint8Array(32);
BASE_POINT[0] = 9;

/** The key of 32 private bytes, non-extractable. */
export async function importPrivateKey(privateKey: Uint8Array): Promise<CryptoKey> {
  if (privateKey.length !== 32) throw new KontractError("RAY_PROTOCOL");
  const pkcs8 = concat(PKCS8_PREFIX, privateKey);
  const algorithm = { name: "X25519" };
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["deriveBits"]);
  pkcs8.fill(0);
  return key;
}
