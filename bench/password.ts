/**
 * What one password hash costs on this machine: the chain that Kontract stores, one plain call of as many
 * iterations, and scrypt at OWASP's parameters.
 *
 * Run: `deno run -A bench/password.ts`
 *
 * @module
 */
import { PasswordHasher } from "../auth/password/mod.ts";
import { platformPrimitive } from "../auth/password/primitive.ts";

const ROUNDS = 5;
const password = "seven green ladders";
const bytes = new TextEncoder().encode(password);
const salt = crypto.getRandomValues(new Uint8Array(16));

/** Median of some runs, in milliseconds. */
async function median(body: () => Promise<unknown>): Promise<number> {
  await body();
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    await body();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? NaN;
}

const chain = new PasswordHasher();
const scrypt = new PasswordHasher({ scheme: "scrypt" });
const plain = await median(() => platformPrimitive.pbkdf2(bytes, salt, 600_000, 32));
const stored = await chain.hash(password);

const rows: [string, number][] = [
  ["plain PBKDF2, one call of 600,000", plain],
  ["Kontract hash, 6 calls of 100,000", await median(() => chain.hash(password))],
  ["Kontract verify, right password", await median(() => chain.verify(stored, password))],
  ["Kontract verify, wrong password", await median(() => chain.verify(stored, "wrong"))],
  ["Kontract verify, unknown user", await median(() => chain.verify(null, password))],
  ["scrypt hash, N=2^15 r=8 p=3", await median(() => scrypt.hash(password))],
];
console.log(`one password, median of ${ROUNDS} (Deno ${Deno.version.deno})`);
for (const [name, time] of rows) {
  const ratio = (time / plain).toFixed(2);
  console.log(`${name.padEnd(36)} ${time.toFixed(1).padStart(7)} ms  ${ratio} × plain`);
}
