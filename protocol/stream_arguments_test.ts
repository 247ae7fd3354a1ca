import assert from "node:assert/strict";
import { createTransport } from "./auto_transport.ts";
import { EMPTY, utf8 } from "./bytes.ts";
import { createHttpTransport } from "./client.ts";
import type { Dispatch, RpcCall, RpcReply } from "./rpc.ts";
import { INITIAL_CREDIT } from "./socket_control.ts";
import { createSocketTransport } from "./socket_transport.ts";
import { serveGateway, type TestGateway } from "./testing/gateway.ts";
import type { Transport } from "./transport.ts";

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
    if (call.op === ECHO) return { kind: "stream", elements: call.input(0) };
    const outcome = await this.#run(call).catch((error: { code: string }) => error.code);
    this.ended.push(outcome);
    for (const wake of this.#waiting.splice(0)) wake();
    return answer(outcome);
  };

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

Deno.test("over HTTP what does not fit into one body is TOO_LARGE, and its source is told", async () => {
  const functions = new Functions();
  await using gateway = await serveGateway(functions.dispatch, { limits: { message: 100_000 } });
  using transport = connect(gateway, "HTTP");
  const source = new Source(Infinity, 1000);
  const inputs = [source, new Source(0, 0)];
  await assert.rejects(transport.call(SUM, EMPTY, { ...WRITE, inputs }), { code: "TOO_LARGE" });
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
