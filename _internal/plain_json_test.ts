import assert from "node:assert/strict";
import { plainJson } from "./plain_json.ts";

Deno.test("plain JSON is written, and what JSON would change is refused", () => {
  assert.equal(plainJson({ a: [1, null, "x"], b: undefined }), '{"a":[1,null,"x"]}');
  assert.equal(plainJson(new Date(0)), '"1970-01-01T00:00:00.000Z"');
  assert.equal(plainJson(undefined), undefined);
  const lost = [NaN, [Infinity], { a: new Map() }, new Set([1]), [new Uint8Array(1)], 1n];
  for (const value of lost) assert.throws(() => plainJson(value), TypeError);
});
