import assert from "node:assert/strict";
import { decodeDate, encodeDate } from "./date_text.ts";

Deno.test("dates of any year come back, and their texts sort as they do", () => {
  const edge = 8.64e15;
  const times = [
    -edge,
    Date.UTC(-200_000, 5),
    Date.UTC(-1000, 0),
    Date.UTC(-1, 0),
    Date.UTC(-1, 11, 31, 23, 59, 59, 999),
    new Date(0).setUTCFullYear(0, 0, 1),
    0,
    Date.UTC(9999, 11, 31, 23, 59, 59, 999),
    Date.UTC(10_000, 0),
    Date.UTC(100_000, 0),
    edge,
  ];
  const texts = times.map((time) => encodeDate(new Date(time)));
  assert.deepEqual(texts.map((text) => decodeDate(text).getTime()), times);
  assert.deepEqual(texts.toSorted(), texts);
  assert.equal(encodeDate(new Date(0)), "1970-01-01T00:00:00.000Z");
});
