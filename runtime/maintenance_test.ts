import assert from "node:assert/strict";
import { Maintenance, startMaintenance } from "./maintenance.ts";
import { MemoryEntries } from "./shared_entries.ts";
import { SharedStateLogic, sharedStateOver } from "./shared_state.ts";
import { withNotes } from "./testing/notes_server.ts";

const HOUR = 3_600_000;

Deno.test("the work of a minute leaves a marker and sweeps what has ended", async () => {
  await withNotes(async ({ server, another, database, visitor, log }) => {
    await visitor();
    await visitor();
    const [{ ptr }] = await database.admin`
      select ptr from kontract.storage where owner = 'main' and id = '_sessions'` as [
      { ptr: string },
    ];
    const table = database.admin(`kontract_private.${ptr}`);
    const live = async (): Promise<number> =>
      (await database.admin`select id from ${table} where _deleted_txid is null`).length;
    await server.scheduled();
    assert.equal(await live(), 2, "living sessions stay");
    // One of them ended an hour and a half ago.
    const bucket = new Date(Date.now() - HOUR / 2).toISOString().slice(0, 13);
    await database.admin`update ${table} set data = data || ${database.admin.json({ bucket })}
      where id = (select min(id) from ${table})`;
    await another().scheduled();
    assert.equal(await live(), 1);
    assert.ok(!log.some((line) => /garbage_failed|sweep_failed/.test(line)), log.join("\n"));
    const [{ count }] = await database.admin`
      select count(*)::int as count from kontract_private.markers` as [{ count: number }];
    assert.ok(count >= 1);
  });
});

Deno.test("a sweep covers the time since the last one, and not more often than hourly", async () => {
  const swept: [number, number][] = [];
  let now = 100 * HOUR;
  const entries = new MemoryEntries();
  const clock = { now: (): number => now };
  const logic = new SharedStateLogic({
    durable: entries,
    volatile: entries,
    clock,
    transaction: (body) => body(),
  });
  const failures: string[] = [];
  const maintenance = new Maintenance({
    database: {
      execute: () => Promise.reject(new Error("out of reach")),
      close: () => Promise.resolve(),
    },
    sessions: { get: () => Promise.reject(new Error("out of reach")) } as never,
    auth: {
      sweep: (_tenant, from, to) => {
        swept.push([from, to]);
        return Promise.resolve(0);
      },
    },
    shared: sharedStateOver((operation) => logic.run(operation)),
    clock,
    log: { info: () => {}, warn: () => {}, error: (event) => failures.push(event) },
  });
  for (const at of [100, 100.5, 101, 110, 110 + 40 * 24]) {
    now = at * HOUR;
    await maintenance.run();
  }
  assert.deepEqual(swept, [
    [98 * HOUR, 100 * HOUR],
    [100 * HOUR, 101 * HOUR],
    [101 * HOUR, 110 * HOUR],
    [(110 + 40 * 24 - 31 * 24 + 1) * HOUR, (110 + 40 * 24) * HOUR],
  ]);
  assert.equal(new Set(failures).size, 1, "a failed collection keeps nobody from sweeping");
});

Deno.test("runs never overlap, and stopping waits for the one under way", async () => {
  let running = 0;
  let most = 0;
  let runs = 0;
  const enough = Promise.withResolvers<void>();
  const timer = startMaintenance(async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 10));
    running--;
    if (++runs === 3) enough.resolve();
  }, 1);
  await enough.promise;
  await timer.stop();
  assert.deepEqual([most, running], [1, 0]);
});
