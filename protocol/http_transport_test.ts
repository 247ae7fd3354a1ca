import assert from "node:assert/strict";
import { type ErrorCode, KontractError } from "../_internal/errors.ts";
import { randomBytes, toBase64Url, utf8 } from "./bytes.ts";
import { createHttpTransport } from "./http_transport.ts";
import type { Dispatch, RpcCall } from "./rpc.ts";
import { makeServer, serveGateway, type TestGateway } from "./testing/gateway.ts";
import type { Transport } from "./transport.ts";
import { RemoteError } from "./wire_error.ts";

const READ = { token: null, mutation: false } as const;
const WRITE = { token: null, mutation: true } as const;

const echo: Dispatch = (call) =>
  Promise.resolve({ kind: "value", payload: new Uint8Array(call.payload) });

function connect(gateway: TestGateway, more: { fetch?: typeof fetch; timeout?: number } = {}) {
  return createHttpTransport({ url: gateway.url, app: "test-app", pins: gateway.pins, ...more });
}

const withCode = (code: ErrorCode) => (error: unknown): boolean => {
  assert.ok(error instanceof KontractError, `no KontractError: ${error}`);
  assert.equal(error.code, code);
  return true;
};

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

async function closing(transport: Transport, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } finally {
    transport.close();
  }
}

Deno.test("a call comes back with its answer, with empty, small and fragmented payloads", async () => {
  await using gateway = await serveGateway(echo);
  const transport = connect(gateway);
  await closing(transport, async () => {
    for (const size of [0, 1, 100, 65_511, 65_512, 200_000, 1 << 20]) {
      const payload = randomBytes(size % 65_536).slice();
      const bytes = new Uint8Array(size);
      bytes.set(payload.subarray(0, size));
      assert.deepEqual(await transport.call(1000, bytes, READ), bytes, `${size} bytes`);
    }
  });
});

Deno.test("op, token, lane and number arrive, and each call of a batch has its own number", async () => {
  const seen: RpcCall[] = [];
  await using gateway = await serveGateway((call) => {
    seen.push(call);
    return echo(call);
  });
  const transport = connect(gateway);
  await closing(transport, async () => {
    await Promise.all(
      [1000, 1001, 1002].map((op) =>
        transport.call(op, utf8("x"), { token: "secret-token", mutation: true })
      ),
    );
    await transport.call(1003, utf8("x"), READ);
  });
  assert.equal(
    gateway.requests.length,
    3,
    "a handshake, one body for three calls, one for the last",
  );
  assert.deepEqual(seen.map((call) => call.op), [1000, 1001, 1002, 1003]);
  assert.deepEqual(seen.map((call) => call.token), [
    "secret-token",
    "secret-token",
    "secret-token",
    null,
  ]);
  assert.equal(new Set(seen.map((call) => call.lane)).size, 1);
  assert.deepEqual(seen.map((call) => call.reqno), [0n, 1n, 2n, 3n]);
});

Deno.test("calls with different tokens never share a body", async () => {
  const seen: (string | null)[] = [];
  await using gateway = await serveGateway((call) => {
    seen.push(call.token);
    return echo(call);
  });
  const transport = connect(gateway);
  await closing(transport, async () => {
    await Promise.all(
      ["a", "b", null, "a"].map((token) =>
        transport.call(1000, utf8("x"), { token, mutation: false })
      ),
    );
  });
  assert.deepEqual(seen.toSorted(), ["a", "a", "b", null]);
  assert.equal(gateway.requests.length, 1 + 3);
});

Deno.test("one handshake serves concurrent calls", async () => {
  await using gateway = await serveGateway(echo);
  const transport = connect(gateway);
  await closing(transport, async () => {
    const calls = Array.from({ length: 20 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index % 3));
      const payload = utf8(`call ${index}`);
      assert.deepEqual(await transport.call(1000, payload, READ), payload);
    });
    await Promise.all(calls);
  });
  const handshakes = gateway.requests.filter((request) =>
    Number(request.headers.get("content-length")) === 16 + 14 + "test-app".length + 48
  );
  assert.equal(handshakes.length, 1);
});

