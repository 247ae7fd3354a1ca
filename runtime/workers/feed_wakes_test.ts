import assert from "node:assert/strict";
import { FeedWakes } from "./feed_wakes.ts";

/** A hub that is rung by hand, and whoever asks it. */
function hub() {
  const calls: { ring: () => void; signal: AbortSignal; known: number | null }[] = [];
  let wakes = 0;
  return {
    calls,
    ask: (known: number | null, signal: AbortSignal): Promise<number | null> =>
      new Promise((resolve) => {
        calls.push({ ring: () => resolve(++wakes), signal, known });
        signal.addEventListener("abort", () => resolve(null));
      }),
  };
}

const never = new AbortController().signal;

Deno.test("all that follow a feed hear of a wake by one call of its hub", async () => {
  const [wakes, notes, other] = [new FeedWakes(), hub(), hub()];
  const waiting = [1, 2, 3].map(() => wakes.next("notes", notes.ask, never));
  const elsewhere = wakes.next("other", other.ask, never);
  assert.deepEqual([notes.calls.length, other.calls.length], [1, 1]);
  notes.calls[0]!.ring();
  await Promise.all(waiting);
  const again = wakes.next("notes", notes.ask, never);
  assert.equal(notes.calls.length, 2, "who waits after a wake asks anew");
  assert.deepEqual(notes.calls.map(({ known }) => known), [null, 1], "beyond the wakes it knows");
  notes.calls[1]!.ring();
  other.calls[0]!.ring();
  await Promise.all([again, elsewhere]);
});

Deno.test("who leaves waits no longer, and the others still do", async () => {
  const [wakes, notes, leaving] = [new FeedWakes(), hub(), new AbortController()];
  let woken = false;
  const gone = wakes.next("notes", notes.ask, leaving.signal);
  const stays = wakes.next("notes", notes.ask, never).then(() => woken = true);
  leaving.abort();
  await gone;
  await wakes.next("notes", notes.ask, AbortSignal.abort());
  assert.equal(woken, false);
  notes.calls[0]!.ring();
  await stays;
});

Deno.test("the end of a scope leaves the hubs", async () => {
  const [wakes, notes] = [new FeedWakes(), hub()];
  const waiting = wakes.next("notes", notes.ask, never);
  wakes.end();
  await waiting;
  assert.equal(notes.calls[0]!.signal.aborted, true);
});
