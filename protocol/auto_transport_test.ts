import assert from "node:assert/strict";
import { type AutoTransportOptions, createTransport } from "./auto_transport.ts";
import { EMPTY, utf8 } from "./bytes.ts";
import { type Dispatch, type RpcReply, SYSTEM_OPS } from "./rpc.ts";
import { createSocketTransport } from "./socket_transport.ts";
import { serveGateway, type TestGateway } from "./testing/gateway.ts";
import type { Transport } from "./transport.ts";

const READ = { token: null, mutation: false } as const;
const ECHO = 1000;
const STREAM = 1001;

/** Streams give one element, then wait until they are left. */
const dispatch: Dispatch = (call): Promise<RpcReply> => {
  if (call.op === ECHO) {
    return Promise.resolve({ kind: "value", payload: new Uint8Array(call.payload) });
  }
  const elements = (async function* (): AsyncGenerator<Uint8Array> {
    yield utf8("ready");
    await new Promise<void>((resolve) => call.signal.addEventListener("abort", () => resolve()));
  })();
  return Promise.resolve({ kind: "stream", elements });
};

function connect(
  gateway: TestGateway,
  more: Partial<AutoTransportOptions> = {},
): Transport & Disposable {
  const { url, pins } = gateway;
  return closing(createTransport({ url, app: "test-app", pins, webSocket: WebSocket, ...more }));
}

/** Closed at the end of its block, whatever happens there. */
function closing(transport: Transport): Transport & Disposable {
  return Object.assign(transport, { [Symbol.dispose]: () => transport.close() });
}

/** Opens a stream and waits until it is up; returns what leaves it. */
async function follow(transport: Transport, op: number): Promise<() => Promise<unknown>> {
  const iterator = transport.stream(op, EMPTY, READ)[Symbol.asyncIterator]();
  assert.deepEqual((await iterator.next()).value, utf8("ready"));
  return () => iterator.return!();
}

const upgrades = ({ sockets }: TestGateway): number => sockets.length;
const posts = (gateway: TestGateway): number => gateway.requests.length - upgrades(gateway);

Deno.test("all subscriptions and the calls beside them share one WebSocket", async () => {
  await using gateway = await serveGateway(dispatch);
  using transport = connect(gateway);
  const leave = await Promise.all(
    Array.from({ length: 10 }, () => follow(transport, SYSTEM_OPS.SUBSCRIBE)),
  );
  assert.deepEqual(await transport.call(ECHO, utf8("x"), READ), utf8("x"));
  assert.deepEqual([upgrades(gateway), posts(gateway)], [1, 0]);
  for (const each of leave) await each();
});

Deno.test("a single call and a single stream go over HTTP, the stream beside it does not", async () => {
  await using gateway = await serveGateway(dispatch);
  using transport = connect(gateway);
  await transport.call(ECHO, utf8("x"), READ);
  const first = await follow(transport, STREAM);
  assert.deepEqual([upgrades(gateway), posts(gateway)], [0, 3]);
  const second = await follow(transport, STREAM);
  assert.deepEqual([upgrades(gateway), posts(gateway)], [1, 3]);
  await first();
  await second();
});

Deno.test("calls that come often get a WebSocket", async () => {
  await using gateway = await serveGateway(dispatch);
  using transport = connect(gateway);
  while (gateway.sockets.length === 0) await transport.call(ECHO, utf8("x"), READ);
  let before = posts(gateway);
  for (let quiet = 0; quiet < 3;) {
    await transport.call(ECHO, utf8("x"), READ);
    quiet = posts(gateway) === before ? quiet + 1 : 0;
    before = posts(gateway);
  }
});

