import assert from "node:assert/strict";
import { createTransport } from "./auto_transport.ts";
import { concat, EMPTY, utf8 } from "./bytes.ts";
import { createHttpTransport } from "./client.ts";
import type { Dispatch, RpcCall, RpcReply } from "./rpc.ts";
import { RAY_CONTENT_TYPE } from "./server.ts";
import { INITIAL_CREDIT } from "./socket_control.ts";
import { createSocketTransport } from "./socket_transport.ts";
import { makeServer, serveGateway, type TestGateway } from "./testing/gateway.ts";
import type { Transport } from "./transport.ts";

const SMALL = { message: 100_000, reassembly: 400_000 } as const;
const WRITE = { token: null, mutation: true } as const;

/** How many bytes two streamed arguments had, by op. */
const SUM = 1000;
/** Takes one element and leaves. */
const FIRST = 1001;
/** Gives back what comes. */
const ECHO = 1002;
/** Looks at nothing. */
const IGNORE = 1003;

const answer = (text: string): RpcReply => ({ kind: "value", payload: utf8(text) });

/** Ends of functions, with what their argument threw. */
class Functions {
  readonly ended: string[] = [];
  readonly #waiting: (() => void)[] = [];

  readonly dispatch: Dispatch = async (call) => {
    if (call.op === ECHO) return { kind: "stream", elements: this.#echo(call) };
    const outcome = await this.#run(call).catch((error: { code: string }) => error.code);
    this.#note(outcome);
    return answer(outcome);
  };

  async *#echo(call: RpcCall): AsyncGenerator<Uint8Array> {
    try {
      yield* call.input(0);
    } finally {
      this.#note("echoed");
    }
  }

  #note(outcome: string): void {
    this.ended.push(outcome);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #run(call: RpcCall): Promise<string> {
    if (call.op === IGNORE) return "ignored";
    let sum = 0;
    for (const argument of call.op === SUM ? [0, 1] : [0]) {
      for await (const element of call.input(argument)) {
        sum += element.length;
        if (call.op === FIRST) break;
      }
    }
    return String(sum);
  }

  async end(): Promise<string> {
    while (this.ended.length === 0) await new Promise<void>((wake) => this.#waiting.push(wake));
    return this.ended.shift()!;
  }
}

/** A source that counts, and says when it was left. */
class Source implements AsyncIterable<Uint8Array> {
  made = 0;
  readonly left = Promise.withResolvers<void>();
  readonly #count: number;
  readonly #size: number;
  readonly #fail: Error | null;