Deno.test("a fast call of a batch does not wait for a slow one", async () => {
  const slow = Promise.withResolvers<void>();
  await using gateway = await serveGateway(async (call) => {
    if (call.op === 1001) await slow.promise;
    return await echo(call);
  });
  const transport = connect(gateway);
  await closing(transport, async () => {
    const late = transport.call(1001, utf8("late"), READ);
    const soon = transport.call(1000, utf8("soon"), READ);
    assert.equal(text(await soon), "soon");
    slow.resolve();
    assert.equal(text(await late), "late");
  });
});

Deno.test("errors arrive typed, with data and request id, and nothing of what was not public", async () => {
  await using gateway = await serveGateway((call) => {
    if (call.op === 1000) {
      const error = { code: "FORBIDDEN", message: "No.", data: { why: ["x"] }, requestId: "r1" };
      return Promise.resolve({ kind: "error", error });
    }
    if (call.op === 1001) throw new Error("SELECT secret FROM internals");
    return Promise.resolve({ kind: "error", error: { code: "FUTURE_CODE", message: "New." } });
  });
  const transport = connect(gateway);
  await closing(transport, async () => {
    const [first, second, third] = await Promise.allSettled(
      [1000, 1001, 1002].map((op) => transport.call(op, utf8(""), READ)),
    );
    assert.ok(first?.status === "rejected" && first.reason instanceof RemoteError);
    assert.deepEqual(
      [first.reason.code, first.reason.message, first.reason.data, first.reason.requestId],
      ["FORBIDDEN", "No.", { why: ["x"] }, "r1"],
    );
    assert.ok(second?.status === "rejected" && second.reason instanceof RemoteError);
    assert.equal(second.reason.code, "INTERNAL");
    assert.doesNotMatch(second.reason.message, /secret|internals/);
    assert.ok(third?.status === "rejected" && third.reason instanceof RemoteError);
    assert.deepEqual([third.reason.code, third.reason.remoteCode], ["INTERNAL", "FUTURE_CODE"]);
  });
});

Deno.test("a server without the pinned key is refused, and no call is ever sent to it", async () => {
  let calls = 0;
  await using gateway = await serveGateway((call) => {
    calls++;
    return echo(call);
  });
  const pins = [toBase64Url(randomBytes(32)), toBase64Url(randomBytes(32))];
  const transport = createHttpTransport({ url: gateway.url, app: "test-app", pins });
  await closing(transport, async () => {
    await assert.rejects(transport.call(1000, utf8("x"), WRITE), withCode("RAY_SERVER_KEY"));
  });
  assert.equal(calls, 0);
});

Deno.test("a server that poses under the pinned key's name is refused", async () => {
  await using real = await serveGateway(echo);
  const { keys } = await real.server.keys();
  // The impostor knows everything that is public and answers with a handshake of its own key.
  await using impostor = await serveGateway(echo, {}, async (request, next) => {
    const body = new Uint8Array(await request.arrayBuffer());
    const own = (await impostor.server.keys()).keys[0];
    assert.ok(own !== undefined);
    body.set(utf8(own.kid), 20);
    const headers = request.headers;
    return await next(new Request(request.url, { method: "POST", headers, body }));
  });
  assert.ok(keys.length === 1);
  const transport = createHttpTransport({ url: impostor.url, app: "test-app", pins: real.pins });
  await closing(transport, async () => {
    await assert.rejects(transport.call(1000, utf8("x"), READ), withCode("RAY_SERVER_KEY"));
  });
});

Deno.test("the second pin is used where the server does not hold the first", async () => {
  await using gateway = await serveGateway(echo);
  const pins = [toBase64Url(randomBytes(32)), ...gateway.pins];
  const transport = createHttpTransport({ url: gateway.url, app: "test-app", pins });
  await closing(transport, async () => {
    assert.equal(text(await transport.call(1000, utf8("x"), READ)), "x");
  });
});

