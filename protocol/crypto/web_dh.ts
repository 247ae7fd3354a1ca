/**
 * X25519 of Web Crypto (W3C Secure Curves): Deno, workerd, Node, current browsers. Private keys are
 * non-extractable; an all-zero shared secret is refused by the platform itself.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { type Bytes, concat } from "../bytes.ts";
import type { DhKeyPair, DiffieHellman } from "./provider.ts";

const X25519 = { name: "X25519" } as const;

// RFC 8410: PrivateKeyInfo with one X25519 key; the 32 private bytes follow.
const PKCS8_PREFIX = new Uint8Array([
  ...[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06],
  ...[0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20],
]);

// RFC 7748, section 4.1: u = 9. The agreement with it is the public key.
const BASE_POINT = new Uint8Array(32);
BASE_POINT[0] = 9;

/** X25519 over `crypto.subtle`. */
export const webDh: DiffieHellman = {
  dhName: "web",

  async generate(): Promise<DhKeyPair> {
    const pair = await crypto.subtle.generateKey(X25519, false, ["deriveBits"]) as CryptoKeyPair;
    const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    return { publicKey, agree: (peer) => agree(pair.privateKey, peer) };
  },

  async fromPrivate(privateKey: Uint8Array): Promise<DhKeyPair> {
    if (privateKey.length !== 32) throw new KontractError("RAY_PROTOCOL");
    const pkcs8 = concat(PKCS8_PREFIX, privateKey);
    const key = await crypto.subtle.importKey("pkcs8", pkcs8, X25519, false, ["deriveBits"]);
    pkcs8.fill(0);
    return { publicKey: await agree(key, BASE_POINT), agree: (peer) => agree(key, peer) };
  },
};

async function agree(key: CryptoKey, peer: Uint8Array): Promise<Bytes> {
  try {
    const imported = await crypto.subtle.importKey("raw", new Uint8Array(peer), X25519, true, []);
    const bits = await crypto.subtle.deriveBits({ name: "X25519", public: imported }, key, 256);
    return new Uint8Array(bits);
  } catch (cause) {
    throw new KontractError("RAY_PROTOCOL", undefined, { cause });
  }
}

/** True where Web Crypto here knows X25519. */
export async function hasWebDh(): Promise<boolean> {
  try {
    await webDh.generate();
    return true;
  } catch {
    return false;
  }
}