  constructor(count: number, size: number, fail: Error | null = null) {
    this.#count = count;
    this.#size = size;
    this.#fail = fail;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      while (this.made < this.#count) {
        this.made++;
        yield await Promise.resolve(new Uint8Array(this.#size));
      }
      if (this.#fail !== null) throw this.#fail;
    } finally {
      this.left.resolve();
    }
  }
}

const KINDS = {
  HTTP: createHttpTransport,
  WebSocket: createSocketTransport,
} as const;

function connect(gateway: TestGateway, kind: keyof typeof KINDS): Transport & Disposable {
  const { url, pins } = gateway;
  const transport = KINDS[kind]({ url, pins, app: "test-app" });
  return Object.assign(transport, { [Symbol.dispose]: () => transport.close() });
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

for (const kind of ["HTTP", "WebSocket"] as const) {
  Deno.test(`${kind}: streamed arguments arrive whole and in order, in both directions`, async () => {
    const functions = new Functions();
    await using gateway = await serveGateway(functions.dispatch);
    using transport = connect(gateway, kind);
    const progress: number[] = [];
    const inputs = [new Source(40, 1000), new Source(0, 0)];
    const onProgress = (sent: number): void => void progress.push(sent);
    assert.equal(text(await transport.call(SUM, EMPTY, { ...WRITE, inputs, onProgress })), "40000");
    assert.deepEqual(progress, Array.from({ length: 40 }, (_, index) => 1000 * (index + 1)));

    const words = ["a", "", "b".repeat(70_000), "c"];
    const given = (async function* () {
      for (const word of words) yield await Promise.resolve(utf8(word));
    })();
    const got: string[] = [];
    const stream = transport.stream(ECHO, EMPTY, { ...WRITE, inputs: [given] });
    for await (const element of stream) got.push(text(element));
    assert.deepEqual(got, words);
  });

  Deno.test(`${kind}: a function that leaves early or never looks is answered all the same`, async () => {
    const functions = new Functions();
    await using gateway = await serveGateway(functions.dispatch);
    using transport = connect(gateway, kind);
    for (const [op, expected] of [[FIRST, "1000"], [IGNORE, "ignored"]] as const) {
      const source = new Source(100, 1000);
      const inputs = [source];
      assert.equal(text(await transport.call(op, EMPTY, { ...WRITE, inputs })), expected);
      if (source.made > 0) await source.left.promise;
      if (kind === "WebSocket" && op === IGNORE) assert.equal(source.made, 0, "never touched");
    }
  });

  Deno.test(`${kind}: what a source throws is what the caller gets, and the function is cancelled`, async () => {
    const functions = new Functions();
    await using gateway = await serveGateway(functions.dispatch);
    using transport = connect(gateway, kind);
    const failure = new Error("the disk is gone");
    const inputs = [new Source(3, 10, failure), new Source(1, 1)];
    await assert.rejects(transport.call(SUM, EMPTY, { ...WRITE, inputs }), failure);
    if (kind === "WebSocket") assert.equal(await functions.end(), "CANCELLED");
    const fine = [new Source(1, 10), new Source(1, 1)];
    assert.equal(text(await transport.call(SUM, EMPTY, { ...WRITE, inputs: fine })), "11");
  });
}

Deno.test("a source is never further ahead of the function than its credit", async () => {
  const size = 10_000;
  const source = new Source(200, size);
  let taken = 0;
  let ahead = 0;
  await using gateway = await serveGateway(async (call) => {
    for await (const element of call.input(0)) {
      ahead = Math.max(ahead, source.made * size - taken);
      taken += element.length;
      if (taken % (10 * size) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return answer(String(taken));
  });
  using transport = connect(gateway, "WebSocket");
  const inputs = [source];
  assert.equal(text(await transport.call(SUM, EMPTY, { ...WRITE, inputs })), String(200 * size));
  assert.ok(ahead <= INITIAL_CREDIT + 2 * size, `${ahead} bytes ahead`);
});

Deno.test("streams that do not fit side by side take turns", async () => {
  const functions = new Functions();
  // Room for two windows.
  const limits = { message: 1024, reassembly: 2 * INITIAL_CREDIT };
  await using gateway = await serveGateway(functions.dispatch, { limits });
  using transport = connect(gateway, "WebSocket");
  const answers = await Promise.all(Array.from({ length: 20 }, () => {
    const inputs = [new Source(300, 1000), new Source(1, 1)];
    return transport.call(SUM, EMPTY, { ...WRITE, inputs });
  }));
  assert.deepEqual(answers.map(text), Array(20).fill("300001"));
});

Deno.test("an aborted call ends the function's loop and tells the source", async () => {
  const functions = new Functions();
  await using gateway = await serveGateway(functions.dispatch);
  using transport = connect(gateway, "WebSocket");
  const abort = new AbortController();
  const source = new Source(Infinity, 1000);
  const onProgress = (sent: number): void => {
    if (sent > 50_000) abort.abort();
  };
  const call = transport.call(SUM, EMPTY, {
    ...{ ...WRITE, onProgress },
    ...{ inputs: [source, new Source(0, 0)], signal: abort.signal },
  });
  await assert.rejects(call, { code: "CANCELLED" });
  await source.left.promise;
  assert.equal(await functions.end(), "CANCELLED");
  const inputs = [new Source(1, 10), new Source(1, 1)];
  assert.equal(text(await transport.call(SUM, EMPTY, { ...WRITE, inputs })), "11");
});

Deno.test("a connection that is lost ends both, and the call is not sent again once its source was read", async () => {
  const functions = new Functions();
  await using gateway = await serveGateway(functions.dispatch);
  using transport = connect(gateway, "WebSocket");
  const source = new Source(Infinity, 1000);
  const onProgress = (sent: number): void => {
    if (sent === 50_000) gateway.sockets[0]!.close();
  };
  const inputs = [source, new Source(0, 0)];
  const call = transport.call(SUM, EMPTY, { ...WRITE, inputs, onProgress });
  await assert.rejects(call, { code: "OUTCOME_UNKNOWN" });
  await source.left.promise;
  assert.equal(await functions.end(), "CANCELLED");
  assert.equal(gateway.sockets.length, 1);
});

Deno.test("over HTTP a file of any size goes up and comes down, a message of it held at a time", async () => {
  const [size, count] = [1 << 16, 512];
  const source = new Source(count, size);
  let taken = 0;
  let ahead = 0;
  const dispatch: Dispatch = (call) =>
    Promise.resolve({
      kind: "stream",
      elements: (async function* () {
        for await (const element of call.input(0)) {
          taken += element.length;
          ahead = Math.max(ahead, source.made * size - taken);
          yield element;
        }
      })(),
    });
  // Without sockets, which hold as much as the system lets them.
  const server = makeServer();
  const handle =
    ((url: string, init: RequestInit) =>
      server.handle(new Request(url, init), dispatch)) as typeof fetch;
  const { pins } = await server.keys();
  const transport = createHttpTransport({
    ...{ url: "http://gateway.test", pins, app: "test-app", fetch: handle },
  });
  const progress: number[] = [];
  const onProgress = (sent: number): void => void progress.push(sent);
  const inputs = [source];
  let got = 0;
  let behind = 0;
  for await (const element of transport.stream(ECHO, EMPTY, { ...WRITE, inputs, onProgress })) {
    got += element.length;
    behind = Math.max(behind, taken - got);
  }
  assert.deepEqual([got, progress.at(-1)], [size * count, size * count]);
  assert.ok(ahead <= (1 << 20) + 3 * size, `${ahead} bytes ahead of the function`);
  assert.ok(behind < 1 << 20, `${behind} bytes behind it`);
  transport.close();
});

Deno.test("over HTTP a call with a long stream has its own answer, and a function may leave early", async () => {
  const functions = new Functions();
  await using gateway = await serveGateway(functions.dispatch, { limits: SMALL });
  using transport = connect(gateway, "HTTP");
  const inputs = [new Source(500, 1000), new Source(300, 1000)];
  assert.equal(text(await transport.call(SUM, EMPTY, { ...WRITE, inputs })), "800000");
  for (const [op, expected] of [[FIRST, "1000"], [IGNORE, "ignored"]] as const) {
    const source = new Source(Infinity, 1000);
    const answered = await transport.call(op, EMPTY, { ...WRITE, inputs: [source] });
    assert.equal(text(answered), expected);
    await source.left.promise;
  }
});

Deno.test("over HTTP arguments of a long body are held up to a limit where they are read out of order", async () => {
  const outcomes: string[] = [];
  await using gateway = await serveGateway(async (call) => {
    try {
      for (const argument of [1, 0]) for await (const _ of call.input(argument));
      outcomes.push("read");
    } catch (error) {
      outcomes.push((error as { code: string }).code);
    }
    return answer("");
  }, { limits: SMALL });
  using transport = connect(gateway, "HTTP");
  for (const length of [300, 600]) {
    const inputs = [new Source(length, 1000), new Source(1, 1)];
    await transport.call(SUM, EMPTY, { ...WRITE, inputs });
  }
  assert.deepEqual(outcomes, ["read", "OVERLOADED"]);
});

Deno.test("over HTTP a long body that is aborted or whose source fails ends both sides", async () => {
  const functions = new Functions();
  await using gateway = await serveGateway(functions.dispatch, { limits: SMALL });
  using transport = connect(gateway, "HTTP");
  const failure = new Error("the disk is gone");
  const failing = [new Source(500, 1000, failure), new Source(0, 0)];
  await assert.rejects(transport.call(SUM, EMPTY, { ...WRITE, inputs: failing }), failure);
  assert.equal(await functions.end(), "CANCELLED");

  const abort = new AbortController();
  const source = new Source(Infinity, 1000);
  const onProgress = (sent: number): void => {
    if (sent > 500_000) abort.abort();
  };
  const inputs = [source, new Source(0, 0)];
  const options = { ...WRITE, inputs, onProgress, signal: abort.signal };
  await assert.rejects(transport.call(SUM, EMPTY, options), { code: "CANCELLED" });
  await source.left.promise;
  assert.equal(await functions.end(), "CANCELLED");
  // What was sent is gone: it must not pass for a stream that is empty.
  const again = { ...WRITE, inputs };
  await assert.rejects(transport.call(SUM, EMPTY, again), { code: "CONFLICT" });
});

Deno.test("a long body that is changed or cut off on the way fails the function that reads it", async () => {
  const functions = new Functions();
  const server = makeServer({ limits: SMALL });
  const { pins } = await server.keys();
  const damage = {
    flip: (chunk: Uint8Array) => chunk.map((byte, at) => at === 500 ? byte ^ 1 : byte),
    drop: () => undefined,
    double: (chunk: Uint8Array) => concat(chunk, chunk),
    end: null,
  };
  for (const change of Object.values(damage)) {
    let chunks = 0;
    const through = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller): void {
        if (++chunks !== 200) return controller.enqueue(chunk);
        if (change === null) return controller.terminate();
        const changed = change(chunk);
        if (changed !== undefined) controller.enqueue(changed);
      },
    });
    const handle = ((url: string, init: RequestInit) => {
      const body = init.body instanceof ReadableStream ? init.body.pipeThrough(through) : init.body;
      return server.handle(new Request(url, { ...init, body }), functions.dispatch);
    }) as typeof fetch;
    const options = { url: "http://gateway.test", pins, app: "test-app", fetch: handle };
    const transport = createHttpTransport(options);
    const inputs = [new Source(500, 1000), new Source(0, 0)];
    // Far enough in for the function to run.
    const outcome = text(await transport.call(SUM, EMPTY, { ...WRITE, inputs }));
    assert.equal(outcome, "RAY_PROTOCOL");
    transport.close();
  }
});

Deno.test("a long body whose ticket ran out while it was collected waits for a busy gateway, and none of it is lost", async () => {
  const functions = new Functions();
  const server = makeServer({ limits: SMALL });
  const { pins } = await server.keys();
  const { now } = performance;
  let handshakes = 0;
  const handle = ((url: string, init: RequestInit) => {
    const isHandshake = init.body instanceof Uint8Array && init.body[1] !== 0x40;
    if (isHandshake && ++handshakes === 2) {
      const headers = { "content-type": RAY_CONTENT_TYPE };
      return Promise.resolve(new Response("", { status: 503, headers }));
    }
    return server.handle(new Request(url, init), functions.dispatch);
  }) as typeof fetch;
  const options = { url: "http://gateway.test", pins, app: "test-app", fetch: handle };
  const transport = createHttpTransport(options);
  const source = new Source(500, 1000);
  const inputs = [source, new Source(3, 1)];
  const onProgress = (sent: number): void => {
    // A ticket lasts for an hour.
    if (sent === 50_000) performance.now = () => now.call(performance) + 3_600_000;
  };
  try {
    const options = { ...WRITE, inputs, onProgress, timeout: 7_200_000 };
    assert.equal(text(await transport.call(SUM, EMPTY, options)), "500003");
    assert.equal(handshakes, 3);
    await source.left.promise;
  } finally {
    Reflect.deleteProperty(performance, "now");
    transport.close();
  }
});

Deno.test("a long body that was never begun, as in Chromium over HTTP/1.1, is NETWORK and not unknown", async () => {
  const server = makeServer({ limits: SMALL });
  const { pins } = await server.keys();
  const refuses =
    ((url: string, init: RequestInit) =>
      init.body instanceof ReadableStream
        ? Promise.reject(new TypeError("Failed to fetch"))
        : server.handle(new Request(url, init), new Functions().dispatch)) as typeof fetch;
  const options = { url: "http://gateway.test", pins, app: "test-app", fetch: refuses };
  const transport = createHttpTransport(options);
  const source = new Source(500, 1000);
  const inputs = [source, new Source(0, 0)];
  await assert.rejects(transport.call(SUM, EMPTY, { ...WRITE, inputs }), { code: "NETWORK" });
  await source.left.promise;
  transport.close();
});

Deno.test("where requests cannot stream, what does not fit into one body is TOO_LARGE, and its source is told", async () => {
  const functions = new Functions();
  await using gateway = await serveGateway(functions.dispatch, { limits: SMALL });
  using transport = connect(gateway, "HTTP");
  const source = new Source(Infinity, 1000);
  const platform = globalThis.Request;
  // As Safari's and Firefox's do: a stream becomes text.
  globalThis.Request = class extends platform {
    constructor(input: RequestInfo | URL, init?: RequestInit) {
      super(input, init?.body instanceof ReadableStream ? { ...init, body: "text" } : init);
    }
  };
  try {
    const inputs = [source, new Source(0, 0)];
    await assert.rejects(transport.call(SUM, EMPTY, { ...WRITE, inputs }), { code: "TOO_LARGE" });
  } finally {
    globalThis.Request = platform;
  }
  await source.left.promise;
  assert.ok(source.made < 101);
});

Deno.test("streamed arguments take the WebSocket, and HTTP where there is none", async () => {
  const functions = new Functions();
  await using gateway = await serveGateway(functions.dispatch);
  for (const webSocket of [undefined, null]) {
    const { url, pins } = gateway;
    const transport = createTransport({ url, pins, app: "test-app", webSocket });
    const before = gateway.sockets.length;
    const inputs = [new Source(2, 10), new Source(1, 1)];
    assert.equal(text(await transport.call(SUM, EMPTY, { ...WRITE, inputs })), "21");
    assert.equal(gateway.sockets.length - before, webSocket === null ? 0 : 1);
    transport.close();
  }
});

Deno.test("over HTTP the start of a long body may end anywhere: before the first element, and between arguments", async () => {
  const functions = new Functions();
  const server = makeServer({ limits: SMALL });
  const { pins } = await server.keys();
  const handle = ((url: string, init: RequestInit) => {
    const body = init.body instanceof ReadableStream
      ? init.body.pipeThrough(inPieces(1000))
      : init.body;
    return server.handle(new Request(url, { ...init, body }), functions.dispatch);
  }) as typeof fetch;
  const options = { url: "http://gateway.test", pins, app: "test-app", fetch: handle };
  const transport = createHttpTransport(options);
  for (
    const [payload, inputs, expected] of [
      [new Uint8Array(90_000), [new Source(2, 100_000), new Source(0, 0)], "200000"],
      [EMPTY, [new Source(1, 90_000), new Source(2, 100_000)], "290000"],
    ] as const
  ) {
    assert.equal(text(await transport.call(SUM, payload, { ...WRITE, inputs })), expected);
  }
  transport.close();
});

function inPieces(size: number): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(chunk, controller): void {
      for (let at = 0; at < chunk.length; at += size) {
        controller.enqueue(chunk.subarray(at, at + size));
      }
    },
  });
}