Deno.test("a hello for another app is refused", async () => {
  await using gateway = await serveGateway(echo);
  const transport = createHttpTransport({ url: gateway.url, app: "other", pins: gateway.pins });
  await closing(transport, async () => {
    await assert.rejects(transport.call(1000, utf8("x"), READ), withCode("RAY_SERVER_KEY"));
  });
});

Deno.test("pins that are no keys are a configuration error", async () => {
  for (const pins of [[], ["x"], ["!"], Array(4).fill(toBase64Url(randomBytes(32)))]) {
    const transport = createHttpTransport({ url: "http://127.0.0.1:9", app: "a", pins });
    await closing(transport, async () => {
      await assert.rejects(transport.call(1000, utf8("x"), READ), withCode("CONFIG"));
    });
  }
  assert.throws(
    () => createHttpTransport({ url: "no url", app: "a", pins: [] }),
    withCode("CONFIG"),
  );
});

Deno.test("a stream yields its elements in order, large ones included, and ends", async () => {
  const elements = [utf8("one"), randomBytes(60_000), new Uint8Array(150_000).fill(7), utf8("")];
  await using gateway = await serveGateway(() =>
    Promise.resolve({
      kind: "stream",
      elements: (async function* () {
        yield* elements;
      })(),
    })
  );
  const transport = connect(gateway);
  await closing(transport, async () => {
    const got = await Array.fromAsync(transport.stream(1000, utf8("x"), READ));
    assert.deepEqual(got, elements);
  });
});

Deno.test("an error inside a stream ends it after the elements that came before", async () => {
  await using gateway = await serveGateway(() =>
    Promise.resolve({
      kind: "stream",
      elements: (async function* () {
        yield utf8("first");
        throw new KontractError("FORBIDDEN", "Not the second.");
      })(),
    })
  );
  const transport = connect(gateway);
  await closing(transport, async () => {
    const got: string[] = [];
    await assert.rejects(async () => {
      for await (const element of transport.stream(1000, utf8("x"), READ)) got.push(text(element));
    }, withCode("FORBIDDEN"));
    assert.deepEqual(got, ["first"]);
  });
});

Deno.test("leaving a stream aborts the call on the server and ends its generator", async () => {
  const aborted = Promise.withResolvers<void>();
  const returned = Promise.withResolvers<void>();
  await using gateway = await serveGateway((call) => {
    call.signal.addEventListener("abort", () => aborted.resolve());
    return Promise.resolve({
      kind: "stream",
      elements: (async function* () {
        try {
          for (let index = 0;; index++) yield randomBytes(20_000);
        } finally {
          returned.resolve();
        }
      })(),
    });
  });
  const transport = connect(gateway);
  await closing(transport, async () => {
    for await (const element of transport.stream(1000, utf8("x"), READ)) {
      assert.equal(element.length, 20_000);
      break;
    }
    await aborted.promise;
    await returned.promise;
  });
});

Deno.test("an endless stream is produced no faster than it is read", async () => {
  let produced = 0;
  await using gateway = await serveGateway(() =>
    Promise.resolve({
      kind: "stream",
      elements: (async function* () {
        while (produced < 100_000) {
          produced++;
          yield randomBytes(50_000);
        }
      })(),
    })
  );
  const transport = connect(gateway);
  await closing(transport, async () => {
    const iterator = transport.stream(1000, utf8("x"), READ)[Symbol.asyncIterator]();
    // Sockets buffer a few MB; without back-pressure the producer would never pause at all.
    for (let taken = 1; taken <= 200; taken++) {
      await iterator.next();
      const ahead = produced - taken;
      assert.ok(
        ahead < 1000,
        `${ahead} elements were produced ahead of the ${taken} that were read`,
      );
    }
    await iterator.return?.();
  });
});

