/**
 * ChaCha20-Poly1305, SHA-256, HMAC and HKDF of `node:crypto`: Deno, Node, workerd with `nodejs_compat`.
 *
 * The module is reached through `process.getBuiltinModule`, so no bundler sees an import and a browser
 * bundle stays whole. Where that is missing, so is this implementation.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { type Bytes, EMPTY, owned, TAG_LENGTH } from "../bytes.ts";
import type { NodeKeys } from "./node_dh.ts";
import type { SealKeys, Symmetric } from "./provider.ts";

interface NodeCipher {
  setAAD(ad: Uint8Array): unknown;
  update(data: Uint8Array): Uint8Array;
  final(): Uint8Array;
  getAuthTag(): Uint8Array;
  setAuthTag(tag: Uint8Array): unknown;
}

interface NodeHash {
  update(data: Uint8Array): NodeHash;
  digest(): Uint8Array;
}

type MakeCipher = (
  name: string,
  key: Uint8Array,
  nonce: Uint8Array,
  options: { authTagLength: number },
) => NodeCipher;

/** The part of `node:crypto` used here. */
export interface NodeCrypto extends Partial<NodeKeys> {
  readonly createCipheriv: MakeCipher;
  readonly createDecipheriv: MakeCipher;
  createHash(name: string): NodeHash;
  hkdfSync(
    name: string,
    input: Uint8Array,
    salt: Uint8Array,
    info: Uint8Array,
    length: number,
  ): ArrayBuffer;
}

// Bytes of a SHA-256 block.
const BLOCK = 64;

// Below this a copy is cheaper than a second call into the cipher.
const SMALL = 4096;

const CIPHER = "chacha20-poly1305";
const OPTIONS = { authTagLength: TAG_LENGTH } as const;

/** AEAD and hash over `node`. */
export function nodeSymmetric(node: NodeCrypto): Symmetric {
  const sha256 = (data: Uint8Array): Bytes =>
    new Uint8Array(node.createHash("sha256").update(data).digest());
  const seal = (out: Uint8Array, keys: SealKeys, parts: readonly Uint8Array[]): void => {
    const cipher = node.createCipheriv(CIPHER, keys.key, keys.nonce, OPTIONS);
    cipher.setAAD(keys.ad);
    let at = 0;
    for (const part of parts) {
      const sealed = cipher.update(part);
      // Where the plaintext lies in `out`, none of it may stay.
      if (sealed.length !== part.length) throw new KontractError("INTERNAL");
      out.set(sealed, at);
      at += part.length;
    }
    cipher.final();
    out.set(cipher.getAuthTag(), at);
  };
  const inParts = sealsInParts(node);
  return {
    symmetricName: "node",

    seal(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): Bytes {
      const out = new Uint8Array(plaintext.length + TAG_LENGTH);
      seal(out, { key, nonce, ad }, [plaintext]);
      return out;
    },

    sealTo(out: Uint8Array, keys: SealKeys, head: Uint8Array, body: Uint8Array): void {
      if (inParts && body.length >= SMALL) return seal(out, keys, [head, body]);
      // Put together where the ciphertext will lie: a buffer more costs more than sealing does.
      out.set(head);
      out.set(body, head.length);
      seal(out, keys, [out.subarray(0, head.length + body.length)]);
    },

    open(
      key: Uint8Array,
      nonce: Uint8Array,
      ad: Uint8Array,
      ciphertext: Uint8Array,
    ): Bytes | null {
      const length = ciphertext.length - TAG_LENGTH;
      if (length < 0) return null;
      const cipher = node.createDecipheriv(CIPHER, key, nonce, OPTIONS);
      cipher.setAAD(ad);
      cipher.setAuthTag(ciphertext.subarray(length));
      let out: Uint8Array = EMPTY;
      try {
        // In workerd it is this call that refuses what is not authentic, an empty message too.
        out = cipher.update(ciphertext.subarray(0, length));
        cipher.final();
      } catch {
        out.fill(0);
        return null;
      }
      // A whole buffer of its own is handed on as it is; a part of a shared pool is copied.
      return out.byteLength === out.buffer.byteLength
        ? new Uint8Array(owned(out).buffer)
        : new Uint8Array(out);
    },

    sha256,

    // RFC 2104 by hand: Deno's Hmac object costs about as much as three hashes.
    hmac(key: Uint8Array, data: Uint8Array): Bytes {
      const inner = new Uint8Array(BLOCK + data.length);
      const outer = new Uint8Array(BLOCK + 32);
      inner.set(key.length > BLOCK ? sha256(key) : key);
      for (let at = 0; at < BLOCK; at++) {
        const byte = inner[at] ?? 0;
        inner[at] = byte ^ 0x36;
        outer[at] = byte ^ 0x5c;
      }
      inner.set(data, BLOCK);
      outer.set(sha256(inner), BLOCK);
      return sha256(outer);
    },

    // Three HMACs by hand take six times as long.
    hkdf: (salt: Uint8Array, input: Uint8Array, info: Uint8Array, length: number): Bytes =>
      new Uint8Array(node.hkdfSync("sha256", input, salt, info, length)),
  };
}

// workerd takes a message in one piece only.
function sealsInParts(node: NodeCrypto): boolean {
  try {
    const cipher = node.createCipheriv(CIPHER, new Uint8Array(32), new Uint8Array(12), OPTIONS);
    for (let part = 0; part < 2; part++) cipher.update(new Uint8Array(1));
    return true;
  } catch {
    return false;
  }
}

interface ProcessLike {
  getBuiltinModule?(name: string): unknown;
}

/** `node:crypto` where the platform has it and it can do all that is used here; null elsewhere. */
export function findNodeCrypto(): NodeCrypto | null {
  try {
    const host = (globalThis as { process?: ProcessLike }).process;
    const node = host?.getBuiltinModule?.("node:crypto") as NodeCrypto | undefined;
    if (node === undefined) return null;
    const probe = nodeSymmetric(node);
    const key = new Uint8Array(32);
    const nonce = new Uint8Array(12);
    // A message that is empty is authenticated, too: not every implementation has always done so.
    for (const message of [nonce, EMPTY]) {
      const sealed = probe.seal(key, nonce, nonce, message);
      if (probe.open(key, nonce, nonce, sealed) === null) return null;
      sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1;
      if (probe.open(key, nonce, nonce, sealed) !== null) return null;
    }
    probe.hkdf(probe.sha256(key), key, EMPTY, 64);
    return node;
  } catch {
    return null;
  }
}