Deno.test("over HTTP what is left of an argument its function has left is not held", async () => {
  await using gateway = await serveGateway(async (call) => {
    for await (const _ of call.input(0)) break;
    let sum = 0;
    for await (const element of call.input(1)) sum += element.length;
    return answer(String(sum));
  }, { limits: SMALL });
  using transport = connect(gateway, "HTTP");
  const inputs = [new Source(1000, 1000), new Source(7, 1000)];
  assert.equal(text(await transport.call(SUM, EMPTY, { ...WRITE, inputs })), "7000");
});

Deno.test("over HTTP an endless body is left, its connection goes on, and its source is told", async () => {
  const functions = new Functions();
  const ends: Promise<unknown>[] = [];
  await using gateway = await serveGateway(
    functions.dispatch,
    { limits: SMALL },
    (request, next) => {
      // What the server reads of the body, seen to its end.
      const [seen, read] = request.body!.tee();
      ends.push(Array.fromAsync(seen).then(() => "ended", () => "broken"));
      return next(new Request(request.url, { ...INIT, headers: request.headers, body: read }));
    },
  );
  using transport = connect(gateway, "HTTP");
  for (const op of [FIRST, IGNORE]) {
    const source = new Source(Infinity, 10_000);
    const answered = transport.call(op, EMPTY, { ...WRITE, inputs: [source] });
    assert.equal(text(await answered), op === FIRST ? "10000" : "ignored");
    await source.left.promise;
  }
  const source = new Source(Infinity, 10_000);
  for await (const element of transport.stream(ECHO, EMPTY, { ...WRITE, inputs: [source] })) {
    assert.equal(element.length, 10_000);
    break;
  }
  await source.left.promise;
  // The handshake, and two that were answered. What the host says of one that the caller has left is its own.
  assert.deepEqual(await Promise.all(ends.slice(0, 3)), ["ended", "ended", "ended"]);
});