Deno.test("an aborted call rejects at once and its signal fires on the server", async () => {
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  await using gateway = await serveGateway((call) => {
    started.resolve();
    return new Promise((resolve) => {
      call.signal.addEventListener("abort", () => {
        aborted.resolve();
        resolve({ kind: "error", error: { code: "CANCELLED", message: "" } });
      });
    });
  });
  const transport = connect(gateway);
  await closing(transport, async () => {
    const abort = new AbortController();
    const call = transport.call(1000, utf8("x"), { ...READ, signal: abort.signal });
    const rejected = assert.rejects(call, withCode("CANCELLED"));
    await started.promise;
    abort.abort();
    await rejected;
    await aborted.promise;
    const late = transport.call(1000, utf8("x"), { ...READ, signal: abort.signal });
    await assert.rejects(late, withCode("CANCELLED"));
  });
});

Deno.test("a call whose time ends while the system is offline says that no server was reached", async () => {
  await using gateway = await serveGateway((call) =>
    new Promise((resolve) => {
      call.signal.addEventListener("abort", () => {
        resolve({ kind: "error", error: { code: "CANCELLED", message: "" } });
      });
    })
  );
  const transport = connect(gateway);
  Object.defineProperty(navigator, "onLine", { value: false, configurable: true });
  try {
    const options = { timeout: 50 };
    await assert.rejects(
      transport.call(1000, utf8("x"), { ...READ, ...options }),
      withCode("NETWORK"),
    );
    await assert.rejects(
      transport.call(1000, utf8("x"), { ...WRITE, ...options }),
      withCode("OUTCOME_UNKNOWN"),
    );
  } finally {
    Reflect.deleteProperty(navigator, "onLine");
    transport.close();
  }
});

Deno.test("a deadline ends the wait, and closing the transport ends everything", async () => {
  await using gateway = await serveGateway((call) =>
    new Promise((resolve) => {
      call.signal.addEventListener("abort", () => {
        resolve({ kind: "error", error: { code: "CANCELLED", message: "" } });
      });
    })
  );
  const transport = connect(gateway);
  await assert.rejects(
    transport.call(1000, utf8("x"), { ...READ, timeout: 50 }),
    withCode("DEADLINE_EXCEEDED"),
  );
  const open = assert.rejects(transport.call(1000, utf8("x"), READ), withCode("CANCELLED"));
  transport.close();
  await open;
  await assert.rejects(transport.call(1000, utf8("x"), READ), withCode("CANCELLED"));
  await assert.rejects(
    Array.fromAsync(transport.stream(1000, utf8("x"), READ)),
    withCode("CANCELLED"),
  );
});

Deno.test("closing the transport ends a handshake that is under way, and what it asked for before", async () => {
  const { pins } = await makeServer().keys();
  for (const pin of [pins[0]!, `root.${toBase64Url(randomBytes(32))}`]) {
    const asked = Promise.withResolvers<AbortSignal>();
    const silent: typeof fetch = (_input, init) => {
      asked.resolve(init!.signal!);
      return new Promise((_, reject) => {
        init!.signal!.addEventListener("abort", () => reject(init!.signal!.reason));
      });
    };
    const transport = createHttpTransport({
      ...{ url: "http://gateway.test", app: "test-app", pins: [pin], fetch: silent },
    });
    const waiting = assert.rejects(transport.call(1000, utf8("x"), WRITE), withCode("CANCELLED"));
    const signal = await asked.promise;
    transport.close();
    assert.ok(signal.aborted, pin);
    await waiting;
  }
});

Deno.test("a call larger than the announced limit is refused before it is sent", async () => {
  await using gateway = await serveGateway(echo, { limits: { message: 10_000 } });
  const transport = connect(gateway);
  await closing(transport, async () => {
    await assert.rejects(
      transport.call(1000, new Uint8Array(10_001), READ),
      {
        code: "TOO_LARGE",
        message: /: 10000 bytes\. Larger files go up as .* a ReadableStream\.$/,
      },
    );
    assert.equal((await transport.call(1000, new Uint8Array(10_000), READ)).length, 10_000);
  });
});

