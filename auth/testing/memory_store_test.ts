/**
 * The model store keeps its own promise, or the races in the suite would prove nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { MemoryAuthStore } from "./memory_store.ts";

Deno.test("a body whose read changed before its commit runs again", async () => {
  const store = new MemoryAuthStore();
  const add = (): Promise<void> =>
    store.transaction("t", async (tx) => {
      const row = await tx.get("counter", "c");
      await tx.set("counter", { id: "c", n: Number(row?.n ?? 0) + 1 });
    });
  await Promise.all(Array.from({ length: 10 }, add));
  assert.equal(store.rowsOf("t", "counter")[0]?.n, 10);
  assert.ok(store.conflicts > 0, "the calls did overlap");
});

Deno.test("a row that appears in a filter that was read is a conflict too", async () => {
  const store = new MemoryAuthStore();
  const claim = (id: string): Promise<boolean> =>
    store.transaction("t", async (tx) => {
      if ((await tx.find("claims", { name: "ann" })).length > 0) return false;
      await tx.set("claims", { id, name: "ann" });
      return true;
    });
  const won = await Promise.all(["a", "b", "c"].map(claim));
  assert.equal(won.filter((one) => one).length, 1);
});

Deno.test("nothing is seen of a body that failed, and reads see the body's own writes", async () => {
  const store = new MemoryAuthStore();
  const failing = store.transaction("t", async (tx) => {
    await tx.set("rows", { id: "a", name: "x" });
    assert.equal((await tx.get("rows", "a"))?.name, "x");
    assert.equal((await tx.find("rows", { name: "x" })).length, 1);
    throw new Error("no");
  });
  await assert.rejects(failing, { message: "no" });
  assert.deepEqual(store.rowsOf("t", "rows"), []);
});