const INIT = { method: "POST", duplex: "half" };

Deno.test("over HTTP a stream that waits for more of an argument ends when its client has gone, whatever the host says of the body", async () => {
  const functions = new Functions();
  const { promise: silent, resolve: silence } = Promise.withResolvers<void>();
  await using gateway = await serveGateway(
    functions.dispatch,
    { limits: SMALL },
    (request, next) => {
      const reader = request.body!.getReader();
      const body = new ReadableStream<Uint8Array>({
        start: async (controller) => {
          for (let length = 0; length < 400_000;) {
            const { done, value } = await reader.read();
            if (done) return controller.close();
            length += value.length;
            controller.enqueue(value);
          }
          silence();
          // Read on, so that the host can see the end of the connection, and say nothing of it.
          while (!(await reader.read().catch(() => ({ done: true }))).done);
        },
      });
      const { url, headers, signal } = request;
      return next(new Request(url, { ...INIT, headers, body, signal }));
    },
  );
  using transport = connect(gateway, "HTTP");
  const source = new Source(Infinity, 10_000);
  for await (const _ of transport.stream(ECHO, EMPTY, { ...WRITE, inputs: [source] })) {
    await silent;
    break;
  }
  assert.equal(await functions.end(), "echoed");
});

Deno.test("a refusal does not read a body that never ends for ever", async () => {
  const server = makeServer({ limits: SMALL });
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += 1 << 20;
      controller.enqueue(new Uint8Array(1 << 20));
    },
  });
  const headers = { "content-type": "application/raystream" };
  const request = new Request("http://gateway.test/raystream", { ...INIT, headers, body });
  const response = await server.handle(request, () => assert.fail("nothing runs"));
  assert.equal(response.status, 400);
  assert.equal((await response.bytes()).length, 16);
  assert.ok(sent < 70 << 20, `${sent} bytes`);
});
