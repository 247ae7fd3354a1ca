/**
 * Keeps a process small that makes much garbage again and again, as one that builds does.
 *
 * V8 lets a multiple of what is alive gather before it looks for garbage: 800 MB where 170 MB are alive. With this
 * flag it looks when there is 80 % more.
 *
 * @module
 */

/** V8 whose flags are known. Deno does not start with a flag that V8 does not have. */
const KNOWN_V8 = 15;

/** Arguments for `deno run`; none where V8 is newer than what is known. */
export function smallHeap(v8: string = Deno.version.v8): readonly string[] {
  return Number.parseInt(v8) <= KNOWN_V8 ? ["--v8-flags=--heap-growing-percent=80"] : [];
}
