/**
 * X25519 in JavaScript (`@noble/curves`), where Web Crypto has none. Imported lazily, see `select.ts`.
 * The private key lies in ordinary memory; that is why Web Crypto always wins where it exists.
 *
 * @module
 */
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { KontractError } from "../../_internal/errors.ts";
import { type Bytes, owned, randomBytes } from "../bytes.ts";
import type { DhKeyPair, DiffieHellman } from "./provider.ts";

/** Ed25519 (RFC 8032) in plain JavaScript: whether `signature` over `message` is `publicKey`'s. */
export function verifyEd25519(
  signature: Uint8Array,
  message: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: false });
  } catch {
    return false;
  }
}

/** X25519 in plain JavaScript. */
export const nobleDh: DiffieHellman = {
  dhName: "noble",
  generate: (): Promise<DhKeyPair> => nobleDh.fromPrivate(randomBytes(32)),

  // deno-lint-ignore require-await -- a wrong length must reject, not throw
  async fromPrivate(privateKey: Uint8Array): Promise<DhKeyPair> {
    if (privateKey.length !== 32) {
      throw new KontractError("RAY_PROTOCOL", "An X25519 private key must be 32 bytes.");
    }
    const secret = new Uint8Array(privateKey);
    return {
      publicKey: owned(x25519.getPublicKey(secret)),
      // deno-lint-ignore require-await -- as above
      agree: async (peer: Uint8Array): Promise<Bytes> => {
        try {
          return owned(x25519.getSharedSecret(secret, new Uint8Array(peer)));
        } catch (cause) {
          throw new KontractError("RAY_PROTOCOL", "The public key is not usable.", { cause });
        }
      },
    };
  },
};
