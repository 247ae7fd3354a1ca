/**
 * Session tokens against abuse, and against verifiers that share no code with them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { SignJWT, UnsecuredJWT } from "jose";
import { deriveKey, KEY_LABELS, keyId } from "../_internal/keys.ts";
import { KontractError } from "../_internal/errors.ts";
import type { Principal } from "./contract.ts";
import { SESSION_TYP, SessionTokenIssuer } from "./session_token.ts";

const START = Date.UTC(2026, 0, 1);
const secret = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const who = { owner: "o-1", tenant: "default", family: "f-1", anonymous: true };

function issuer(
  options: { secrets?: Uint8Array[]; at?: () => number; issuer?: string; lifetime?: number } = {},
): SessionTokenIssuer {
  return new SessionTokenIssuer({
    secrets: options.secrets ?? [secret(1)],
    clock: options.at ?? (() => START),
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
    ...(options.lifetime === undefined ? {} : { lifetime: options.lifetime }),
  });
}

const b64 = (value: string | Uint8Array): string => Buffer.from(value).toString("base64url");

/** A token made by hand, with the right key unless another is given. */
async function forge(header: string, payload: string, key?: Uint8Array): Promise<string> {
  const used = key ?? await deriveKey(secret(1), KEY_LABELS.sessionToken);
  const signed = `${b64(header)}.${b64(payload)}`;
  return `${signed}.${createHmac("sha256", used).update(signed).digest("base64url")}`;
}

async function goodHeader(): Promise<string> {
  const kid = await keyId(await deriveKey(secret(1), KEY_LABELS.sessionToken));
  return JSON.stringify({ alg: "HS256", kid, typ: SESSION_TYP });
}

function claims(change: Record<string, unknown> = {}): Record<string, unknown> {
  const now = START / 1000;
  const base = { iss: "kontract", aud: "kontract", sub: "o-1", ten: "default", fam: "f-1" };
  return { ...base, anon: true, jti: "j", iat: now, nbf: now, exp: now + 900, ...change };
}

async function refused(token: unknown, code = "UNAUTHORIZED"): Promise<KontractError> {
  let found: unknown;
  await issuer().verify(token as string).then(
    (principal: Principal) => assert.fail(`accepted as ${principal.owner}: ${String(token)}`),
    (error: unknown) => found = error,
  );
  assert.ok(found instanceof KontractError, String(found));
  assert.equal(found.code, code);
  return found;
}

Deno.test("a token that was issued names its owner, tenant and family", async () => {
  const { token, expiresAt } = await issuer().issue(who);
  assert.deepEqual(await issuer().verify(token), { ...who, expiresAt });
  assert.equal(expiresAt, START + 15 * 60_000);
});

Deno.test("a hand-made HMAC check with node:crypto accepts our token", async () => {
  const { token } = await issuer().issue(who);
  const [header, payload, signature] = token.split(".");
  const key = await deriveKey(secret(1), KEY_LABELS.sessionToken);
  const expected = createHmac("sha256", key).update(`${header}.${payload}`).digest("base64url");
  assert.equal(signature, expected);
  assert.equal(Buffer.from(header ?? "", "base64url").toString(), await goodHeader());
  const seen = JSON.parse(Buffer.from(payload ?? "", "base64url").toString());
  assert.deepEqual({ ...seen, jti: "j" }, claims());
});

Deno.test("the hand-made token that the abuse tests start from is accepted", async () => {
  const token = await forge(await goodHeader(), JSON.stringify(claims()));
  assert.equal((await issuer().verify(token)).owner, "o-1");
});

