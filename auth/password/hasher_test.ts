/**
 * Password hashes: the construction against an independent one, the format, upgrades, constant work.
 *
 * @module
 */
import assert from "node:assert/strict";
import { pbkdf2Sync, scryptSync } from "node:crypto";
import { formatPasswordHash, parsePasswordHash } from "./format.ts";
import { PasswordHasher } from "./hasher.ts";
import { pbkdf2Chain } from "./pbkdf2_chain.ts";
import { platformPrimitive } from "./primitive.ts";
import type { PasswordPrimitive } from "./primitive.ts";

const quick = { scheme: "pbkdf2", iterations: 100_000 } as const;

/** The platform's functions, counted. */
function counted(cap = Infinity): PasswordPrimitive & { readonly work: string[] } {
  const work: string[] = [];
  return {
    work,
    pbkdf2: (password, salt, iterations, length) => {
      if (iterations > cap) return Promise.reject(new Error("iterations above the host's cap"));
      work.push(`pbkdf2 ${iterations}`);
      return platformPrimitive.pbkdf2(password, salt, iterations, length);
    },
    scrypt: (password, salt, cost, length) => {
      work.push(`scrypt ${cost.logN}`);
      return platformPrimitive.scrypt(password, salt, cost, length);
    },
  };
}

Deno.test("the chain is what its header says, computed with node:crypto", async () => {
  const salt = Buffer.from("00112233445566778899aabbccddeeff", "hex");
  const password = Buffer.from("correct horse");
  let chained: Buffer = Buffer.alloc(0);
  for (let step = 1; step <= 3; step++) {
    const numbers = Buffer.alloc(16);
    [step, 3, 1000, 16].forEach((value, at) => numbers.writeUInt32BE(value, at * 4));
    const domain = Buffer.from("kontract-pbkdf2-sha256/1\0");
    const stepSalt = Buffer.concat([domain, numbers, salt, chained]);
    chained = pbkdf2Sync(password, stepSalt, 1000, 32, "sha256");
  }
  const ours = await pbkdf2Chain(platformPrimitive, password, salt, { iterations: 1000, steps: 3 });
  assert.equal(Buffer.from(ours).toString("hex"), chained.toString("hex"));
});

Deno.test("no step of a chain is the result of a shorter chain", async () => {
  const salt = new Uint8Array(16);
  const password = new Uint8Array([1, 2, 3]);
  const results = new Set<string>();
  for (let steps = 1; steps <= 5; steps++) {
    const cost = { iterations: 1000, steps };
    results.add((await pbkdf2Chain(platformPrimitive, password, salt, cost)).toHex());
  }
  assert.equal(results.size, 5);
});

Deno.test("by default a hash costs 600,000 iterations in steps of 100,000 and describes itself", async () => {
  const primitive = counted(100_000);
  const text = await new PasswordHasher(undefined, primitive).hash("correct horse battery");
  assert.match(
    text,
    /^\$kontract-pbkdf2-sha256\$i=100000,k=6\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/,
  );
  assert.deepEqual(primitive.work, Array(6).fill("pbkdf2 100000"));
});

Deno.test("the right password is accepted, a wrong one is not, salts differ", async () => {
  const hasher = new PasswordHasher(quick);
  const [first, second] = [await hasher.hash("correct horse"), await hasher.hash("correct horse")];
  assert.notEqual(first, second);
  const good = await hasher.verify(first, "correct horse");
  assert.deepEqual(good, { ok: true, rehash: false, unsupported: false });
  for (const wrong of ["Correct horse", "correct horse ", "", "correct hors"]) {
    assert.equal((await hasher.verify(first, wrong)).ok, false);
  }
});

Deno.test("one text in two Unicode spellings is one password", async () => {
  const hasher = new PasswordHasher(quick);
  const stored = await hasher.hash("Zo\u00eb \ufb01ne \uff11\uff12");
  assert.equal((await hasher.verify(stored, "Zoe\u0308 fine 12")).ok, true);
});

Deno.test("unknown user, wrong password, broken hash and overlong password cost the same", async () => {
  const primitive = counted();
  const hasher = new PasswordHasher(quick, primitive);
  const stored = await hasher.hash("correct horse");
  const cases: [string | null, string][] = [
    [stored, "correct horse"],
    [stored, "wrong"],
    [null, "wrong"],
    ["garbage", "wrong"],
    [stored, "x".repeat(100_000)],
  ];
  for (const [hash, password] of cases) {
    primitive.work.length = 0;
    await hasher.verify(hash, password);
    assert.deepEqual(primitive.work, ["pbkdf2 100000"]);
  }
});

Deno.test("more than 1024 bytes is never a right password, not even cut to the stored one", async () => {
  const hasher = new PasswordHasher(quick);
  const stored = await hasher.hash("x".repeat(1024));
  assert.equal((await hasher.verify(stored, "x".repeat(1024))).ok, true);
  assert.equal((await hasher.verify(stored, "x".repeat(1025))).ok, false);
});

