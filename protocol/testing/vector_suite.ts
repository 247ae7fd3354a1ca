/**
 * Published vectors against the providers of whatever platform this runs on: Deno, workerd and Chromium
 * run this very file. No platform API in here, and no assertions: it counts and names what fails.
 * For tests only.
 *
 * @module
 */
import { EMPTY, equalBytes, randomBytes } from "../bytes.ts";
import { nobleDh } from "../crypto/noble_dh.ts";
import { nobleSymmetric } from "../crypto/noble_symmetric.ts";
import { findNodeDh } from "../crypto/node_dh.ts";
import { findNodeCrypto, nodeSymmetric } from "../crypto/node_symmetric.ts";
import type { CryptoProvider, DiffieHellman } from "../crypto/provider.ts";
import type { Symmetric } from "../crypto/provider.ts";
import { bySize } from "../crypto/native.ts";
import { hasWebDh, webDh } from "../crypto/web_dh.ts";
import { expand } from "../message_keys.ts";
import { CipherState } from "../noise/cipher_state.ts";
import { HandshakeState } from "../noise/handshake_state.ts";
import { NK } from "../noise/patterns.ts";

interface Groups<Test, Group = unknown> {
  readonly testGroups: readonly (Group & { readonly tests: readonly Test[] })[];
}
interface Case {
  readonly tcId: number;
  readonly result: "valid" | "invalid" | "acceptable";
}
type Fields<Names extends string> = Case & { readonly [Name in Names]: string };

/** The files of `../shared/vectors`, parsed. */
export interface VectorFiles {
  readonly x25519: Groups<Fields<"public" | "private" | "shared">>;
  readonly chacha: Groups<
    Fields<"key" | "iv" | "aad" | "msg" | "ct" | "tag">,
    { readonly ivSize: number }
  >;
  readonly hmac: Groups<Fields<"key" | "msg" | "tag">, { readonly tagSize: number }>;
  readonly hkdf: Groups<Fields<"ikm" | "salt" | "info" | "okm"> & { readonly size: number }>;
  readonly noise: { readonly vectors: readonly NoiseVector[] };
}

/** Names of the files, for whoever reads them. */
export const VECTOR_FILES: Readonly<Record<keyof VectorFiles, string>> = {
  x25519: "wycheproof_x25519_test.json",
  chacha: "wycheproof_chacha20_poly1305_test.json",
  hmac: "wycheproof_hmac_sha256_test.json",
  hkdf: "wycheproof_hkdf_sha256_test.json",
  noise: "noise_nk_cacophony.json",
};

interface NoiseVector {
  readonly protocol_name: string;
  readonly init_prologue: string;
  readonly init_ephemeral: string;
  readonly init_remote_static: string;
  readonly resp_prologue: string;
  readonly resp_static: string;
  readonly resp_ephemeral: string;
  readonly handshake_hash: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}

/** What a run came to: how many cases of each kind, and the names of those that fail. */
export interface VectorReport {
  readonly counts: Record<string, number>;
  readonly failures: string[];
}

/** Implementations that exist here. */
export interface PlatformCrypto {
  readonly dh: readonly DiffieHellman[];
  readonly symmetric: readonly Symmetric[];
}

/** Finds them. */
export async function platformCrypto(): Promise<PlatformCrypto> {
  const node = findNodeCrypto();
  const native = node === null ? [] : [nodeSymmetric(node)];
  const keys = node === null ? null : await findNodeDh(node);
  return {
    dh: [...(await hasWebDh() ? [webDh] : []), ...(keys === null ? [] : [keys]), nobleDh],
    symmetric: [...native, ...native.map((each) => bySize(nobleSymmetric, each)), nobleSymmetric],
  };
}

/** Every vector on every implementation, then NK on every pair of them, and all pairs with each other. */
export async function runVectors(
  files: VectorFiles,
  { dh, symmetric }: PlatformCrypto,
): Promise<VectorReport> {
  const report: VectorReport = { counts: {}, failures: [] };
  const note = (kind: string, name: string | number, passed: boolean): void => {
    report.counts[kind] = (report.counts[kind] ?? 0) + 1;
    if (!passed) report.failures.push(`${kind} ${name}`);
  };
  for (const each of dh) await checkDh(each, files.x25519, note);
  for (const each of symmetric) {
    checkAead(each, files.chacha, note);
    checkHashes(each, files, note);
  }
  const all = dh.flatMap((one) => symmetric.map((other) => ({ ...one, ...other })));
  const noise = files.noise.vectors.filter((each) => each.protocol_name === NK.name);
  for (const crypto of all) {
    const name = `${crypto.dhName}/${crypto.symmetricName}`;
    for (const vector of noise) note(`NK ${name}`, "vector", await checkNoise(crypto, vector));
    for (const peer of all) {
      note("pairs", `${name} with ${peer.dhName}/${peer.symmetricName}`, await meet(crypto, peer));
    }
  }
  return report;
}

type Note = (kind: string, name: string | number, passed: boolean) => void;

function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

async function checkDh(dh: DiffieHellman, file: VectorFiles["x25519"], note: Note): Promise<void> {
  for (const test of file.testGroups.flatMap((group) => group.tests)) {
    const pair = await dh.fromPrivate(hex(test.private));
    const expected = hex(test.shared);
    const shared = await pair.agree(hex(test.public)).catch(() => null);
    // RFC 7748, section 6.1: an all-zero secret is refused, and nothing else is.
    if (expected.every((byte) => byte === 0)) {
      note(`X25519 ${dh.dhName} refused`, test.tcId, shared === null);
    } else {
      note(`X25519 ${dh.dhName}`, test.tcId, shared !== null && equalBytes(shared, expected));
    }
  }
}

