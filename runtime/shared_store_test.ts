/** `env.shared` as an app calls it: values, keys and bounds. The state below it: `tests/shared_state_suite.ts`. */
import assert from "node:assert/strict";
import { MemoryEntries } from "./shared_entries.ts";
import { SharedStateLogic, sharedStateOver } from "./shared_state.ts";
import { SHARED_LIMITS, type SharedStore, sharedStore } from "./shared_store.ts";

/** One state, as two tenants see it. */
function stores(now: () => number = () => 0): Record<"ours" | "theirs", SharedStore> {
  const entries = new MemoryEntries();
  const logic = new SharedStateLogic({
    durable: entries,
    volatile: entries,
    clock: { now },
    transaction: (body) => body(),
  });
  const shared = sharedStateOver((operation) => logic.run(operation));
  return {
    ours: sharedStore(() => ({ shared, tenant: "ours" })),
    theirs: sharedStore(() => ({ shared, tenant: "theirs" })),
  };
}

Deno.test("values come back as they were, and no other tenant's are seen or changed", async () => {
  const { ours, theirs } = stores();
  for (const value of [{ a: [1, null, "ü"] }, "text", 0, false, null, "x".repeat(100_000)]) {
    await ours.set("key", value);
    assert.deepEqual(await ours.get("key"), value);
  }
  assert.equal(await theirs.get("key"), null);
  assert.equal(await theirs.delete("key"), false);
  assert.deepEqual([await ours.increment("n"), await ours.increment("n", -3)], [1, -2]);
  assert.equal(await theirs.increment("n", 5), 5);
  assert.deepEqual([await ours.delete("key"), await ours.delete("key")], [true, false]);
});

Deno.test("compareAndSet stores where the value is the expected one, and nowhere else", async () => {
  const { ours } = stores();
  assert.equal(await ours.compareAndSet("state", { n: 1 }, { n: 2 }), false);
  assert.equal(await ours.compareAndSet("state", null, { n: 1 }), true);
  assert.equal(await ours.compareAndSet("state", null, { n: 3 }), false);
  assert.equal(await ours.compareAndSet("state", { n: 1 }, { n: 2 }), true);
  assert.deepEqual(await ours.get("state"), { n: 2 });
});

Deno.test("keys, values, steps and times out of bounds are refused, and change nothing", async () => {
  const { ours } = stores();
  const cycle: unknown[] = [];
  cycle.push(cycle);
  const refused: readonly (readonly [string, () => Promise<unknown>])[] = [
    ...["", "k".repeat(SHARED_LIMITS.key + 1), 5, null].map((key) =>
      ["VALIDATION", () => ours.set(key as string, 1)] as const
    ),
    ...[undefined, () => 1, Symbol("x"), 1n, cycle].map((value) =>
      ["VALIDATION", () => ours.set("key", value)] as const
    ),
    ["TOO_LARGE", () => ours.set("key", "x".repeat(SHARED_LIMITS.value))],
    ...[0, -1, NaN, Infinity, "5"].map((ttl) =>
      ["VALIDATION", () => ours.set("key", 1, { ttl: ttl as number })] as const
    ),
    ...[0.5, NaN, 2 ** 53, "1"].map((by) =>
      ["VALIDATION", () => ours.increment("key", by as number)] as const
    ),
    ["VALIDATION", () => ours.compareAndSet("key", null, undefined)],
    ...[[0, 1000], [1, 0], [1.5, 1000], [NaN, NaN]].map(([limit, windowMs]) =>
      ["VALIDATION", () => ours.rateLimit("key", limit!, windowMs!)] as const
    ),
  ];
  for (const [n, [code, run]] of refused.entries()) {
    await assert.rejects(run, { code }, `case ${n}`);
  }
  assert.equal(await ours.get("key"), null);
});

Deno.test("a clock that was ahead and is put right keeps nobody out until the time it had", async () => {
  const day = 86_400_000;
  let now = 2 * day;
  const { ours } = stores(() => now);
  const may = async (): Promise<boolean> => (await ours.rateLimit("key", 2, 1000)).allowed;
  assert.deepEqual([await may(), await may(), await may()], [true, true, false]);
  now -= day;
  assert.equal(await may(), false, "nothing is given for going back");
  now += 499;
  assert.equal(await may(), false);
  now += 1;
  assert.deepEqual([await may(), await may()], [true, false]);
});

Deno.test("clocks that disagree by less than a window refill a bucket once", async () => {
  let now = 10_000;
  const { ours } = stores(() => now);
  let allowed = 0;
  for (let i = 0; i < 100; i++) {
    now = i >= 10 && i % 2 === 1 ? 10_400 : 10_000;
    if ((await ours.rateLimit("key", 10, 1000)).allowed) allowed++;
  }
  assert.equal(allowed, 14);
});
