import assert from "node:assert/strict";
import { LineCounters, PASSED } from "./line_counters.ts";

const MODULE = `interface Shape { a: number }
export function pick(list: readonly number[], at: number): number {
  for (const each of list) if (each === at) return each;
  if (at < 0) {
    return -1;
  } else if (at === 100) return 100;
  const name = at > 5
    ? \`big\${list.map((one) => one + 1).length}\`
    : "small";
  const known = list.length > 0 || at === 7;
  switch (name) {
    case "small":
      return known ? 1 : 2;
    default:
      return 3;
  }
}
export const never = (): number => {
  return 4;
};
export const later = (): number => 5;
export class Box implements Shape {
  a = 1;
  get b(): number {
    return 2;
  }
}
`;

Deno.test("a line counts where everything in it ran, and no other does", async () => {
  const counters = new LineCounters();
  const text = counters.count("/a.ts", MODULE);
  const passed = new Set<number>();
  Object.assign(globalThis, { [PASSED]: passed });
  const ran = (): number[] => {
    const lines = [...counters.report(passed).matchAll(/DA:(\d+),1/g)];
    return lines.map(([, line]) => Number(line));
  };
  const { pick, later } = await import(`data:application/typescript,${encodeURIComponent(text)}`);
  const loaded = [22, 23, 27];
  assert.deepEqual(ran(), loaded);
  assert.equal(pick([1], 2), 1);
  const small = [2, 4, 7, 9, 11, 12, 14, 16, 17];
  assert.deepEqual(ran(), [...small, ...loaded]);
  assert.deepEqual([pick([7], 7), pick([], -1), pick([], 100), pick([1], 9)], [7, -1, 100, 3]);
  const all = Array.from({ length: 16 }, (_, i) => i + 2).filter((line) =>
    ![10, 13].includes(line)
  );
  assert.deepEqual(ran(), [...all, ...loaded]);
  assert.deepEqual([pick([], 1), later()], [2, 5]);
  assert.deepEqual(ran(), [...all, 10, 13, 21, ...loaded].sort((a, b) => a - b));
});

Deno.test("the text with counters does what the text does, line by line", () => {
  const text = new LineCounters().count("/a.ts", MODULE);
  assert.equal(text.split("\n").length, MODULE.split("\n").length);
});
