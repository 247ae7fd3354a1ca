import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { pause } from "./pause.ts";

Deno.test("a pause ends by its time or its signal, and leaves nothing at a signal that outlives it", async () => {
  const { signal } = new AbortController();
  const pauses = [1, 2, 3].map((ms) => pause(ms, signal));
  assert.equal(getEventListeners(signal, "abort").length, 3);
  await Promise.all(pauses);
  assert.equal(getEventListeners(signal, "abort").length, 0);

  const leaving = new AbortController();
  const long = pause(1_000_000, leaving.signal);
  leaving.abort();
  await long;
  await pause(1_000_000, leaving.signal);
  await pause(0, signal);
});
