import assert from "node:assert/strict";
import { AppError } from "../../_internal/app_error.ts";
import { KontractError } from "../../_internal/errors.ts";
import { RemoteError } from "../../protocol/wire_error.ts";
import type { Client } from "./client.ts";
import { type LiveResult, liveValues, type ReadOnlyFunction } from "./live.ts";
import type { ClientRoute } from "./route.ts";
import { route, TestServer } from "./testing/server.ts";

const bytes = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255);
const number = ([high = 0, low = 0]: Uint8Array): number => high * 256 + low;

/** Values of connections that give these, one after another; an error ends one. */
function over(
  connections: AsyncIterable<Uint8Array>[],
  statuses: string[] = [],
): AsyncGenerator<unknown, void, void> {
  return liveValues({
    open: () => connections.shift() ?? assert.fail("one connection too many"),
    decode: number,
    signal: new AbortController().signal,
    errors: { NOTE_FULL: NoteFull },
    onStatus: (status) => statuses.push(status),
  });
}

class NoteFull extends AppError<"NOTE_FULL", unknown> {
  constructor(message: string) {
    super("NOTE_FULL", message);
  }
}

async function* giving(
  values: readonly number[],
  end: Promise<unknown> = Promise.resolve(),
): AsyncGenerator<Uint8Array, void, void> {
  for (const value of values) yield bytes(value);
  await end;
}

const failing = (error: unknown): Promise<never> => {
  const failed = Promise.reject(error);
  failed.catch(() => {});
  return failed;
};

Deno.test("a value that comes again after a loss is not given again", async () => {
  const statuses: string[] = [];
  const values = over([
    giving([1], failing(new KontractError("NETWORK"))),
    giving([1], failing(new KontractError("OVERLOADED"))),
    giving([2], new Promise(() => {})),
  ], statuses);
  assert.deepEqual([(await values.next()).value, (await values.next()).value], [1, 2]);
  await values.return();
  assert.equal(statuses.filter((status) => status === "live").length, 3);
});

Deno.test("who takes its time is given the newest value and no older one", async () => {
  const first = Promise.withResolvers<void>();
  const all = Promise.withResolvers<void>();
  const source = async function* (): AsyncGenerator<Uint8Array, void, void> {
    yield bytes(1);
    await first.promise;
    for (let i = 2; i <= 1000; i++) yield bytes(i);
    all.resolve();
    await new Promise(() => {});
  };
  const values = over([source()]);
  assert.equal((await values.next()).value, 1);
  first.resolve();
  await all.promise;
  assert.equal((await values.next()).value, 1000);
  await values.return();
});

Deno.test("a value that went and came back while nobody looked is no news", async () => {
  const [looked, back, on] = [0, 1, 2].map(() => Promise.withResolvers<void>());
  const source = async function* (): AsyncGenerator<Uint8Array, void, void> {
    yield bytes(1);
    await looked!.promise;
    yield* [2, 1].map(bytes);
    back!.resolve();
    await on!.promise;
    yield bytes(3);
    await new Promise(() => {});
  };
  const values = over([source()]);
  assert.equal((await values.next()).value, 1);
  looked!.resolve();
  await back!.promise;
  const next = values.next();
  on!.resolve();
  assert.equal((await next).value, 3);
  await values.return();
});

Deno.test("an error that no connection mends ends it as itself", async () => {
  for (const code of ["NOT_FOUND", "FORBIDDEN", "SESSION_REVOKED", "INTERNAL"] as const) {
    const values = over([giving([1], failing(new KontractError(code)))]);
    assert.equal((await values.next()).value, 1);
    await assert.rejects(values.next(), { code });
    assert.equal((await values.next()).done, true);
  }
  const full = new RemoteError({ code: "NOTE_FULL", message: "It is full." });
  await assert.rejects(
    over([giving([], failing(full))]).next(),
    (error) => error instanceof NoteFull && error.message === "It is full.",
  );
});

/** What generated code makes of a route. */
function generated(
  client: Client,
  one: ClientRoute,
): ReadOnlyFunction<(...args: unknown[]) => Promise<unknown>> {
  const called = (...args: unknown[]) =>
    one.stream ? client.stream(one, args) : client.call(one, args);
  return called as unknown as ReadOnlyFunction<(...args: unknown[]) => Promise<unknown>>;
}

Deno.test("a followed function is asked for once, and left on the server too", async () => {
  const server = new TestServer();
  const client = await server.client();
  const left = Promise.withResolvers<void>();
  const asked: unknown[] = [];
  server.handlers.set(1000, (args, { signal }) => {
    asked.push(args);
    return (async function* () {
      yield await Promise.resolve({ n: 1 });
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      left.resolve();
    })();
  });
  const list = generated(client, route("list", 1000, { readOnly: true }));
  const seen: unknown[] = [];
  await new Promise<void>((resolve) => {
    const live: LiveResult<unknown> = client.live(list, "a", 2).listen({
      onValue(value) {
        seen.push(value);
        live.close();
      },
      onStatus: (status) => status === "closed" && resolve(),
    });
  });
  await left.promise;
  assert.deepEqual([asked, seen], [[["a", 2]], [{ n: 1 }]]);
  client.close();
});

Deno.test("what does not only read is refused before anything is sent", async () => {
  const server = new TestServer();
  const client = await server.client();
  for (const more of [{}, { readOnly: true, stream: true }]) {
    const called = generated(client, route("other", 1000, more));
    assert.throws(() => client.live(called), { code: "VALIDATION" });
  }
  assert.equal(server.requests.length, 0);
  server.handlers.set(1000, () => 7);
  assert.equal(await client.call(route("list", 1000), []), 7, "calls are sent as before");
  client.close();
});
