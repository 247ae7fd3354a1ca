/**
 * X25519 of Web Crypto (W3C Secure Curves): Deno, workerd, Node, current browsers. Private keys are
 * non-extractable; an all-zero shared secret is refused by the platform itself.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { Bytes } from "../bytes.ts";
import type { DhKeyPair, DiffieHellman } from "./provider.ts";

const X25519 = { name: "X25519" } as const;

/** X25519 over `crypto.subtle`. */
export const webDh: DiffieHellman = {
  dhName: "web",

  async generate(): Promise<DhKeyPair> {
    const pair = await crypto.subtle.generateKey(X25519, false, ["deriveBits"]) as CryptoKeyPair;
    const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    return { publicKey, agree: (peer) => agree(pair.privateKey, peer) };
  },

  async fromPrivate(privateKey: Uint8Array): Promise<DhKeyPair> {
    const { BASE_POINT, importPrivateKey } = await import("./web_private_key.ts");
    const key = await importPrivateKey(privateKey);
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
