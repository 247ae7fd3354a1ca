/**
 * Mutations of messages for fuzzing: what a hostile or broken peer would send.
 *
 * @module
 */
import type { Random } from "./random.ts";

/** Values that sit on edges of 32-bit arithmetic. */
const WORDS = [0, 1, 2, 3, 4, 7, 8, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc, 0x40000000];

/** A changed copy of `bytes`: one to four bit flips, bytes, words, cuts, insertions or copied pieces. */
export function mutate(random: Random, bytes: Uint8Array): Uint8Array {
  let out = Uint8Array.from(bytes);
  for (let i = 1 + random.below(4); i > 0; i--) out = once(random, out);
  return out;
}

function once(random: Random, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (bytes.length === 0) return Uint8Array.of(random.below(256));
  const at = random.below(bytes.length);
  switch (random.below(9)) {
    case 0:
    case 1:
      bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 2:
      bytes[at] = random.pick([0, 1, 4, 127, 128, 255, random.below(256)]);
      return bytes;
    case 3:
    case 4: {
      if (bytes.length < 4) return bytes;
      const word = (at & ~3) + 4 <= bytes.length ? at & ~3 : 0;
      const view = new DataView(bytes.buffer);
      const value = random.oneIn(3) ? random.pick(WORDS) : random.below(bytes.length + 4);
      view.setUint32(word, value, true);
      return bytes;
    }
    case 5: {
      if (bytes.length < 2) return bytes;
      const half = (at & ~1) + 2 <= bytes.length ? at & ~1 : 0;
      new DataView(bytes.buffer).setUint16(half, random.below(40), true);
      return bytes;
    }
    case 6:
      return bytes.slice(0, at);
    case 7: {
      const piece = bytes.slice(at, at + random.below(24));
      bytes.set(piece.subarray(0, bytes.length - (at >> 1)), at >> 1);
      return bytes;
    }
    default: {
      const grown = new Uint8Array(bytes.length + 4);
      grown.set(bytes.subarray(0, at));
      grown.set(bytes.subarray(at), at + 4);
      return grown;
    }
  }
}
