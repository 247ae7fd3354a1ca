/**
 * The token for the database: exact bytes, an independent check, no confusion with other tokens.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { jwtVerify } from "jose";
import { deriveKey, KEY_LABELS, keyId } from "../_internal/keys.ts";
import { DatabaseTokenIssuer } from "./database_token.ts";
import { hmac } from "./encoding.ts";
import { SessionTokenIssuer } from "./session_token.ts";

const START = Date.UTC(2026, 0, 1) + 321;
const secrets = [new Uint8Array(32).fill(1)];
const issuer = (): DatabaseTokenIssuer => new DatabaseTokenIssuer({ secrets, clock: () => START });
const subject = { owner: "o-1", tenant: "default", family: "f-1" };

Deno.test("the token has the exact bytes that the database compares", async () => {
  const [header = "", payload = "", signature] = (await issuer().mint(subject)).split(".");
  const key = await deriveKey(secrets[0] as Uint8Array, KEY_LABELS.databaseToken);
  const literal = `{"alg":"HS256","kid":"${await keyId(key)}"}`;
  assert.equal(Buffer.from(header, "base64url").toString(), literal);
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
  assert.match(claims.jti, /^[0-9a-f]{32}$/);
  const iat = START / 1000;
  assert.deepEqual({ ...claims, jti: "" }, {
    iss: "kontract",
    aud: "kontract-db",
    sub: "o-1",
    ten: "default",
    fam: "f-1",
    jti: "",
    iat,
    exp: Math.floor(iat) + 30,
  });
  // The database's own way: precomputed pads and two plain hashes.
  const pad = (byte: number): Uint8Array => {
    const block = new Uint8Array(64).fill(byte);
    for (const [i, value] of key.entries()) block[i] = value ^ byte;
    return block;
  };
  const inner = createHash("sha256").update(pad(0x36)).update(`${header}.${payload}`).digest();
  const outer = createHash("sha256").update(pad(0x5c)).update(inner).digest("base64url");
  assert.equal(signature, outer);
});

Deno.test("an independent JWT library accepts it, and each token has its own id", async () => {
  const key = await deriveKey(secrets[0] as Uint8Array, KEY_LABELS.databaseToken);
  const ids = new Set<unknown>();
  for (let i = 0; i < 3; i++) {
    const { payload } = await jwtVerify(await issuer().mint(subject, 60), key, {
      audience: "kontract-db",
      currentDate: new Date(START),
    });
    ids.add(payload.jti);
  }
  assert.equal(ids.size, 3);
});

Deno.test("a system token says so, and no client can pose as the system", async () => {
  const token = await issuer().mint({ system: true, tenant: "default" });
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
  assert.equal(claims.sys, true);
  assert.equal(claims.sub, "_system");
  await assert.rejects(issuer().mint({ ...subject, owner: "_system" }), { code: "UNAUTHORIZED" });
  await assert.rejects(issuer().mint({ ...subject, family: "_system" }), { code: "UNAUTHORIZED" });
});

Deno.test("it never lives longer than sixty seconds", async () => {
  for (const seconds of [0, -1, 61, 1.5, NaN]) {
    await assert.rejects(issuer().mint(subject, seconds), { code: "CONFIG" });
  }
});

Deno.test("neither kind of token passes for the other", async () => {
  const sessions = new SessionTokenIssuer({ secrets, clock: () => START });
  await assert.rejects(sessions.verify(await issuer().mint(subject)), { code: "UNAUTHORIZED" });
});

interface Vectors {
  readonly testGroups: readonly {
    readonly tagSize: number;
    readonly tests: readonly {
      readonly tcId: number;
      readonly key: string;
      readonly msg: string;
      readonly tag: string;
      readonly result: "valid" | "invalid";
    }[];
  }[];
}

const vectorFile = new URL(
  "../../shared/vectors/wycheproof_hmac_sha256_test.json",
  import.meta.url,
);
const vectors = await Deno.readTextFile(vectorFile).catch(() => null);
if (vectors === null) console.warn("IGNORED: Wycheproof HMAC-SHA256 vectors are not there");

Deno.test({
  name: "the HMAC underneath agrees with Wycheproof",
  ignore: vectors === null,
  fn: async () => {
    const file = JSON.parse(vectors ?? "") as Vectors;
    let counted = 0;
    for (const group of file.testGroups) {
      for (const one of group.tests) {
        const bytes = Buffer.from(one.key, "hex");
        const mac = createHmac("sha256", bytes).update(Buffer.from(one.msg, "hex")).digest();
        const ours = await hmac(bytes, Buffer.from(one.msg, "hex"));
        assert.equal(Buffer.from(ours).toString("hex"), mac.toString("hex"));
        const tag = ours.subarray(0, group.tagSize / 8);
        assert.equal(
          Buffer.from(tag).toString("hex") === one.tag,
          one.result === "valid",
          `test ${one.tcId}`,
        );
        counted++;
      }
    }
    assert.ok(counted > 100);
  },
});
