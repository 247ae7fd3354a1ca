import assert from "node:assert/strict";
import { EMPTY, randomBytes } from "../bytes.ts";
import { allProviders, nameOf } from "../testing/providers.ts";
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

Deno.test("the platform's own X25519 and node:crypto are chosen under Deno", async () => {
  const provider = await loadProvider();
  assert.equal(provider.dhName, "node");
  assert.equal(provider.symmetricName, "node");
});
