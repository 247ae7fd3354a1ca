/**
 * What every implementation of the shared state promises; run on Deno and in real workerd.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { SharedState } from "../runtime/ports.ts";
import { until } from "./until.ts";

/** An implementation under test. */
export interface SharedStateHost {
  readonly shared: SharedState;
  /** Ends the host and starts it again on the same state. */
  restart(): Promise<SharedState>;
  close(): Promise<void>;
}

const HOUR = 3_600_000;

/** The suite. */
export async function sharedStateSuite(
  t: Deno.TestContext,
  open: () => Promise<SharedStateHost>,
): Promise<void> {
  const host = await open();
  try {
    const { shared } = host;
    await t.step("what was set is read, and what was deleted is not", async () => {
      assert.equal(await shared.get("a"), null);
      await shared.set("a", "1");
      assert.equal(await shared.get("a"), "1");
      assert.equal(await shared.delete("a"), true);
      assert.equal(await shared.delete("a"), false);
      assert.equal(await shared.get("a"), null);
    });

    await t.step("keys and values are any text", async () => {
      for (const key of ["", "'; drop table shared_entries; --", "ключ \u0000 🔑", "v:a", "b:a"]) {
        await shared.set(key, JSON.stringify(key), { durable: true });
        assert.equal(await shared.get(key), JSON.stringify(key));
        await shared.delete(key);
      }
    });

    for (const durable of [false, true]) {
      const kind = durable ? "durable" : "volatile";
      await t.step(`a ${kind} entry ends with its lifetime, others stay`, async () => {
        await shared.set("short", "1", { ttl: 20, durable });
        await shared.set("long", "1", { ttl: HOUR, durable });
        await until(async () => await shared.get("short") === null);
        assert.equal(await shared.get("long"), "1");
        assert.equal(await shared.delete("short"), false);
      });

      await t.step(`parallel increments of a ${kind} counter are all counted`, async () => {
        const key = `count-${kind}`;
        const sums = await Promise.all(
          Array.from({ length: 40 }, () => shared.increment(key, 1, { durable })),
        );
        assert.deepEqual(
          sums.toSorted((a, b) => a - b),
          Array.from({ length: 40 }, (_, i) => i + 1),
        );
        assert.equal(await shared.increment(key, -40), 0);
        assert.equal(await shared.get(key), "0");
      });

      await t.step(`of parallel compare-and-sets on a ${kind} entry one wins`, async () => {
        const key = `cas-${kind}`;
        const tries = (expected: string | null): Promise<boolean[]> =>
          Promise.all(
            Array.from({ length: 10 }, (_, i) =>
              shared.compareAndSet(key, expected, `${i}`, { durable })),
          );
        assert.equal((await tries(null)).filter(Boolean).length, 1);
        const now = await shared.get(key);
        assert.equal((await tries("other")).filter(Boolean).length, 0);
        assert.equal(await shared.get(key), now);
        assert.equal(await shared.compareAndSet(key, now, "next", { durable }), true);
      });
    }

    await t.step("setting an entry in the other place leaves one entry", async () => {
      await shared.set("moved", "1", { durable: true });
      await shared.set("moved", "2");
      assert.equal(await shared.get("moved"), "2");
      assert.equal(await shared.delete("moved"), true);
      assert.equal(await shared.get("moved"), null);
    });

    await t.step("an increment keeps the entry's lifetime", async () => {
      // Long enough that the second increment still finds the entry, however slow the machine is.
      for (let ttl = 30;; ttl *= 2) {
        await shared.increment("fading", 1, { ttl });
        if (await shared.increment("fading", 1, { ttl: HOUR }) === 2) break;
        await shared.delete("fading");
      }
      await until(async () => await shared.get("fading") === null);
    });

    await t.step("only integers can be counted", async () => {
      await shared.set("text", '"x"');
      await assert.rejects(shared.increment("text", 1), { code: "VALIDATION" });
      await shared.set("most", String(Number.MAX_SAFE_INTEGER));
      await assert.rejects(shared.increment("most", 1), { code: "VALIDATION" });
      assert.equal(await shared.get("most"), String(Number.MAX_SAFE_INTEGER));
    });

    for (const windowMs of [30_000, HOUR]) {
      await t.step(
        `a bucket of 3 in ${windowMs} ms gives 3 and says when the next comes`,
        async () => {
          const key = `bucket-${windowMs}`;
          const answers = await Promise.all(
            Array.from({ length: 5 }, () => shared.rateLimit(key, 3, windowMs)),
          );
          assert.deepEqual(
            answers.map(({ allowed }) => allowed).toSorted(),
            [false, false, true, true, true],
          );
          const refused = answers.filter(({ allowed }) => !allowed);
          for (const { retryAfter, remaining } of refused) {
            assert.equal(remaining, 0);
            assert.ok(retryAfter > 0 && retryAfter <= windowMs / 3);
          }
          assert.equal((await shared.rateLimit(`${key}-other`, 3, windowMs)).allowed, true);
        },
      );
    }

    await t.step("a bucket fills again", async () => {
      assert.equal((await shared.rateLimit("quick", 1, 40)).allowed, true);
      await until(async () => (await shared.rateLimit("quick", 1, 40)).allowed);
    });

    await t.step("a bucket is no value and cannot be read or deleted as one", async () => {
      assert.equal(await shared.get("quick"), null);
      assert.equal(await shared.delete("bucket-3600000"), false);
      assert.equal((await shared.rateLimit("bucket-3600000", 3, HOUR)).allowed, false);
    });

    await t.step("durable entries and long buckets survive a restart", async () => {
      await shared.set("kept", '{"a":1}', { durable: true });
      await shared.increment("kept-count", 41, { durable: true });
      const again = await host.restart();
      assert.equal(await again.get("kept"), '{"a":1}');
      assert.equal(await again.increment("kept-count", 1), 42);
      assert.equal((await again.rateLimit("bucket-3600000", 3, HOUR)).allowed, false);
    });
  } finally {
    await host.close();
  }
}
