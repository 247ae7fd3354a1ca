import assert from "node:assert/strict";
import { pages } from "./pages.ts";

Deno.test("a page has at most so many items and bytes, or one item that is larger", () => {
  const of = (
    list: readonly number[],
  ): readonly (readonly number[])[] => [...pages(list, (bytes) => bytes, { rows: 3, bytes: 10 })];
  assert.deepEqual(of([]), []);
  assert.deepEqual(of([1, 1, 1, 1]), [[1, 1, 1], [1]]);
  assert.deepEqual(of([5, 5, 1]), [[5, 5], [1]]);
  assert.deepEqual(of([50, 9, 2, 50]), [[50], [9], [2], [50]]);
  assert.deepEqual(of([0, 0, 0, 11]), [[0, 0, 0], [11]]);
});
