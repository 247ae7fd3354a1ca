/**
 * PBKDF2-HMAC-SHA256 at 600,000 iterations where the host allows at most 100,000 per call.
 *
 * One PBKDF2 call cannot be continued from outside: its inner state (the running U and the XOR of all
 * U) is not what `deriveBits` returns. So the work is a chain of k complete PBKDF2 calls of c
 * iterations each, every one keyed by the password:
 *
 *     T₀ = ""
 *     Tⱼ = PBKDF2-HMAC-SHA256(password, saltⱼ, c, 32)                     j = 1 … k
 *     saltⱼ = "kontract-pbkdf2-sha256/1" ‖ 0x00 ‖ u32(j) ‖ u32(k) ‖ u32(c) ‖ u32(|salt|) ‖ salt ‖ Tⱼ₋₁
 *     hash = Tₖ
 *
 * Why it is at least as strong as one call of k·c iterations:
 * - *Sequential work is the same.* The first HMAC of step j takes Tⱼ₋₁ as input, so no step can start
 *   before the one before it has ended, and no step can be skipped without guessing 256 bits. A guess
 *   costs k·c HMACs, plus k, on one core whatever the attacker owns.
 * - *No entropy that matters is lost.* The password is the HMAC key in every step, not only in the first, so
 *   two passwords go on to differ even if they ever met: finding a pair with one hash takes 2¹²⁸ work, as in
 *   one call. For one password a step maps 256 bits to 256 like a random function, and k of those
 *   leave about 2²⁵⁶ · 2/(k+1) values: for k = 6 a loss of 2 bits of 256, where no password has 128.
 * - *Whoever breaks it breaks PBKDF2.* A step is PBKDF2 with a salt that the attacker may know; the chain
 *   gives nothing but Tₖ, and to compute Tₖ from the password without k·c HMACs is to shorten one of the calls.
 * - *Steps are not interchangeable.* j, k and c are part of the salt, so a chain is not the prefix
 *   of a longer one: a stored hash cannot be prolonged without the password, and tables for one cost are
 *   of no use for another. Lengths are explicit, so the salt's fields cannot be confused.
 * - With k = 1 it is plain PBKDF2 with a longer salt.
 * - The calls run one after the other for the defender too: k round trips to the platform's crypto, no more
 *   work than one long call (`deno task bench password` prints both).
 *
 * @module
 */
import { concat, utf8 } from "../encoding.ts";
import type { PasswordPrimitive } from "./primitive.ts";

/** Most iterations per call that every host allows (Workers cap it here). */
export const MAX_ITERATIONS_PER_CALL = 100_000;

/** Cost of a chain. */
export interface ChainCost {
  /** Iterations per call, c. */
  readonly iterations: number;
  /** Calls, k. */
  readonly steps: number;
}

/** OWASP's 600,000 iterations for PBKDF2-HMAC-SHA256. */
export const DEFAULT_CHAIN: ChainCost = { iterations: MAX_ITERATIONS_PER_CALL, steps: 6 };

const DOMAIN = utf8("kontract-pbkdf2-sha256/1\0");

/** Runs the chain; 32 bytes. */
export async function pbkdf2Chain(
  primitive: PasswordPrimitive,
  password: Uint8Array,
  salt: Uint8Array,
  cost: ChainCost,
): Promise<Uint8Array> {
  let chained: Uint8Array = new Uint8Array(0);
  for (let step = 1; step <= cost.steps; step++) {
    const numbers = new Uint8Array(16);
    const view = new DataView(numbers.buffer);
    view.setUint32(0, step);
    view.setUint32(4, cost.steps);
    view.setUint32(8, cost.iterations);
    view.setUint32(12, salt.length);
    const stepSalt = concat(DOMAIN, numbers, salt, chained);
    chained = await primitive.pbkdf2(password, stepSalt, cost.iterations, 32);
  }
  return chained;
}
