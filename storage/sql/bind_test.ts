import assert from "node:assert/strict";
import { bind } from "./bind.ts";

Deno.test("what is null is written into the text, and what stays keeps its order", () => {
  assert.deepEqual(bind("select f($1, $2, $3::text::jsonb)", ["a", null, "c"]), [
    "select f($1, null, $2::text::jsonb)",
    ["a", "c"],
  ]);
  assert.deepEqual(bind("select f($1, $2, $3::text::jsonb)", [null, null, null]), [
    "select f(null, null, null::text::jsonb)",
    [],
  ]);
});

Deno.test("what is no null stays a parameter: false, nothing, an empty text", () => {
  const text = "select f($1, $2, $3)";
  assert.deepEqual(bind(text, [false, 0, ""]), [text, [false, 0, ""]]);
});

Deno.test("a parameter of two digits is not taken for one of one", () => {
  const params = [1, null, 3, 4, 5, 6, 7, 8, 9, 10, null, 12];
  const text = `select f(${params.map((_, i) => `$${i + 1}`).join(", ")})`;
  assert.deepEqual(bind(text, params), [
    "select f($1, null, $2, $3, $4, $5, $6, $7, $8, $9, null, $10)",
    [1, 3, 4, 5, 6, 7, 8, 9, 10, 12],
  ]);
});

Deno.test("a statement has a bounded number of forms; beyond them its nulls are sent", () => {
  const text = "select g($1, $2, $3, $4, $5)";
  const sent = Array.from({ length: 31 }, (_, n) => {
    const params = [0, 1, 2, 3, 4].map((at) => (n + 1 >> at & 1) === 1 ? null : at);
    return bind(text, params);
  });
  assert.equal(new Set(sent.map(([form]) => form)).size, 17);
  assert.deepEqual(sent.at(-1), [text, [null, null, null, null, null]]);
});
