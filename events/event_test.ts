import assert from "node:assert/strict";
import { parseSubscribeRequest, SUBSCRIBE_LIMITS } from "./event.ts";

Deno.test("a subscription names a table or a topic, perhaps a filter and a resume token", () => {
  assert.deepEqual(parseSubscribeRequest({ source: "entries", filter: null }), {
    source: "entries",
  });
  const full = { source: "topic:news/today", filter: { a: 1 }, resume: "t" };
  assert.deepEqual(parseSubscribeRequest({ ...full, extra: 1 }), full);
});

Deno.test("whatever is no subscription is refused with VALIDATION", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const bad: unknown[] = [
    null,
    undefined,
    "entries",
    [],
    {},
    { source: 1 },
    { source: "" },
    { source: "a b" },
    { source: "a'; drop table x" },
    { source: "topic:" },
    { source: "_users" },
    { source: "x".repeat(SUBSCRIBE_LIMITS.source + 1) },
    { source: "a", filter: [] },
    { source: "a", filter: "x" },
    { source: "a", filter: cyclic },
    { source: "a", filter: { a: 10n ** 9000n } },
    { source: "a", filter: { a: "x".repeat(SUBSCRIBE_LIMITS.filter) } },
    { source: "a", resume: 1 },
    { source: "a", resume: "x".repeat(SUBSCRIBE_LIMITS.resume + 1) },
  ];
  for (const value of bad) {
    assert.throws(() => parseSubscribeRequest(value), { code: "VALIDATION" });
  }
});
