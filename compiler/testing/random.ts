/**
 * Repeatable randomness for property tests: the same seed, the same run.
 *
 * @module
 */

/** Random choices from a seed. */
export interface Random {
  /** A whole number from 0 up to, not including, `bound`. */
  below(bound: number): number;
  /** True in `part` of the cases. */
  chance(part: number): boolean;
  pick<T>(list: readonly T[]): T;
}

/** Mulberry32 over a 32-bit seed. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    below: (bound) => Math.floor(next() * bound),
    chance: (part) => next() < part,
    pick: (list) => list[Math.floor(next() * list.length)]!,
  };
}
