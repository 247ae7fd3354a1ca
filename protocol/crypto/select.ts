/**
 * Which implementation to use, decided once by trying: X25519 from Web Crypto wherever it exists, in Deno key
 * pairs of one handshake from `node:crypto`; AEAD from `node:crypto`, except small messages in workerd, where
 * JavaScript is faster; noble, loaded lazily, where the platform has neither (Chromium: no ChaCha20-Poly1305
 * in Web Crypto).
 *
 * @module
 */
import type { NativeParts } from "./native.ts";
import type { CryptoProvider, DiffieHellman } from "./provider.ts";
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
  const [dh, parts] = await Promise.all([chooseDh(), chooseParts()]);
  return { ...dh, ...parts };
}

async function chooseDh(): Promise<DiffieHellman> {
  return await hasWebDh() ? webDh : (await import("./noble_dh.ts")).nobleDh;
}

async function chooseParts(): Promise<NativeParts> {
  return await chooseNative() ?? (await import("./noble_symmetric.ts")).nobleSymmetric;
}

// A chunk of its own, so that no page carries it.
async function chooseNative(): Promise<NativeParts | null> {
  const { process } = globalThis as { process?: { getBuiltinModule?: unknown } };
  if (typeof process?.getBuiltinModule !== "function") return null;
  return await (await import("./native.ts")).nativeParts();
}
