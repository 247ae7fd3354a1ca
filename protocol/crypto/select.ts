/**
 * Which implementation to use, decided once by trying: X25519 from Web Crypto wherever it exists;
 * AEAD from `node:crypto`, except small messages in workerd, where JavaScript is faster; noble, loaded
 * lazily, where the platform has neither (Chromium: no ChaCha20-Poly1305 in Web Crypto).
 *
 * @module
 */
import { combine, type CryptoProvider, type DiffieHellman, type Symmetric } from "./provider.ts";
import { hasWebDh, webDh } from "./web_dh.ts";

// Measured in workerd: below this a call into node:crypto costs more than JavaScript takes.
const SMALL = 2048;

let chosen: CryptoProvider | undefined;

/**
 * The best provider of this platform; tried once, shared by all. Only the outcome is kept, never a pending
 * promise: in Workers one request must not wait for what another, perhaps cancelled, has begun.
 */
export async function loadProvider(): Promise<CryptoProvider> {
  return chosen ??= await choose();
}

async function choose(): Promise<CryptoProvider> {
  const [dh, symmetric] = await Promise.all([chooseDh(), chooseSymmetric()]);
  return combine(dh, symmetric);
}

async function chooseDh(): Promise<DiffieHellman> {
  return await hasWebDh() ? webDh : (await import("./noble_dh.ts")).nobleDh;
}

async function chooseSymmetric(): Promise<Symmetric> {
  const native = await chooseNative();
  if (native === null) return (await import("./noble_symmetric.ts")).nobleSymmetric;
  if (globalThis.navigator?.userAgent !== "Cloudflare-Workers") return native;
  return bySize((await import("./noble_symmetric.ts")).nobleSymmetric, native);
}

// A chunk of its own, so that no page carries it.
async function chooseNative(): Promise<Symmetric | null> {
  const { process } = globalThis as { process?: { getBuiltinModule?: unknown } };
  if (typeof process?.getBuiltinModule !== "function") return null;
  const { findNodeCrypto, nodeSymmetric } = await import("./node_symmetric.ts");
  const node = findNodeCrypto();
  return node && nodeSymmetric(node);
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
