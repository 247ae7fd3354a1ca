import assert from "node:assert/strict";
import { type ErrorCode, KontractError } from "../_internal/errors.ts";
import { randomBytes, toBase64Url, utf8 } from "./bytes.ts";
import type { Dispatch, RpcCall } from "./rpc.ts";
import { createSocketTransport } from "./socket_transport.ts";
import { serveGateway, type TestGateway } from "./testing/gateway.ts";

const READ = { token: null, mutation: false } as const;
const WRITE = { token: null, mutation: true } as const;

// Of one attempt; a test that counts pauses passes it by.
const CONNECT_TIMEOUT = 10_000;

const echo: Dispatch = (call) =>
  Promise.resolve({ kind: "value", payload: new Uint8Array(call.payload) });

function connect(gateway: TestGateway) {
  return createSocketTransport({ url: gateway.url, app: "test-app", pins: gateway.pins });
}

const withCode = (code: ErrorCode) => (error: unknown): boolean => {
  assert.ok(error instanceof KontractError, `no KontractError: ${error}`);
  assert.equal(error.code, code);
  return true;
};

Deno.test("many calls share one socket, each with its own answer and number", async () => {
  const seen: RpcCall[] = [];
  await using gateway = await serveGateway((call) => {
    seen.push(call);
    return echo(call);
  });
  const transport = connect(gateway);
  const sizes = [0, 1, 1000, 65_511, 65_512, 300_000, ...Array(50).fill(100)];
  await Promise.all(sizes.map(async (size) => {
    const payload = new Uint8Array(size).fill(size % 251);
    assert.deepEqual(await transport.call(1000, payload, READ), payload);
  }));
  await transport.call(1000, utf8("x"), { token: "a-token", mutation: true });
  transport.close();
  assert.equal(gateway.sockets.length, 1);
  assert.deepEqual(
    seen.map((call) => call.reqno).toSorted((a, b) => Number(a - b)),
    seen.map((_, index) => BigInt(index)),
  );
  assert.equal(new Set(seen.map((call) => call.lane)).size, 1);
  assert.equal(seen[0]?.token, null);
  assert.equal(seen.at(-1)?.token, "a-token");
});

Deno.test("streams and calls run side by side, and a stream waits for its reader", async () => {
  let produced = 0;
  await using gateway = await serveGateway((call) =>
    call.op === 1000 ? echo(call) : Promise.resolve({
      kind: "stream",
      elements: (async function* () {
        for (; produced < 400; produced++) yield new Uint8Array(10_000).fill(produced % 251);
      })(),
    })
  );
  const transport = connect(gateway);
  const iterator = transport.stream(1001, utf8("x"), READ)[Symbol.asyncIterator]();
  await iterator.next();
  for (let round = 0; round < 20; round++) {
    assert.deepEqual(await transport.call(1000, utf8("x"), READ), utf8("x"));
  }
  assert.ok(produced < 40, `${produced} elements came for one that was taken: credit is 26`);
  let got = 1;
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    assert.equal(next.value[0], got++ % 251);
  }
  assert.equal(got, 400);
  transport.close();
});

Deno.test("leaving a stream or aborting a call cancels it on the server, and the socket lives on", async () => {
  const returned = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  await using gateway = await serveGateway((call) => {
    if (call.op === 1000) return echo(call);
    if (call.op === 1001) {
      const elements = (async function* () {
        try {
          for (;;) yield randomBytes(100);
        } finally {
          returned.resolve();
        }
      })();
      return Promise.resolve({ kind: "stream", elements });
    }
    started.resolve();
    return new Promise((resolve) => {
      call.signal.addEventListener("abort", () => {
        aborted.resolve();
        resolve({ kind: "error", error: { code: "CANCELLED", message: "" } });
      });
    });
  });
  const transport = connect(gateway);
  for await (const _ of transport.stream(1001, utf8("x"), READ)) break;
  await returned.promise;
  const abort = new AbortController();
  const call = transport.call(1002, utf8("x"), { ...READ, signal: abort.signal });
  const rejected = assert.rejects(call, withCode("CANCELLED"));
  await started.promise;
  abort.abort();
  await rejected;
  await aborted.promise;
  assert.deepEqual(await transport.call(1000, utf8("x"), READ), utf8("x"));
  assert.equal(gateway.sockets.length, 1);
  transport.close();
});

Deno.test("errors are typed, and an error in a stream comes after its elements", async () => {
  await using gateway = await serveGateway((call) => {
    if (call.op === 1000) throw new Error("internal detail");
    const elements = (async function* () {
      yield utf8("first");
      throw new KontractError("FORBIDDEN", "Not the second.");
    })();
    return Promise.resolve({ kind: "stream", elements });
  });
  const transport = connect(gateway);
  await assert.rejects(transport.call(1000, utf8("x"), READ), (error) => {
    assert.ok(error instanceof KontractError);
    assert.doesNotMatch(error.message, /detail/);
    return error.code === "INTERNAL";
  });
  const got: Uint8Array[] = [];
  await assert.rejects(async () => {
    for await (const element of transport.stream(1001, utf8("x"), READ)) got.push(element);
  }, withCode("FORBIDDEN"));
  assert.deepEqual(got, [utf8("first")]);
  transport.close();
});

