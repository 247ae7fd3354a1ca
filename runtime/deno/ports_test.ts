import assert from "node:assert/strict";
import type { Database } from "../../storage/database.ts";
import { sharedStateSuite } from "../../tests/shared_state_suite.ts";
import { type DenoPorts, denoPorts } from "./ports.ts";

const noDatabase: Database = {
  execute: () => Promise.reject(new Error("not used here")),
  close: () => Promise.resolve(),
};

function open(stateDir: string, now?: () => number): DenoPorts {
  return denoPorts({
    database: noDatabase,
    secrets: [],
    stateDir,
    secret: () => undefined,
    logSink: () => {},
    ...(now === undefined ? {} : { clock: { now } }),
  });
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("shared state on Deno", async (t) => {
  await inFolder(async (folder) => {
    await sharedStateSuite(t, () => {
      let ports = open(folder);
      return Promise.resolve({
        shared: ports.shared,
        restart: async () => {
          await ports.close();
          ports = open(folder);
          return ports.shared;
        },
        close: () => ports.close(),
      });
    });
  });
});

Deno.test("two hosts on one folder share state and epochs", async () => {
  await inFolder(async (folder) => {
    const [a, b] = [open(folder), open(folder)];
    try {
      const sums = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? a : b).shared.increment("n", 1)),
      );
      assert.equal(new Set(sums).size, 20);
      const epoch = Math.floor(Date.now() / 3_600_000);
      assert.deepEqual(await a.epochs.random(epoch), await b.epochs.random(epoch));
    } finally {
      await a.close();
      await b.close();
    }
  });
});

Deno.test("an epoch's random stays for one epoch more, then it is gone for good", async () => {
  await inFolder(async (folder) => {
    const hour = 3_600_000;
    let now = 1000 * hour + 5;
    let lost = new Uint8Array(0);
    const ports = open(folder, () => now);
    try {
      assert.equal(await ports.epochs.random(999), null);
      const first = await ports.epochs.random(1000);
      assert.ok(first !== null && first.length === 32);
      lost = first.slice();
      assert.deepEqual(await ports.epochs.random(1000), first);
      assert.equal(await ports.epochs.random(1001), null, "not before its time");
      now += hour;
      assert.deepEqual(await ports.epochs.random(1000), first);
      assert.notDeepEqual(await ports.epochs.random(1001), first);
      now += hour;
      assert.equal(await ports.epochs.random(1000), null);
      now -= 2 * hour;
      assert.notDeepEqual(await ports.epochs.random(1000), first, "a clock set back finds nothing");
    } finally {
      await ports.close();
    }
    for await (const { name } of Deno.readDir(folder)) {
      const bytes = await Deno.readFile(`${folder}/${name}`);
      assert.ok(!bytes.toHex().includes(lost.toHex()), `${name} still holds the random`);
    }
  });
});