Deno.test("a result larger than the limit is a typed error", async () => {
  await using gateway = await serveGateway(
    () => Promise.resolve({ kind: "value", payload: new Uint8Array(10_001) }),
    { limits: { message: 10_000 } },
  );
  const transport = connect(gateway);
  await closing(transport, async () => {
    await assert.rejects(transport.call(1000, utf8("x"), READ), withCode("TOO_LARGE"));
  });
});

Deno.test("a server that is not there is NETWORK, for mutations too: nothing was sent", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  const pins = [toBase64Url(randomBytes(32))];
  const transport = createHttpTransport({ url: `http://127.0.0.1:${port}`, app: "a", pins });
  await closing(transport, async () => {
    await assert.rejects(transport.call(1000, utf8("x"), WRITE), withCode("NETWORK"));
  });
});

Deno.test("an address that answers something else is NETWORK", async () => {
  await using gateway = await serveGateway(
    echo,
    {},
    () => Promise.resolve(new Response("<html>Sign in to the hotel's network</html>")),
  );
  const transport = connect(gateway);
  await closing(transport, async () => {
    await assert.rejects(transport.call(1000, utf8("x"), READ), withCode("NETWORK"));
  });
});

Deno.test("a subscription over HTTP that hears nothing is opened anew in the end, another stream is not", async () => {
  const silent: Dispatch = () =>
    Promise.resolve({
      kind: "stream",
      elements: (async function* () {
        await new Promise(() => {});
        yield utf8("");
      })(),
    });
  await using gateway = await serveGateway(silent);
  const transport = connect(gateway);
  const kept = { setTimeout };
  let now = 0;
  try {
    performance.now = () => now;
    globalThis.setTimeout = ((work: () => void, wait: number) => {
      const passes = wait === 300_000;
      return kept.setTimeout(() => {
        if (passes) now += wait;
        work();
      }, passes ? 0 : wait);
    }) as typeof setTimeout;
    const leave = new AbortController();
    const other = transport.stream(1000, utf8(""), { ...READ, signal: leave.signal });
    const waiting = Array.fromAsync(other);
    waiting.catch(() => {});
    const followed = transport.stream(2, utf8(""), { ...READ, signal: leave.signal });
    const fuse = kept.setTimeout(() => leave.abort(), 3000);
    await assert.rejects(Array.fromAsync(followed), withCode("DEADLINE_EXCEEDED"));
    clearTimeout(fuse);
    leave.abort();
    await assert.rejects(waiting, withCode("CANCELLED"));
  } finally {
    globalThis.setTimeout = kept.setTimeout;
    Reflect.deleteProperty(performance, "now");
    transport.close();
  }
});

Deno.test("a subscription over HTTP lasts for as long as it hears something within five minutes", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  await using gateway = await serveGateway(() =>
    Promise.resolve({ kind: "stream", elements: readable })
  );
  const transport = connect(gateway);
  const kept = { setTimeout };
  const long = new Map<() => void, number>();
  let now = 0;
  const pass = (milliseconds: number): void => {
    now += milliseconds;
    for (const [ring, at] of long) {
      if (at > now) continue;
      long.delete(ring);
      ring();
    }
  };
  try {
    performance.now = () => now;
    globalThis.setTimeout = ((work: () => void, wait: number) => {
      if (wait < 60_000) return kept.setTimeout(work, wait);
      long.set(work, now + wait);
      return 0;
    }) as typeof setTimeout;
    const followed = transport.stream(2, utf8(""), READ)[Symbol.asyncIterator]();
    for (const word of ["a", "b", "c"]) {
      const next = followed.next();
      await writer.write(utf8(word));
      assert.equal(text((await next).value!), word);
      pass(240_000);
    }
    const next = followed.next();
    pass(300_000);
    await assert.rejects(next, withCode("DEADLINE_EXCEEDED"));
  } finally {
    globalThis.setTimeout = kept.setTimeout;
    Reflect.deleteProperty(performance, "now");
    transport.close();
    await writer.close().catch(() => {});
  }
});