Deno.test("after a lost socket calls are sent again under their numbers, Kontract's own are not", async () => {
  const seen: RpcCall[] = [];
  await using gateway = await serveGateway((call) => {
    seen.push(call);
    if (gateway.sockets.length > 1) return echo(call);
    gateway.sockets[0]?.close();
    return new Promise((resolve) => {
      call.signal.addEventListener(
        "abort",
        () => resolve({ kind: "error", error: { code: "CANCELLED", message: "" } }),
      );
    });
  });
  const transport = connect(gateway);
  const [read, write, own] = [
    transport.call(1001, utf8("r"), READ),
    transport.call(1002, utf8("w"), WRITE),
    transport.call(1, utf8("a"), WRITE),
  ];
  await assert.rejects(own, withCode("OUTCOME_UNKNOWN"));
  assert.deepEqual([await read, await write], [utf8("r"), utf8("w")]);
  assert.equal(gateway.sockets.length, 2);
  for (const op of [1001, 1002]) {
    const numbers = seen.filter((call) => call.op === op).map((call) =>
      `${call.lane} ${call.reqno}`
    );
    assert.equal(numbers.length, 2);
    assert.equal(numbers[0], numbers[1]);
  }
  transport.close();
});

Deno.test("a server without the pinned key is refused, the second pin is tried", async () => {
  await using gateway = await serveGateway(echo);
  const other = toBase64Url(randomBytes(32));
  const { url } = gateway;
  const wrong = createSocketTransport({ url, app: "test-app", pins: [other] });
  await assert.rejects(wrong.call(1000, utf8("x"), WRITE), withCode("RAY_SERVER_KEY"));
  wrong.close();
  const pins = [other, ...gateway.pins];
  const right = createSocketTransport({ url, app: "test-app", pins });
  assert.deepEqual(await right.call(1000, utf8("x"), WRITE), utf8("x"));
  right.close();
});

Deno.test("a server that is not there is NETWORK, and a closed transport is CANCELLED", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  const pins = [toBase64Url(randomBytes(32))];
  const transport = createSocketTransport({ url: `http://127.0.0.1:${port}`, app: "a", pins });
  await assert.rejects(transport.call(1000, utf8("x"), WRITE), withCode("NETWORK"));
  transport.close();
  await assert.rejects(transport.call(1000, utf8("x"), WRITE), withCode("CANCELLED"));
});

Deno.test("closing the transport leaves no pause between two connections behind", async () => {
  const pins = [toBase64Url(randomBytes(32))];
  const transport = createSocketTransport({ url: "http://127.0.0.1:1", app: "a", pins });
  await assert.rejects(transport.call(1000, utf8("x"), READ), withCode("NETWORK"));
  const kept = { setTimeout, clearTimeout };
  const pauses = new Set<unknown>();
  try {
    globalThis.setTimeout = ((work: () => void, wait: number) => {
      const timer = kept.setTimeout(work, wait);
      if (wait < CONNECT_TIMEOUT) pauses.add(timer);
      return timer;
    }) as typeof setTimeout;
    globalThis.clearTimeout = (timer): void => {
      pauses.delete(timer);
      kept.clearTimeout(timer);
    };
    const waiting = assert.rejects(transport.call(1000, utf8("x"), READ), withCode("CANCELLED"));
    assert.equal(pauses.size, 1);
    transport.close();
    await waiting;
    assert.equal(pauses.size, 0);
  } finally {
    Object.assign(globalThis, kept);
  }
});

Deno.test("closing the transport closes a connection whose handshake is under way", async () => {
  await using gateway = await serveGateway(echo);
  for (const opens of [true, false]) {
    const made = Promise.withResolvers<{ readonly closed: boolean }>();
    class Silent {
      closed = false;
      onopen: () => void = () => {};
      constructor() {
        if (opens) queueMicrotask(() => this.onopen());
        else made.resolve(this);
      }
      send(): void {
        made.resolve(this);
      }
      close(): void {
        this.closed = true;
      }
    }
    const { url, pins } = gateway;
    const webSocket = Silent as unknown as typeof WebSocket;
    const transport = createSocketTransport({ url, pins, app: "test-app", webSocket });
    const waiting = assert.rejects(transport.call(1000, utf8("x"), READ), withCode("CANCELLED"));
    const socket = await made.promise;
    transport.close();
    assert.ok(socket.closed);
    await waiting;
  }
});