Deno.test("where no WebSocket gets through, subscriptions go over HTTP and leave it alone", async () => {
  let refused = 0;
  await using gateway = await serveGateway(dispatch);
  await using proxy = await serveProxy(gateway, (request) => {
    if (request.headers.get("upgrade") === null) return null;
    refused++;
    return new Response("no upgrades here", { status: 403 });
  });
  using transport = connect(gateway, { url: proxy.url });
  const leave = [];
  for (let count = 0; count < 3; count++) {
    leave.push(await follow(transport, SYSTEM_OPS.SUBSCRIBE));
  }
  assert.equal(refused, 1);
  assert.deepEqual(await transport.call(ECHO, utf8("x"), READ), utf8("x"));
  for (const each of leave) await each();
});

/** Stands before a gateway that is down until `state` says otherwise. */
function serveDown(
  gateway: TestGateway,
  state: { readonly down: boolean },
): ReturnType<typeof serveProxy> {
  return serveProxy(gateway, (request) => {
    if (request.headers.get("upgrade") !== null) {
      return state.down ? new Response(null, { status: 503 }) : gateway.upgrade(request);
    }
    return state.down ? new Response(null, { status: 502 }) : null;
  });
}

Deno.test("a gateway that was down is no reason to do without the WebSocket", async () => {
  const state = { down: true };
  await using gateway = await serveGateway(dispatch);
  await using proxy = await serveDown(gateway, state);
  using transport = connect(gateway, { url: proxy.url });
  await assert.rejects(follow(transport, SYSTEM_OPS.SUBSCRIBE), { code: "NETWORK" });
  state.down = false;
  const leave = await follow(transport, SYSTEM_OPS.SUBSCRIBE);
  assert.equal(gateway.sockets.length, 1);
  await leave();
});

Deno.test("a call that gets through ends the pause before the next WebSocket", async () => {
  const state = { down: true };
  await using gateway = await serveGateway(dispatch);
  await using proxy = await serveDown(gateway, state);
  using transport = connect(gateway, { url: proxy.url });
  const kept = setTimeout;
  const pausing = Promise.withResolvers<void>();
  try {
    // Time stands still: none of the pause is over before it is seen.
    performance.now = () => 0;
    await assert.rejects(follow(transport, SYSTEM_OPS.SUBSCRIBE), { code: "NETWORK" });
    state.down = false;
    // A pause that nobody ends is none that a test waits for.
    globalThis.setTimeout = ((work: () => void, wait: number) => {
      if (wait < 100 || wait > 300) return kept(work, wait);
      pausing.resolve();
      return kept(work, 2 ** 30);
    }) as typeof setTimeout;
    const following = follow(transport, SYSTEM_OPS.SUBSCRIBE);
    await pausing.promise;
    await transport.call(ECHO, utf8("x"), READ);
    const leave = await following;
    assert.equal(gateway.sockets.length, 1);
    await leave();
  } finally {
    globalThis.setTimeout = kept;
    Reflect.deleteProperty(performance, "now");
  }
});

Deno.test("a WebSocket that is lost ends its streams with NETWORK, and the next gets a new one", async () => {
  await using gateway = await serveGateway(dispatch);
  using transport = connect(gateway);
  const stream = transport.stream(SYSTEM_OPS.SUBSCRIBE, EMPTY, READ)[Symbol.asyncIterator]();
  await stream.next();
  gateway.sockets[0]!.close();
  await assert.rejects(stream.next(), { code: "NETWORK" });
  const leave = await follow(transport, SYSTEM_OPS.SUBSCRIBE);
  assert.deepEqual([upgrades(gateway), posts(gateway)], [2, 0]);
  await leave();
});

Deno.test("Deno's own WebSocket is for what needs one: calls stay on HTTP, however many", async () => {
  await using gateway = await serveGateway(dispatch);
  using transport = connect(gateway, { webSocket: undefined });
  const leave = await follow(transport, SYSTEM_OPS.SUBSCRIBE);
  for (let n = 0; n < 40; n++) await transport.call(ECHO, utf8("x"), READ);
  assert.equal(upgrades(gateway), 1);
  assert.ok(posts(gateway) >= 40);
  await leave();
});

