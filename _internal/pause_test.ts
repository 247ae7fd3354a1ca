import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { pause, pauseAway } from "./pause.ts";

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

Deno.test("a pause ends when the page is online or visible again, and not when it is hidden", async () => {
  const page = { visibilityState: "hidden" };
  Object.assign(globalThis, { document: page });
  const { signal } = new AbortController();
  try {
    for (const event of ["online", "visibilitychange"]) {
      let ended = false;
      page.visibilityState = "hidden";
      const pausing = pauseAway(1_000_000, signal).then(() => ended = true);
      globalThis.dispatchEvent(new Event("visibilitychange"));
      await new Promise((pass) => setTimeout(pass));
      assert.equal(ended, false);
      page.visibilityState = "visible";
      globalThis.dispatchEvent(new Event(event));
      await pausing;
    }
    assert.equal(getEventListeners(signal, "abort").length, 0);
    const leaving = new AbortController();
    const long = pauseAway(1_000_000, leaving.signal);
    leaving.abort();
    await long;
    await pauseAway(1_000_000, leaving.signal);
  } finally {
    Reflect.deleteProperty(globalThis, "document");
  }
});
