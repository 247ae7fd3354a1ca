/**
 * Repeatable randomness for fuzzing: the same seed, the same run. For tests only.
 *
 * @module
 */

import { concat } from "../bytes.ts";

/** A small fast generator (Marsaglia's xorshift32); never for secrets. */
export class SeededRandom {
  #state: number;

  /** Any seed but 0 gives its own sequence. */
  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  /** One of `values`. */
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** `length` bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; at++) out[at] = this.below(256);
    return out;
  }

  /** A copy with one to four mistakes in it: flips, cuts, insertions, repeats. */
  mutate(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    let out = new Uint8Array(bytes);
    for (let left = 1 + this.below(4); left > 0; left--) {
      const at = this.below(out.length + 1);
      switch (this.below(5)) {
        case 0:
          out = out.slice(0, at);
          break;
        case 1:
          out = concat(out.subarray(0, at), this.bytes(this.below(9)), out.subarray(at));
          break;
        case 2:
          out = concat(out.subarray(0, at), out.subarray(this.below(at + 1)));
          break;
        default:
          if (at < out.length) out[at] = this.pick([0, 1, 0x7f, 0x80, 0xff, this.below(256)]);
      }
    }
    return out;
  }
}
