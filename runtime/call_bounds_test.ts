import assert from "node:assert/strict";
import { CallBounds } from "./call_bounds.ts";

const idle = (): AbortSignal => new AbortController().signal;
const never = new Promise<never>(() => {});

Deno.test("a caller that is gone, or a time that is over, ends the call before anything happened", async () => {
  const gone = new CallBounds(AbortSignal.abort(), 60_000);
  assert.throws(() => gone.check(), { code: "CANCELLED" });
  await assert.rejects(gone.race(never), { code: "CANCELLED" });
  gone.close();
  const late = new CallBounds(idle(), -1);
  await assert.rejects(late.race(never), { code: "DEADLINE_EXCEEDED" });
  assert.throws(() => late.check(), { code: "DEADLINE_EXCEEDED" });
  assert.ok(late.signal.aborted);
  late.close();
});

Deno.test("the first bound that passes is the reason, and none after the end", async () => {
  const caller = new AbortController();
  const bounds = new CallBounds(caller.signal, 1);
  await assert.rejects(bounds.race(never), { code: "DEADLINE_EXCEEDED" });
  caller.abort();
  assert.throws(() => bounds.check(), { code: "DEADLINE_EXCEEDED" });
  bounds.close();
  const other = new AbortController();
  const closed = new CallBounds(other.signal, 60_000);
  assert.equal(await closed.race(Promise.resolve(5)), 5);
  closed.close();
  other.abort();
  closed.check();
});

Deno.test("a commit under way when a bound passes is waited for: what it did is the answer", async () => {
  const caller = new AbortController();
  for (const outcome of ["done", new Error("refused")]) {
    const bounds = new CallBounds(caller.signal, 60_000);
    bounds.committing = true;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const race = bounds.race(promise);
    caller.abort();
    await Promise.resolve();
    if (outcome instanceof Error) reject(outcome);
    else resolve(outcome);
    if (outcome instanceof Error) await assert.rejects(race, outcome);
    else assert.equal(await race, "done");
    bounds.close();
  }
});