Deno.test("pauses between failed connections double up to 10 s, half of each random", async () => {
  await using gateway = await serveGateway(echo);
  class Flaky extends WebSocket {
    constructor(url: string) {
      super(down ? "ws://127.0.0.1:1" : url);
    }
  }
  const transport = createSocketTransport({
    ...{ url: gateway.url, app: "test-app", pins: gateway.pins },
    ...{ webSocket: Flaky as typeof WebSocket, timeout: Infinity },
  });
  const pauses: number[] = [];
  let [now, chance, down] = [0, 0, true];
  const kept = { setTimeout, random: Math.random };
  const fail = (): Promise<void> =>
    assert.rejects(transport.call(1000, utf8("x"), READ), withCode("NETWORK"));
  try {
    performance.now = () => now;
    Math.random = () => chance;
    globalThis.setTimeout = ((work: () => void, wait: number) => {
      if (wait === CONNECT_TIMEOUT || wait > 1e9) return kept.setTimeout(work, wait);
      pauses.push(wait);
      now += wait;
      return kept.setTimeout(work, 0);
    }) as typeof setTimeout;
    for (chance of [0, 0, 1, 0, 0, 0, 0, 0, 0.5]) await fail();
    down = false;
    assert.deepEqual(await transport.call(1000, utf8("x"), READ), utf8("x"));
  } finally {
    globalThis.setTimeout = kept.setTimeout;
    Math.random = kept.random;
    Reflect.deleteProperty(performance, "now");
    transport.close();
  }
  assert.deepEqual(pauses, [125, 250, 1000, 1000, 2000, 4000, 5000, 5000, 7500]);
});

Deno.test("calls that a restart cut off wait for the new gateway through five failed connections, no more", async () => {
  for (const refusals of [5, 6]) {
    const seen: string[] = [];
    await using gateway = await serveGateway(async (call) => {
      seen.push(`${call.op} ${call.lane} ${call.reqno}`);
      if (gateway.sockets.length > 1) return await echo(call);
      gateway.sockets[0]!.close();
      return await new Promise(() => {});
    });
    let connections = 0;
    class Restarting extends WebSocket {
      constructor(url: string) {
        const isDown = connections > 0 && connections <= refusals;
        connections++;
        super(isDown ? "ws://127.0.0.1:1" : url);
      }
    }
    const transport = createSocketTransport({
      ...{ url: gateway.url, app: "test-app", pins: gateway.pins },
      webSocket: Restarting as typeof WebSocket,
    });
    const kept = setTimeout;
    globalThis.setTimeout = ((work: () => void, wait: number) =>
      kept(work, wait < CONNECT_TIMEOUT ? 0 : wait)) as typeof setTimeout;
    try {
      const calls = Promise.allSettled([
        transport.call(1000, utf8("read"), READ),
        transport.call(1001, utf8("write"), WRITE),
      ]);
      const codes = (await calls).map((call) =>
        call.status === "fulfilled" ? "" : call.reason.code
      );
      assert.deepEqual(codes, refusals === 5 ? ["", ""] : ["NETWORK", "OUTCOME_UNKNOWN"]);
    } finally {
      globalThis.setTimeout = kept;
      transport.close();
    }
    assert.equal(new Set(seen).size, 2, "a call keeps its number");
  }
});

Deno.test("a call whose time ends while its connection is lost says so, not that it took too long", async () => {
  await using gateway = await serveGateway(() => {
    gateway.sockets[0]!.close();
    return new Promise(() => {});
  });
  let connections = 0;
  class Lost extends WebSocket {
    constructor(url: string) {
      super(connections++ === 0 ? url : "ws://127.0.0.1:1");
    }
  }
  const transport = createSocketTransport({
    ...{ url: gateway.url, app: "test-app", pins: gateway.pins },
    ...{ webSocket: Lost as typeof WebSocket, timeout: 1000 },
  });
  const read = transport.call(1000, utf8("read"), READ);
  const write = transport.call(1001, utf8("write"), WRITE);
  await Promise.all([
    assert.rejects(read, withCode("NETWORK")),
    assert.rejects(write, withCode("OUTCOME_UNKNOWN")),
  ]);
  transport.close();
});

Deno.test("after 23 hours calls go to a new connection, and those under way end on the old one", async () => {
  const answer = Promise.withResolvers<void>();
  await using gateway = await serveGateway(async (call) => {
    if (call.op === 1001) await answer.promise;
    return echo(call);
  });
  const transport = connect(gateway);
  const { now } = Performance.prototype;
  try {
    await transport.call(1000, utf8("x"), READ);
    const open = transport.call(1001, utf8("slow"), { ...READ, timeout: 1e9 });
    open.catch(() => {});
    // The clock is read once a turn.
    await Promise.resolve();
    performance.now = () => now.call(performance) + 23 * 3_600_000 - 60_000;
    await transport.call(1000, utf8("x"), READ);
    assert.equal(gateway.sockets.length, 1);
    performance.now = () => now.call(performance) + 23 * 3_600_000 + 1;
    await transport.call(1000, utf8("x"), READ);
    assert.equal(gateway.sockets.length, 2);
    answer.resolve();
    assert.deepEqual(await open, utf8("slow"));
  } finally {
    Reflect.deleteProperty(performance, "now");
    transport.close();
  }
});