Deno.test("alg none, wrong algorithms and foreign keys are refused alike", async () => {
  const header = JSON.parse(await goodHeader());
  const body = JSON.stringify(claims());
  const key = await deriveKey(secret(1), KEY_LABELS.sessionToken);
  const messages = new Set<string>();
  const cases = [
    new UnsecuredJWT(claims()).encode(),
    `${b64('{"alg":"none"}')}.${b64(body)}.`,
    await forge(JSON.stringify({ ...header, alg: "none" }), body),
    await forge(JSON.stringify({ ...header, alg: "None" }), body),
    await forge(JSON.stringify({ ...header, alg: "HS512" }), body),
    await forge(JSON.stringify({ ...header, alg: "RS256" }), body),
    await new SignJWT(claims()).setProtectedHeader({ ...header, alg: "HS384" })
      .sign(new Uint8Array(48).fill(7)),
    // Key confusion: other keys an attacker may know or guess.
    await forge(await goodHeader(), body, new Uint8Array(0)),
    await forge(await goodHeader(), body, secret(1)),
    await forge(await goodHeader(), body, new TextEncoder().encode(header.kid)),
    await forge(await goodHeader(), body, await deriveKey(secret(1), KEY_LABELS.databaseToken)),
    await forge(await goodHeader(), body, await deriveKey(secret(2), KEY_LABELS.sessionToken)),
    // Header fields that tell a careless verifier where to get a key, and a header said twice.
    await forge(JSON.stringify({ ...header, jwk: { kty: "oct", k: b64(key) } }), body),
    await forge(JSON.stringify({ ...header, jku: "https://evil.example/jwks" }), body),
    await forge(JSON.stringify({ ...header, crit: ["exp"] }), body),
    await forge(JSON.stringify({ ...header, b64: false }), body),
    await forge(JSON.stringify({ alg: "HS256", kid: header.kid }), body),
    await forge(JSON.stringify({ ...header, typ: "JWT" }), body),
    await forge(JSON.stringify({ ...header, kid: "../../etc/passwd" }), body),
    await forge(`{"alg":"none",${(await goodHeader()).slice(1)}`, body),
    await forge(` ${await goodHeader()}`, body),
  ];
  for (const token of cases) messages.add((await refused(token)).message);
  assert.equal(messages.size, 1, "one error for all abuse");
});

Deno.test("truncated, re-encoded, padded and prolonged tokens are refused", async () => {
  const { token } = await issuer().issue(who);
  const [header = "", payload = "", signature = ""] = token.split(".");
  for (let length = 0; length < token.length; length++) await refused(token.slice(0, length));
  // The last character of a 32-byte signature carries two unused bits: its three siblings decode alike.
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = alphabet.indexOf(signature.slice(-1));
  for (const sibling of [1, 2, 3]) {
    const other = signature.slice(0, -1) + alphabet[last ^ sibling];
    await refused(`${header}.${payload}.${other}`);
  }
  const standard = Buffer.from(signature, "base64url").toString("base64");
  for (
    const odd of [
      `${token}=`,
      `${header}.${payload}.${standard}`,
      `${header}=.${payload}.${signature}`,
      `${token}.`,
      `${token}.${signature}`,
      `${token}garbage`,
      `${token} `,
      `${token}\n`,
      ` ${token}`,
      `${header}..${payload}.${signature}`,
      `.${payload}.${signature}`,
      `${header}..${signature}`,
      `${header}.${payload}.`,
      `${payload}.${header}.${signature}`,
      `${header}.${payload}.${signature.toUpperCase()}`,
      token.replace(".", "%2E"),
      "..",
      "",
      "null",
    ]
  ) await refused(odd);
});

Deno.test("one changed character anywhere is refused", async () => {
  const { token } = await issuer().issue(who);
  for (let at = 0; at < token.length; at++) {
    const flipped = token[at] === "A" ? "B" : "A";
    await refused(token.slice(0, at) + flipped + token.slice(at + 1));
  }
});

Deno.test("claims said twice, reordered with spaces or not an object are refused though well signed", async () => {
  const header = await goodHeader();
  const body = JSON.stringify(claims());
  for (
    const payload of [
      `{"sub":"admin",${body.slice(1)}`,
      `${body.slice(0, -1)},"sub":"admin"}`,
      `${body.slice(0, -1)},"__proto__":{"sub":"admin"},"__proto__":{}}`,
      ` ${body}`,
      `${body}\n`,
      `\uFEFF${body}`,
      `${body}${body}`,
      `[${body}]`,
      '"text"',
      "null",
      "{}",
      body.slice(0, -1),
      body.replace("o-1", "\\u006f-1"),
    ]
  ) await refused(await forge(header, payload));
  await refused(await forge(header, Buffer.from([0x7b, 0xff, 0x7d]).toString("latin1")));
});

