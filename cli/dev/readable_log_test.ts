import assert from "node:assert/strict";
import { readableLine, readableLog } from "./readable_log.ts";

const at = new Date(2026, 10, 30, 6, 15, 38).toISOString();

Deno.test("an entry of the log is one line of words, and its error's stack stands below", () => {
  assert.equal(
    readableLine(JSON.stringify({ at, level: "info", event: "auth_linked", owner: "o1", n: 2 })),
    "06:15:38 auth_linked owner=o1 n=2",
  );
  const error = {
    name: "KontractError",
    code: "INTERNAL",
    message: "boom",
    stack: "KontractError: boom\n    at file:///app/src/x.ts:4:79",
    cause: { name: "SqlError", message: "deep", failure: { sqlstate: "40001" } },
  };
  assert.equal(
    readableLine(JSON.stringify({ at, level: "error", event: "call_failed", route: "x", error })),
    [
      "06:15:38 error call_failed route=x",
      "  INTERNAL KontractError: boom",
      "      at file:///app/src/x.ts:4:79",
      "  caused by",
      "  SqlError: deep",
      '  {"sqlstate":"40001"}',
    ].join("\n"),
  );
});

Deno.test("what a caller has written into the log forges no line and gives the terminal no order", () => {
  const message = "no\u001b]0;x\u0007\u009b2J\r\n06:15:38 auth_linked owner=root";
  const error = { name: "TypeError", message };
  const why = "a\n06:15:38 auth_linked owner=root";
  assert.equal(
    readableLine(JSON.stringify({ at, level: "info", event: "x", why, two: "a b", error })),
    [
      '06:15:38 x why="a\\n06:15:38 auth_linked owner=root" two="a b"',
      "  TypeError: no\\u001b]0;x\\u0007\\u009b2J\\u000d",
      "  06:15:38 auth_linked owner=root",
    ].join("\n"),
  );
});

Deno.test("what is no entry of the log stays as it is, in whichever pieces it comes", async () => {
  const entry = JSON.stringify({ at, level: "warn", event: "slow" });
  const own = ['{"at":"noon","level":"info","event":"x"}', '{"at":"', "hello", "", '{"at":"1"}'];
  const bytes = new TextEncoder().encode([...own, entry, "the end"].join("\n"));
  for (const size of [1, 7, 1000]) {
    const pieces = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, i) => bytes.slice(i * size, (i + 1) * size),
    );
    const shown = ReadableStream.from(pieces).pipeThrough(readableLog());
    assert.equal(
      await new Response(shown).text(),
      [...own, "06:15:38 warn slow", "the end"].join("\n"),
    );
  }
});
