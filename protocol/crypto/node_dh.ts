/**
 * X25519 of `node:crypto`: Deno, Node. Synchronous, where Web Crypto hands each step to another thread and
 * waits for it. Private keys are `KeyObject`s that never leave this module.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { type Bytes, concat, EMPTY } from "../bytes.ts";
import type { DhKeyPair, DiffieHellman } from "./provider.ts";
import { PKCS8_PREFIX } from "./web_private_key.ts";

interface KeyObject {
  export(form: DerForm<"spki">): Uint8Array;
}

interface DerForm<Type extends string> {
  readonly format: "der";
  readonly type: Type;
}

/** The part of `node:crypto` used here. */
export interface NodeKeys {
  generateKeyPairSync(
    type: "x25519",
  ): { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  createPrivateKey(of: DerForm<"pkcs8"> & { readonly key: Uint8Array }): KeyObject;
  createPublicKey(of: KeyObject | DerForm<"spki"> & { readonly key: Uint8Array }): KeyObject;
  diffieHellman(
    keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
  ): Uint8Array;
}

// RFC 8410: SubjectPublicKeyInfo with one X25519 key; its 32 bytes follow.
const SPKI_PREFIX = new Uint8Array([
  ...[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00],
]);

/** X25519 over `node`. */
export function nodeDh(node: NodeKeys): DiffieHellman {
  const pairOf = (privateKey: KeyObject, publicKey: KeyObject): DhKeyPair => ({
    publicKey: new Uint8Array(
      publicKey.export({ format: "der", type: "spki" }).subarray(SPKI_PREFIX.length),
    ),
    // deno-lint-ignore require-await -- what is wrong must reject, not throw
    agree: async (peer) => agree(node, privateKey, peer),
  });
  return {
    dhName: "node",

    // deno-lint-ignore require-await -- as above
    async generate(): Promise<DhKeyPair> {
      const { privateKey, publicKey } = node.generateKeyPairSync("x25519");
      return pairOf(privateKey, publicKey);
    },

    // deno-lint-ignore require-await -- as above
    async fromPrivate(privateKey: Uint8Array): Promise<DhKeyPair> {
      if (privateKey.length !== 32) throw new KontractError("RAY_PROTOCOL");
      const der = concat(PKCS8_PREFIX, privateKey);
      const key = node.createPrivateKey({ key: der, format: "der", type: "pkcs8" });
      der.fill(0);
      return pairOf(key, node.createPublicKey(key));
    },
  };
}

function agree(node: NodeKeys, privateKey: KeyObject, peer: Uint8Array): Bytes {
  let secret: Bytes = EMPTY;
  try {
    if (peer.length === 32) {
      const key = concat(SPKI_PREFIX, peer);
      const publicKey = node.createPublicKey({ key, format: "der", type: "spki" });
      secret = new Uint8Array(node.diffieHellman({ privateKey, publicKey }));
    }
  } catch (cause) {
    throw new KontractError("RAY_PROTOCOL", undefined, { cause });
  }
  // RFC 7748, section 6.1: of a low-order point, which not every implementation refuses.
  let bits = 0;
  for (const byte of secret) bits |= byte;
  if (bits === 0) throw new KontractError("RAY_PROTOCOL");
  return secret;
}

/** The same, where `node` can do it; null elsewhere. */
export async function findNodeDh(node: Partial<NodeKeys>): Promise<DiffieHellman | null> {
  try {
    const dh = nodeDh(node as NodeKeys);
    const pair = await dh.generate();
    await pair.agree(pair.publicKey);
    return dh;
  } catch {
    return null;
  }
}