function checkAead(crypto: Symmetric, file: VectorFiles["chacha"], note: Note): void {
  for (const group of file.testGroups.filter((each) => each.ivSize === 96)) {
    for (const test of group.tests) {
      const [key, nonce, ad] = [hex(test.key), hex(test.iv), hex(test.aad)];
      const sealed = hex(test.ct + test.tag);
      const opened = crypto.open(key, nonce, ad, sealed);
      let passed = opened === null;
      if (test.result === "valid") {
        const message = hex(test.msg);
        const at = Math.min(8, message.length);
        const inPlace = new Uint8Array(message.length + 16);
        crypto.sealTo(inPlace, { key, nonce, ad }, message.subarray(0, at), message.subarray(at));
        passed = opened !== null && equalBytes(opened, message) &&
          equalBytes(crypto.seal(key, nonce, ad, message), sealed) && equalBytes(inPlace, sealed);
      }
      note(`ChaCha20-Poly1305 ${crypto.symmetricName}`, test.tcId, passed);
    }
  }
}

function checkHashes(crypto: Symmetric, files: VectorFiles, note: Note): void {
  for (const group of files.hmac.testGroups) {
    for (const test of group.tests) {
      const tag = crypto.hmac(hex(test.key), hex(test.msg)).slice(0, group.tagSize / 8);
      const same = equalBytes(tag, hex(test.tag));
      note(`HMAC ${crypto.symmetricName}`, test.tcId, same === (test.result === "valid"));
    }
  }
  for (const test of files.hkdf.testGroups.flatMap((group) => group.tests)) {
    const [salt, input, info] = [hex(test.salt), hex(test.ikm), hex(test.info)];
    let okm: Uint8Array | null = null;
    try {
      okm = crypto.hkdf(salt, input, info, test.size);
    } catch {
      // Too long: the file has such cases.
    }
    const passed = test.result === "valid"
      ? okm !== null && equalBytes(okm, hex(test.okm)) &&
        (test.size !== 32 || equalBytes(expand(crypto, crypto.hmac(salt, input), info), okm))
      : okm === null;
    note(`HKDF ${crypto.symmetricName}`, test.tcId, passed);
  }
}

async function checkNoise(crypto: CryptoProvider, vector: NoiseVector): Promise<boolean> {
  const initiator = new HandshakeState({
    crypto,
    pattern: NK,
    prologue: hex(vector.init_prologue),
    party: { role: "initiator", remoteStatic: hex(vector.init_remote_static) },
    ephemeral: await crypto.fromPrivate(hex(vector.init_ephemeral)),
  });
  const responder = new HandshakeState({
    crypto,
    pattern: NK,
    prologue: hex(vector.resp_prologue),
    party: { role: "responder", localStatic: await crypto.fromPrivate(hex(vector.resp_static)) },
    ephemeral: await crypto.fromPrivate(hex(vector.resp_ephemeral)),
  });
  const [first, second, ...rest] = vector.messages.map((message) => ({
    payload: hex(message.payload),
    ciphertext: hex(message.ciphertext),
  }));
  if (first === undefined || second === undefined) return false;
  const steps: [Uint8Array, Uint8Array][] = [
    [await initiator.writeMessage(first.payload), first.ciphertext],
    [await responder.readMessage(first.ciphertext), first.payload],
    [await responder.writeMessage(second.payload), second.ciphertext],
    [await initiator.readMessage(second.ciphertext), second.payload],
  ];
  const [ours, theirs] = [initiator.finish(), responder.finish()];
  steps.push([ours.hash, hex(vector.handshake_hash)], [theirs.hash, ours.hash]);
  steps.push([ours.initiatorKey, theirs.initiatorKey], [ours.responderKey, theirs.responderKey]);
  const up = new CipherState(crypto, ours.initiatorKey);
  const down = new CipherState(crypto, ours.responderKey);
  for (const [index, message] of rest.entries()) {
    const cipher = index % 2 === 0 ? up : down;
    steps.push([cipher.encryptWithAd(EMPTY, message.payload), message.ciphertext]);
  }
  return steps.every(([made, expected]) => equalBytes(made, expected));
}

/** Two providers agree on a secret and read what the other seals, small and large. */
async function meet(one: CryptoProvider, other: CryptoProvider): Promise<boolean> {
  const [ours, theirs] = [await one.generate(), await other.generate()];
  const secret = await ours.agree(theirs.publicKey);
  let same = equalBytes(secret, await theirs.agree(ours.publicKey));
  for (const length of [0, 100, 5000, 65_000]) {
    const [nonce, ad, message] = [randomBytes(12), randomBytes(16), randomBytes(length)];
    const opened = other.open(secret, nonce, ad, one.seal(secret, nonce, ad, message));
    same &&= opened !== null && equalBytes(opened, message) &&
      equalBytes(one.hmac(secret, message), other.hmac(secret, message)) &&
      equalBytes(one.hkdf(nonce, message, ad, 64), other.hkdf(nonce, message, ad, 64)) &&
      equalBytes(one.sha256(message), other.sha256(message));
  }
  return same;
}
