/**
 * Which implementation to use, decided once by trying: X25519 from Web Crypto wherever it exists;
 * AEAD from `node:crypto`, except small messages in workerd, where JavaScript is faster; noble, loaded
 * lazily, where the platform has neither (Chromium: no ChaCha20-Poly1305 in Web Crypto).
 *
 * @module
 */
import type { CryptoProvider, DiffieHellman, Symmetric } from "./provider.ts";
import { hasWebDh, webDh } from "./web_dh.ts";

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
  return { ...dh, ...symmetric };
}

async function chooseDh(): Promise<DiffieHellman> {
  return await hasWebDh() ? webDh : (await import("./noble_dh.ts")).nobleDh;
}

async function chooseSymmetric(): Promise<Symmetric> {
  return await chooseNative() ?? (await import("./noble_symmetric.ts")).nobleSymmetric;
}

// A chunk of its own, so that no page carries it.
async function chooseNative(): Promise<Symmetric | null> {
  const { process } = globalThis as { process?: { getBuiltinModule?: unknown } };
  if (typeof process?.getBuiltinModule !== "function") return null;
  return await (await import("./native_symmetric.ts")).nativeSymmetric();
}
