/** What the client keeps of a function with `cache`, and what makes it forget. */
import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import type { Client } from "./client.ts";
import { ResultCache } from "./result_cache.ts";
import { memoryStorage } from "./session_storage.ts";
import { route, TestServer } from "./testing/server.ts";

const read = route("read", 1000, { readOnly: true, cache: 60 });
const plain = route("plain", 1001, { readOnly: true });
const write = route("write", 1002);
const fail = route("fail", 1003, { readOnly: true, cache: 60 });

interface Fixture {
  readonly client: Client;
  readonly server: TestServer;
  readonly results: ResultCache;
  /** How often `read` reached the server. */
  reads(): number;
  /** Lets the next `write` wait until this is called. */
  hold(): () => void;
}

async function withCache(work: (fixture: Fixture) => Promise<void>): Promise<void> {
  const server = new TestServer();
  const results = new ResultCache();
  let reads = 0, held: Promise<void> | null = null;
  server.handlers.set(read.op, (args, _call, owner) => [++reads, owner, ...args]);
  server.handlers.set(plain.op, () => ++reads);
  server.handlers.set(write.op, async (args) => {
    await held;
    if (args[0] === "fail") throw new KontractError("CONFLICT");
    return "written";
  });
  server.handlers.set(fail.op, () => {
    reads++;
    throw new KontractError("NOT_FOUND");
  });
  const storage = memoryStorage();
  const client = await server.client({ results, storage });
  await client.auth.anonymous();
  const hold = (): () => void => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    return resolve;
  };
  try {
    await work({ client, server, results, reads: () => reads, hold });
  } finally {
    client.close();
  }
}

Deno.test("the same call is answered from what is kept, another argument is not", async () => {
  await withCache(async ({ client, reads }) => {
    const first = await client.call(read, ["a"]);
    assert.deepEqual(await client.call(read, ["a"]), first);
    assert.equal(reads(), 1);
    await client.call(read, ["b"]);
    await client.call(plain, []);
    await client.call(plain, []);
    assert.equal(reads(), 4);
  });
});

Deno.test("what is kept is nobody's to change", async () => {
  await withCache(async ({ client }) => {
    const mine = await client.call(read, [{ list: [1] }]) as [number, string, { list: number[] }];
    mine[2].list.push(2);
    const again = await client.call(read, [{ list: [1] }]) as typeof mine;
    assert.deepEqual(again[2], { list: [1] });
  });
});

Deno.test("a client reads its own writes, also those that failed and those under way", async () => {
  await withCache(async ({ client, reads, hold }) => {
    await client.call(read, []);
    await client.call(write, []);
    await client.call(read, []);
    assert.equal(reads(), 2);
    await assert.rejects(client.call(write, ["fail"]));
    await client.call(read, []);
    assert.equal(reads(), 3);
    const release = hold();
    const writing = client.call(write, []);
    await client.call(read, []); // before the commit: must not outlive it
    release();
    await writing;
    await client.call(read, []);
    assert.equal(reads(), 5);
  });
});

Deno.test("an error is not kept", async () => {
  await withCache(async ({ client, reads }) => {
    for (let i = 0; i < 2; i++) await assert.rejects(client.call(fail, []));
    assert.equal(reads(), 2);
  });
});

Deno.test("another caller and a client that heard an event see nothing that was kept", async () => {
  await withCache(async ({ client, server, reads }) => {
    const [, before] = await client.call(read, []) as [number, string];
    await client.auth.logout();
    const [, after] = await client.call(read, []) as [number, string];
    assert.notEqual(before, after);
    const events = client.subscribe(() => Promise.resolve("topic:news"))[Symbol.asyncIterator]();
    assert.equal((await events.next()).value?.type, "ready");
    await client.call(read, []);
    const count = reads();
    server.topics.publish("t", "news", { n: 1 });
    await events.next();
    await client.call(read, []);
    assert.equal(reads(), count + 1);
    await events.return?.();
  });
});

Deno.test("a result is kept no longer than its seconds, counted from the question", async () => {
  const cache = new ResultCache();
  const now = Date.now;
  let clock = 1_000_000, asked = 0;
  Date.now = () => clock;
  try {
    const ask = (): Promise<Uint8Array> => {
      asked++;
      clock += 4_000; // on its way
      return Promise.resolve(Uint8Array.of(asked));
    };
    const through = async () => (await cache.through("me 1", Uint8Array.of(7), 10, ask))[0];
    assert.equal(await through(), 1);
    clock += 5_999;
    assert.equal(await through(), 1);
    clock += 1;
    assert.equal(await through(), 2);
    clock -= 60_000; // a clock that was set back
    assert.equal(await through(), 3);
  } finally {
    Date.now = now;
  }
});

Deno.test("what is kept is bounded in number and in bytes", async () => {
  const cache = new ResultCache();
  let asked = 0;
  const get = (key: number, size: number) =>
    cache.through("me 1", new Uint8Array(new Uint32Array([key]).buffer), 60, () => {
      asked++;
      return Promise.resolve(new Uint8Array(size));
    });
  for (let i = 0; i < 1000; i++) await get(i, 1);
  await get(999, 1);
  assert.equal(asked, 1000);
  await get(0, 1);
  assert.equal(asked, 1001);
  for (let i = 0; i < 20; i++) await get(2000 + i, 150_000);
  await get(2000, 150_000);
  assert.equal(asked, 1022);
  await get(3000, 1_000_000);
  await get(3000, 1_000_000);
  assert.equal(asked, 1024, "one that is too large is not kept at all");
});
