import assert from "node:assert/strict";
import process from "node:process";
import { EMPTY, randomBytes } from "../bytes.ts";
import { allProviders, nameOf } from "../testing/providers.ts";
import { findNodeDh } from "./node_dh.ts";
import { findNodeCrypto } from "./node_symmetric.ts";
import { loadProvider } from "./select.ts";

const providers = allProviders();

for (const provider of providers) {
  const name = nameOf(provider);

  Deno.test(`${name}: works with every other provider`, async () => {
    const key = randomBytes(32);
    const nonce = randomBytes(12);
    for (const other of providers) {
      const [ours, theirs] = [await provider.generate(), await other.generate()];
      assert.deepEqual(await ours.agree(theirs.publicKey), await theirs.agree(ours.publicKey));
      const secret = randomBytes(32);
      assert.deepEqual(
        (await provider.fromPrivate(secret)).publicKey,
        (await other.fromPrivate(secret)).publicKey,
      );
      for (const size of [0, 1, 15, 16, 2047, 2048, 65_511]) {
        const [ad, plaintext] = [randomBytes(16), randomBytes(size)];
        const sealed = provider.seal(key, nonce, ad, plaintext);
        assert.deepEqual(sealed, other.seal(key, nonce, ad, plaintext));
        assert.deepEqual(other.open(key, nonce, ad, sealed), plaintext);
      }
      assert.deepEqual(provider.sha256(secret), other.sha256(secret));
      assert.deepEqual(provider.hmac(key, secret), other.hmac(key, secret));
      for (const [info, length] of [[0, 0], [1, 31], [1024, 64], [15, 8160]] as const) {
        const given = [nonce, secret, randomBytes(info), length] as const;
        assert.deepEqual(provider.hkdf(...given), other.hkdf(...given));
      }
    }
  });

  Deno.test(`${name}: refuses keys of another length and ciphertexts that are too short`, async () => {
    const pair = await provider.generate();
    for (const length of [0, 31, 33]) {
      await assert.rejects(pair.agree(new Uint8Array(length)));
      await assert.rejects(provider.fromPrivate(new Uint8Array(length)));
    }
    const key = randomBytes(32);
    const nonce = randomBytes(12);
    for (const length of [0, 1, 15]) {
      assert.equal(provider.open(key, nonce, EMPTY, new Uint8Array(length)), null);
    }
  });
}

for (const provider of providers) {
  Deno.test(`${nameOf(provider)}: inputs stay as they are, and what a caller gets is its own`, async () => {
    const all = new Uint8Array(new SharedArrayBuffer(128));
    all.set(randomBytes(128));
    const before = all.slice();
    const [secret, key, nonce] = [all.subarray(3, 35), all.subarray(40, 72), all.subarray(80, 92)];
    const [pair, same] = [await provider.fromPrivate(secret), await provider.fromPrivate(secret)];
    const peer = await provider.generate();
    const make = async (): Promise<readonly Uint8Array[]> => {
      const sealed = provider.seal(key, nonce, EMPTY, secret);
      return [
        await pair.agree(peer.publicKey.subarray()),
        sealed,
        provider.open(key, nonce, EMPTY, sealed)!,
        provider.sha256(secret),
        provider.hmac(key, secret),
        provider.hkdf(nonce, secret, EMPTY, 64),
      ];
    };
    const first = await make(), kept = first.map((one) => one.slice());
    assert.deepEqual(all, before);
    for (const one of [...first, pair.publicKey, peer.publicKey]) {
      assert.equal(one.constructor, Uint8Array);
      assert.ok(one.buffer instanceof ArrayBuffer && one.buffer.byteLength === one.byteLength);
    }
    // Whoever is done with a secret overwrites it.
    for (const one of first) one.fill(0);
    pair.publicKey.fill(0);
    assert.deepEqual(await make(), kept);
    all.fill(0);
    assert.deepEqual(await pair.agree(peer.publicKey), await same.agree(peer.publicKey));
    assert.deepEqual(await pair.agree(peer.publicKey), kept[0]);
  });
}

Deno.test("where node:crypto lacks any part of what is used of it, it is left alone", async () => {
  const whole = findNodeCrypto()!;
  const without = async (name: string): Promise<readonly boolean[]> => {
    const node = new Proxy(whole, {
      get: (from, key) => key === name ? undefined : Reflect.get(from, key),
    });
    const get = process.getBuiltinModule;
    process.getBuiltinModule = (() => node) as typeof get;
    try {
      return [findNodeCrypto() === null, await findNodeDh(node) === null];
    } finally {
      process.getBuiltinModule = get;
    }
  };
  for (const name of ["createCipheriv", "createDecipheriv", "createHash", "hkdfSync"]) {
    assert.deepEqual(await without(name), [true, false], name);
  }
  for (const name of ["generateKeyPairSync", "createPublicKey", "diffieHellman"]) {
    assert.deepEqual(await without(name), [false, true], name);
  }
});

Deno.test("the platform's own X25519 and node:crypto are chosen under Deno", async () => {
  const provider = await loadProvider();
  assert.equal(provider.dhName, "node");
  assert.equal(provider.symmetricName, "node");
});