Deno.test("with a fetch of one's own, or null for it, there is no WebSocket", async () => {
  await using gateway = await serveGateway(dispatch);
  const given = [
    { fetch: (...args: Parameters<typeof fetch>) => fetch(...args), webSocket: undefined },
    { webSocket: null },
  ];
  for (const more of given) {
    using transport = connect(gateway, more);
    const leave = await follow(transport, SYSTEM_OPS.SUBSCRIBE);
    await leave();
  }
  assert.equal(upgrades(gateway), 0);
});

Deno.test("a half-open connection is noticed: nobody answers, so its calls end with NETWORK", async () => {
  await using gateway = await serveGateway(dispatch);
  const silent = function (url: string): WebSocket {
    const socket = new WebSocket(url);
    // What is sent after the handshake goes nowhere, and no close ever comes.
    const send = socket.send.bind(socket);
    let sent = 0;
    socket.send = (data) => {
      if (sent++ === 0) send(data);
    };
    return socket;
  } as unknown as typeof WebSocket;
  const { url, pins } = gateway;
  using transport = closing(createSocketTransport({
    ...{ url, pins, app: "test-app", webSocket: silent, silence: 100 },
  }));
  const stream = transport.stream(STREAM, EMPTY, READ)[Symbol.asyncIterator]();
  await assert.rejects(stream.next(), { code: "NETWORK" });
});

Deno.test("an idle connection is closed, and the next call opens another", async () => {
  await using gateway = await serveGateway(dispatch);
  const { url, pins } = gateway;
  using transport = closing(createSocketTransport({ url, pins, app: "test-app", idle: 50 }));
  for (let count = 1; count <= 2; count++) {
    await transport.call(ECHO, utf8("x"), READ);
    const socket = gateway.sockets.at(-1)!;
    if (socket.readyState !== WebSocket.CLOSED) {
      await new Promise((resolve) => socket.addEventListener("close", resolve));
    }
    assert.equal(gateway.sockets.length, count);
  }
});

Deno.test("deadline, signal and close end a call whose WebSocket does not come", async () => {
  await using gateway = await serveGateway(dispatch);
  // Accepts, and never says a word.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  async function* source(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(utf8("x"));
  }
  const begin = (kind: "call" | "stream", more: object): Promise<unknown> & Disposable => {
    const transport = connect(gateway, { url });
    const options = { ...READ, ...more, inputs: [source()] };
    const answer = kind === "call"
      ? transport.call(ECHO, EMPTY, options)
      : transport.stream(STREAM, EMPTY, options)[Symbol.asyncIterator]().next();
    return Object.assign(answer, { [Symbol.dispose]: () => transport.close() });
  };
  // The connection gives up by itself after ten seconds.
  let late = false;
  const timer = setTimeout(() => (late = true), 9000);
  for (const kind of ["call", "stream"] as const) {
    using timed = begin(kind, { timeout: 20 });
    await assert.rejects(timed, { code: "DEADLINE_EXCEEDED" });
    const abort = new AbortController();
    using aborted = begin(kind, { signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    await assert.rejects(aborted, { code: "CANCELLED" });
    using before = begin(kind, { signal: AbortSignal.abort() });
    await assert.rejects(before, { code: "CANCELLED" });
    const closed = begin(kind, {});
    setTimeout(() => closed[Symbol.dispose](), 20);
    await assert.rejects(closed, { code: "CANCELLED" });
  }
  clearTimeout(timer);
  assert.equal(late, false);
});

/** Stands before `gateway`; what `intercept` does not answer itself goes on. */
async function serveProxy(
  gateway: TestGateway,
  intercept: (request: Request) => Response | null,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const answer = intercept(request);
    if (answer !== null) return answer;
    return fetch(new Request(gateway.url + new URL(request.url).pathname, request));
  });
  await Promise.resolve();
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