Deno.test("each claim is required and has one type", async () => {
  const header = await goodHeader();
  const now = START / 1000;
  for (const name of Object.keys(claims())) {
    const without = claims();
    delete without[name];
    await refused(await forge(header, JSON.stringify(without)));
    await refused(await forge(header, JSON.stringify(claims({ [name]: null }))));
    await refused(await forge(header, JSON.stringify(claims({ [name]: { a: 1 } }))));
  }
  const changes: Record<string, unknown>[] = [
    { aud: ["kontract", "other"] },
    { aud: "kontract-db" },
    { iss: "other" },
    { anon: "true" },
    { anon: 1 },
    { sub: "" },
    { sub: 7 },
    { sub: "x".repeat(257) },
    { exp: String(now + 900) },
    { exp: 1e300 },
    { exp: now + 900.5 },
    { exp: now + 10 * 86_400 },
    { nbf: now + 3600 },
    { iat: now + 3600, nbf: now, exp: now + 7200 },
    { iat: -1 },
  ];
  for (const change of changes) await refused(await forge(header, JSON.stringify(claims(change))));
});

Deno.test("a huge token is refused before any work", async () => {
  await refused("A".repeat(10_000_000));
  await refused(await forge(await goodHeader(), JSON.stringify(claims({ pad: "x".repeat(4096) }))));
  for (const odd of [undefined, null, 7, {}, [], new Uint8Array(3)]) await refused(odd);
});

Deno.test("an expired token says so, five seconds are forgiven, no more", async () => {
  const { token } = await issuer().issue(who);
  const at = (ms: number): Promise<Principal> => issuer({ at: () => START + ms }).verify(token);
  assert.equal((await at(15 * 60_000 + 4_000)).owner, "o-1");
  await assert.rejects(at(15 * 60_000 + 6_000), { code: "SESSION_EXPIRED" });
  assert.equal((await at(-4_000)).owner, "o-1");
  await assert.rejects(at(-6_000), { code: "UNAUTHORIZED" });
});

Deno.test("a token seen before has the verdict of one never seen, at every second", async () => {
  let now = START;
  const at = (): number => now;
  const seen = issuer({ at });
  const { token } = await seen.issue(who);
  assert.equal((await seen.verify(token)).owner, "o-1");
  const verdict = (one: SessionTokenIssuer): Promise<string> =>
    one.verify(token).then((principal) => JSON.stringify(principal), (error) => error.code);
  const verdicts = new Set<string>();
  const seconds = [-7, -6, -5.5, -5, -4, 0, 1, 899, 904, 904.5, 905, 906, 10_000, 3, -6, 904];
  for (const second of seconds) {
    now = START + second * 1000;
    const fresh = await verdict(issuer({ at }));
    assert.equal(await verdict(seen), fresh, `${second} s`);
    assert.equal(await verdict(seen), fresh, `${second} s, again`);
    verdicts.add(fresh);
  }
  assert.equal(verdicts.size, 3, "accepted, too early, expired");
  now = START;
  const forged = token.slice(0, -2) + (token.endsWith("AA") ? "BB" : "AA");
  await assert.rejects(seen.verify(forged), { code: "UNAUTHORIZED" });
});

Deno.test("keys rotate: the newest signs, the older verify, a dropped one does not", async () => {
  const old = await issuer({ secrets: [secret(1)] }).issue(who);
  const both = issuer({ secrets: [secret(2), secret(1)] });
  const fresh = await both.issue(who);
  assert.equal((await both.verify(old.token)).owner, "o-1");
  assert.equal((await issuer({ secrets: [secret(2)] }).verify(fresh.token)).owner, "o-1");
  await assert.rejects(issuer({ secrets: [secret(2)] }).verify(old.token), {
    code: "UNAUTHORIZED",
  });
});

Deno.test("a token of another issuer with the same secret is refused", async () => {
  const { token } = await issuer({ issuer: "elsewhere" }).issue(who);
  await refused(token);
});

Deno.test("settings out of range are refused at start", () => {
  for (const lifetime of [0, 59_000, 86_401_000, NaN]) {
    assert.throws(() => issuer({ lifetime }), { code: "CONFIG" });
  }
  assert.throws(() => issuer({ secrets: [] }), { code: "CONFIG" });
  assert.throws(() => issuer({ secrets: [new Uint8Array(31)] }), { code: "CONFIG" });
});