Deno.test("a lower cost or another scheme asks for a new hash, an equal or higher one does not", async () => {
  const one = new PasswordHasher(quick);
  const two = new PasswordHasher({ scheme: "pbkdf2", iterations: 200_000 });
  const small = { logN: 10, r: 8, p: 1 };
  const scrypt = new PasswordHasher({ scheme: "scrypt", cost: small });
  const weak = await one.hash("correct horse");
  assert.equal((await two.verify(weak, "correct horse")).rehash, true);
  assert.equal((await two.verify(weak, "wrong")).rehash, false);
  assert.equal((await one.verify(await two.hash("correct horse"), "correct horse")).rehash, false);
  assert.equal((await scrypt.verify(weak, "correct horse")).rehash, true);
  const stronger = new PasswordHasher({ scheme: "scrypt", cost: { ...small, logN: 11 } });
  const stored = await scrypt.hash("correct horse");
  assert.equal((await scrypt.verify(stored, "correct horse")).rehash, false);
  assert.equal((await stronger.verify(stored, "correct horse")).rehash, true);
});

Deno.test("scrypt hashes are what node:crypto computes", async () => {
  const text = await new PasswordHasher({ scheme: "scrypt" }).hash("correct horse");
  const parsed = parsePasswordHash(text);
  assert.ok(parsed?.scheme === "scrypt" && text.startsWith("$scrypt$ln=15,r=8,p=3$"));
  const options = { N: 2 ** 15, r: 8, p: 3, maxmem: 2 ** 27 };
  const expected = scryptSync("correct horse", parsed.salt, 32, options);
  assert.equal(Buffer.from(parsed.hash).toString("hex"), expected.toString("hex"));
});

Deno.test("imported PBKDF2 hashes are checked, and replaced at the next login", async () => {
  const salt = Buffer.from("a salt of 16 byt");
  const hash = pbkdf2Sync("correct horse", salt, 29_000, 32, "sha256");
  const plain = (bytes: Uint8Array): string => bytes.toBase64({ omitPadding: true });
  const hasher = new PasswordHasher(quick);
  const phc = `$pbkdf2-sha256$i=29000$${plain(salt)}$${plain(hash)}`;
  const passlib = `$pbkdf2-sha256$29000$${plain(salt).replaceAll("+", ".")}$${
    plain(hash).replaceAll("+", ".")
  }`;
  for (const stored of [phc, passlib]) {
    const good = await hasher.verify(stored, "correct horse");
    assert.deepEqual(good, { ok: true, rehash: true, unsupported: false });
    assert.equal((await hasher.verify(stored, "wrong")).ok, false);
  }
});

Deno.test("a hash above the host's cap is a wrong password that is reported, with the usual work", async () => {
  const primitive = counted(100_000);
  const hasher = new PasswordHasher(quick, primitive);
  const stored = formatPasswordHash({
    scheme: "pbkdf2-sha256",
    iterations: 600_000,
    salt: new Uint8Array(16),
    hash: new Uint8Array(32),
  });
  const verdict = await hasher.verify(stored, "correct horse");
  assert.deepEqual(verdict, { ok: false, rehash: false, unsupported: true });
  assert.deepEqual(primitive.work, ["pbkdf2 100000"]);
});

Deno.test("a text that is not a hash, or one of absurd cost, is not parsed", async () => {
  const good = await new PasswordHasher(quick).hash("correct horse");
  assert.notEqual(parsePasswordHash(good), null);
  const [, , , salt = "", hash = ""] = good.split("$");
  for (
    const odd of [
      "",
      "correct horse",
      good + "$",
      good + "\n",
      good.slice(1),
      good.slice(0, -1),
      `$kontract-pbkdf2-sha256$i=100001,k=6$${salt}$${hash}`,
      `$kontract-pbkdf2-sha256$i=100000,k=101$${salt}$${hash}`,
      `$kontract-pbkdf2-sha256$i=100000,k=0$${salt}$${hash}`,
      `$kontract-pbkdf2-sha256$k=6,i=100000$${salt}$${hash}`,
      `$kontract-pbkdf2-sha256$i=1e5,k=6$${salt}$${hash}`,
      `$kontract-pbkdf2-sha256$i=100000,k=6,x=1$${salt}$${hash}`,
      `$pbkdf2-sha256$i=99999999999$${salt}$${hash}`,
      `$scrypt$ln=40,r=8,p=1$${salt}$${hash}`,
      `$scrypt$ln=18,r=8,p=1$${salt}$${hash}`,
      `$scrypt$ln=17,r=8,p=5$${salt}$${hash}`,
      `$md5$i=1$${salt}$${hash}`,
      `$scrypt$ln=15,r=8,p=3$${salt}$${"A".repeat(500)}`,
    ]
  ) assert.equal(parsePasswordHash(odd), null, odd);
});

Deno.test("a cost that makes no sense is refused at start", () => {
  for (const iterations of [0, 50_000, 150_000, 20_000_000, NaN]) {
    assert.throws(() => new PasswordHasher({ scheme: "pbkdf2", iterations }), { code: "CONFIG" });
  }
  const cost = { logN: 30, r: 8, p: 1 };
  assert.throws(() => new PasswordHasher({ scheme: "scrypt", cost }), { code: "CONFIG" });
});
