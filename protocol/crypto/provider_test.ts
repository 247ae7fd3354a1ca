import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import { EMPTY, randomBytes } from "../bytes.ts";
import { allProviders, nameOf } from "../testing/providers.ts";
import { haveVectors, hex, readVectors } from "../testing/vectors.ts";
import { hkdfExpand, hkdfExtract } from "./hkdf.ts";
import { loadProvider } from "./select.ts";

const ignore = !haveVectors();
const providers = allProviders();

interface Wycheproof<Group> {
  readonly testGroups: readonly Group[];
}
interface Case {
  readonly tcId: number;
  readonly result: "valid" | "invalid" | "acceptable";
}
interface XdhCase extends Case {
  readonly public: string;
  readonly private: string;
  readonly shared: string;
}
interface AeadCase extends Case {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
}
interface MacCase extends Case {
  readonly key: string;
  readonly msg: string;
  readonly tag: string;
}
interface HkdfCase extends Case {
  readonly ikm: string;
  readonly salt: string;
  readonly info: string;
  readonly size: number;
  readonly okm: string;
}

for (const provider of providers) {
  const name = nameOf(provider);

  Deno.test({
    name: `${name}: X25519 agrees with Wycheproof and refuses exactly the all-zero secrets`,
    ignore,
    async fn() {
      const file = readVectors<Wycheproof<{ tests: readonly XdhCase[] }>>(
        "wycheproof_x25519_test.json",
      );
      let refused = 0;
      let checked = 0;
      for (const test of file.testGroups.flatMap((group) => group.tests)) {
        const pair = await provider.fromPrivate(hex(test.private));
        const shared = hex(test.shared);
        if (shared.every((byte) => byte === 0)) {
          refused++;
          await assert.rejects(
            pair.agree(hex(test.public)),
            (error) => error instanceof KontractError && error.code === "RAY_PROTOCOL",
            `case ${test.tcId}`,
          );
        } else {
          assert.deepEqual(await pair.agree(hex(test.public)), shared, `case ${test.tcId}`);
        }
        checked++;
      }
      assert.equal(checked, 518);
      assert.equal(refused, 31);
    },
  });

  Deno.test({
    name: `${name}: ChaCha20-Poly1305 agrees with Wycheproof`,
    ignore,
    fn() {
      const file = readVectors<
        Wycheproof<{ ivSize: number; tests: readonly AeadCase[] }>
      >("wycheproof_chacha20_poly1305_test.json");
      let checked = 0;
      for (const group of file.testGroups.filter((each) => each.ivSize === 96)) {
        for (const test of group.tests) {
          const sealed = hex(test.ct + test.tag);
          const opened = provider.open(hex(test.key), hex(test.iv), hex(test.aad), sealed);
          if (test.result === "valid") {
            const again = provider.seal(hex(test.key), hex(test.iv), hex(test.aad), hex(test.msg));
            assert.deepEqual(opened, hex(test.msg), `case ${test.tcId}`);
            assert.deepEqual(again, sealed, `case ${test.tcId}`);
          } else assert.equal(opened, null, `case ${test.tcId}`);
          checked++;
        }
      }
      assert.ok(checked > 250, `only ${checked} cases ran`);
    },
  });

  Deno.test({
    name: `${name}: HMAC and HKDF agree with Wycheproof`,
    ignore,
    fn() {
      const macs = readVectors<Wycheproof<{ tagSize: number; tests: readonly MacCase[] }>>(
        "wycheproof_hmac_sha256_test.json",
      );
      for (const group of macs.testGroups) {
        for (const test of group.tests) {
          const tag = provider.hmac(hex(test.key), hex(test.msg)).slice(0, group.tagSize / 8);
          const same = tag.every((byte, at) => byte === hex(test.tag)[at]);
          assert.equal(same, test.result === "valid", `case ${test.tcId}`);
        }
      }
      const hkdf = readVectors<Wycheproof<{ tests: readonly HkdfCase[] }>>(
        "wycheproof_hkdf_sha256_test.json",
      );
      for (const test of hkdf.testGroups.flatMap((group) => group.tests)) {
        const prk = hkdfExtract(provider, hex(test.salt), hex(test.ikm));
        const run = () => hkdfExpand(provider, prk, hex(test.info), test.size);
        if (test.result === "valid") assert.deepEqual(run(), hex(test.okm), `case ${test.tcId}`);
        else assert.throws(run, `case ${test.tcId}`);
      }
    },
  });

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
  assert.equal(provider.dhName, "web");
  assert.equal(provider.symmetricName, "node");
});
