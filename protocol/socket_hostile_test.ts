import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import type { KontractError } from "../_internal/errors.ts";
import { decodeBatch, encodeBatch } from "./batch.ts";
import { type Bytes, concat, EMPTY, randomBytes, utf8 } from "./bytes.ts";
import { initiate } from "./client_handshake.ts";
import { loadProvider } from "./crypto/select.ts";
import { FrameFlag, FrameSplitter, FrameType } from "./frames.ts";
import { RayTransport } from "./hello.ts";
import type { RayMessage } from "./message_state.ts";
import { type Dispatch, SYSTEM_OPS } from "./rpc.ts";
import { encodeCredit, encodeNumber } from "./socket_control.ts";
import { CloseCode } from "./close_code.ts";
import type { RaySocket } from "./socket_link.ts";
import type { SavedSocket, SocketSession } from "./socket_session.ts";
import { REKEY_INTERVAL, StreamOpener, StreamSealer } from "./stream_state.ts";
import { makeServer } from "./testing/gateway.ts";

const crypto = await loadProvider();

const echo: Dispatch = (call) =>
  Promise.resolve({ kind: "value", payload: new Uint8Array(call.payload) });

/** A socket whose other end is the test itself. */
class Wire implements RaySocket {
  readonly sent: Bytes[] = [];
  code: number | undefined;
  send(bytes: Bytes): void {
    assert.equal(this.code, undefined, "nothing is sent after close");
    this.sent.push(bytes);
  }
  close(code: number): void {
    this.code ??= code;
  }
}

interface Peer {
  readonly wire: Wire;
  readonly session: SocketSession;
  readonly sealer: StreamSealer;
  readonly opener: StreamOpener;
  /** Seals and delivers one frame. */
  send(message: Partial<RayMessage>, flags?: number): Promise<void>;
  /** Opens the frames that have arrived since. */
  answers(): RayMessage[];
}

async function connect(
  dispatch: Dispatch = echo,
  persist?: (saved: SavedSocket) => void,
  server = makeServer(),
): Promise<Peer> {
  const key = (await server.keys()).keys[0];
  assert.ok(key !== undefined);
  const pin = { kid: key.kid, publicKey: key.pair.publicKey };
  const initiated = await initiate(crypto, pin, RayTransport.WEBSOCKET, "test-app");
  const wire = new Wire();
  const session = server.socket(wire, dispatch, persist);
  await session.receive(initiated.init);
  const [response] = new FrameSplitter().push(wire.sent.shift() ?? EMPTY);
  assert.ok(response !== undefined);
  const { result } = await initiated.finish(response);
  const sealer = new StreamSealer(crypto, { key: result.initiatorKey, next: 0 });
  const opener = new StreamOpener(crypto, { key: result.responderKey, next: 0 });
  return {
    ...{ wire, session, sealer, opener },
    send: (message, flags = 0) => session.receive(sealer.seal({ ...call(1), ...message, flags })),
    answers: () =>
      wire.sent.splice(0).flatMap((bytes) =>
        new FrameSplitter().push(bytes).map((raw) => opener.open(raw))
      ),
  };
}

function call(stream: number): RayMessage {
  return { type: FrameType.RPC_CALL, stream, op: 1000, payload: utf8("x") };
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("a flipped bit, a lost, doubled or swapped frame breaks the socket before anything runs", async () => {
  let ran = 0;
  const counting: Dispatch = (request) => {
    ran++;
    return echo(request);
  };
  const sample = (await connect()).sealer.seal({ ...call(1), flags: 0 });
  for (let bit = 0; bit < sample.length * 8; bit++) {
    const peer = await connect(counting);
    const frame = peer.sealer.seal({ ...call(1), flags: 0 });
    frame[bit >> 3] = (frame[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await peer.session.receive(frame);
    assert.equal(peer.wire.code, CloseCode.PROTOCOL, `bit ${bit}`);
  }
  assert.equal(ran, 0);
  for (const order of [[1], [1, 0], [0, 0], [0, 2]]) {
    const peer = await connect();
    const frames = [1, 3, 5].map((stream) => peer.sealer.seal({ ...call(stream), flags: 0 }));
    for (const index of order) await peer.session.receive(frames[index] ?? EMPTY);
    assert.equal(peer.wire.code, CloseCode.PROTOCOL, order.join());
  }
});

Deno.test("frames of another session, direction or transport break the socket", async () => {
  const other = await connect();
  const peer = await connect();
  await peer.session.receive(other.sealer.seal({ ...call(1), flags: 0 }));
  assert.equal(peer.wire.code, CloseCode.PROTOCOL, "another session");
  const mirror = await connect();
  await mirror.send({});
  await settled();
  await mirror.session.receive(mirror.wire.sent[0] ?? EMPTY);
  assert.equal(mirror.wire.code, CloseCode.PROTOCOL, "the server's own frame");
  const server = makeServer();
  const key = (await server.keys()).keys[0];
  assert.ok(key !== undefined);
  const pin = { kid: key.kid, publicKey: key.pair.publicKey };
  const http = await initiate(crypto, pin, RayTransport.HTTP, "test-app");
  const wire = new Wire();
  await server.socket(wire, echo).receive(http.init);
  assert.equal(wire.code, CloseCode.PROTOCOL, "a handshake for HTTP");
});

Deno.test("text, empty messages, cut frames and frames before the handshake break the socket", async () => {
  for (const data of ["text", EMPTY, new Uint8Array(15), randomBytes(100)]) {
    const peer = await connect();
    await peer.session.receive(data);
    assert.equal(peer.wire.code, CloseCode.PROTOCOL);
    const wire = new Wire();
    await makeServer().socket(wire, echo).receive(data);
    assert.equal(wire.code, CloseCode.PROTOCOL);
    assert.equal(wire.sent.length, 0);
  }
  const peer = await connect();
  const frame = peer.sealer.seal({ ...call(1), flags: 0 });
  await peer.session.receive(concat(frame, new Uint8Array(1)));
  assert.equal(peer.wire.code, CloseCode.PROTOCOL);
});

Deno.test("wrong streams, types, flags and control messages break the socket", async () => {
  const wrong: [string, Partial<RayMessage>, number?][] = [
    ["even stream", { stream: 2 }],
    ["unknown control", { stream: 0, op: 77 }],
    ["short number", { stream: 0, op: 3, payload: new Uint8Array(15) }],
    ["token without UTF-8", { stream: 0, op: 0, payload: new Uint8Array([0xff]) }],
    ["cancel of a stream that never was", { type: FrameType.CANCEL, stream: 1 }],
    ["credit for a stream that never was", { type: FrameType.CREDIT, payload: encodeCredit(1) }],
    ["END", {}, FrameFlag.END],
    ["a fragment too small", {}, FrameFlag.MORE],
    ...[0x01, 0x02, 0x03, 0x04, 0x11, 0x12, 0x20, 0x21, 0x22].map((
      type,
    ): [string, Partial<RayMessage>] => [`type ${type}`, { type: type as FrameType }]),
  ];
  for (const [what, message, flags] of wrong) {
    const peer = await connect();
    await peer.send(message, flags);
    assert.equal(peer.wire.code, CloseCode.PROTOCOL, what);
  }
  const twice = await connect();
  await twice.send({ stream: 3 });
  await twice.send({ stream: 1 });
  assert.equal(twice.wire.code, CloseCode.PROTOCOL, "a stream that goes back");
});

Deno.test("more calls or bytes than were announced break the socket", async () => {
  const waiting: Dispatch = () => new Promise(() => {});
  const server = makeServer({ limits: { streams: 3, message: 100_000, reassembly: 150_000 } });
  const many = await connect(waiting, undefined, server);
  for (const stream of [1, 3, 5]) await many.send({ stream });
  assert.equal(many.wire.code, undefined);
  await many.send({ stream: 7 });
  assert.equal(many.wire.code, CloseCode.PROTOCOL);
  const large = await connect(waiting, undefined, server);
  const payload = new Uint8Array(60_000);
  await large.send({ payload }, FrameFlag.MORE);
  await large.send({ payload }, FrameFlag.MORE);
  assert.equal(large.wire.code, CloseCode.TOO_LARGE, "one message");
  const spread = await connect(waiting, undefined, server);
  for (const stream of [1, 3, 5]) await spread.send({ stream, payload }, FrameFlag.MORE);
  assert.equal(spread.wire.code, CloseCode.TOO_LARGE, "all together");
});

Deno.test("one subscription too many is refused, calls are not, and one that is left makes room", async () => {
  const waiting: Dispatch = (call) =>
    call.op === 1000 ? echo(call) : Promise.resolve({
      kind: "stream",
      elements: (async function* () {
        yield utf8("begun");
        await new Promise(() => {});
      })(),
    });
  const peer = await connect(waiting, undefined, makeServer({ limits: { subscriptions: 2 } }));
  const said = async (message: Partial<RayMessage>): Promise<readonly string[]> => {
    await peer.send(message);
    await settled();
    return peer.answers().map(({ type, stream, payload }) => {
      const text = new TextDecoder().decode(payload);
      return `${stream} ${type === FrameType.RPC_ERROR ? JSON.parse(text).code : text}`;
    });
  };
  const subscribe = (stream: number) => said({ stream, op: SYSTEM_OPS.SUBSCRIBE });
  assert.deepEqual(await subscribe(1), ["1 begun"]);
  assert.deepEqual(await subscribe(3), ["3 begun"]);
  assert.deepEqual(await subscribe(5), ["5 RATE_LIMITED"]);
  assert.deepEqual(await said({ stream: 7 }), ["7 x"]);
  assert.deepEqual(await said({ type: FrameType.CANCEL, stream: 1, op: 0, payload: EMPTY }), [
    "1 CANCELLED",
  ]);
  assert.deepEqual(await subscribe(9), ["9 begun"]);
  assert.deepEqual(await subscribe(11), ["11 RATE_LIMITED"]);
  assert.equal(peer.wire.code, undefined);
});

Deno.test("elements of a streamed argument without credit, after its end or of another break the socket", async () => {
  const reading: Dispatch = async (request) => {
    for await (const _ of request.input(0)) await settled();
    return echo(request);
  };
  const element = { type: FrameType.EVENT, op: 0 };
  const end = { type: FrameType.RPC_RESPONSE, op: 0, payload: EMPTY };
  const large = { ...element, payload: new Uint8Array(65_000) };
  const wrong: readonly [string, Dispatch, readonly Partial<RayMessage>[]][] = [
    ["nobody asked", () => new Promise(() => {}), [element]],
    ["another argument", reading, [{ ...element, op: 1 }]],
    ["an argument out of range", reading, [{ ...element, op: 2 ** 31 }]],
    ["after its end", reading, [end, element]],
    ["two ends", reading, [end, end]],
    ["more than its credit", reading, Array(6).fill(large)],
  ];
  for (const [what, dispatch, messages] of wrong) {
    const peer = await connect(dispatch);
    await peer.send({});
    await settled();
    for (const message of messages) void peer.send(message);
    assert.equal(peer.wire.code, CloseCode.PROTOCOL, what);
  }
  const fine = await connect(reading);
  await fine.send({});
  await settled();
  await fine.send(element);
  await fine.send(end);
  await settled();
  await settled();
  // What was under way when the call ended is dropped.
  await fine.send(element);
  assert.equal(fine.wire.code, undefined);
});

Deno.test("what is sent in one turn is one frame, in order, and its answers are one for sixteen", async () => {
  const seen: number[] = [];
  const peer = await connect((request) => {
    seen.push(Number(request.op));
    return echo(request);
  });
  const calls = Array.from({ length: 30 }, (_, index) => ({
    ...call(2 * index + 1),
    op: 1000 + index,
    payload: new Uint8Array(index),
  }));
  await peer.send({ type: FrameType.BATCH, stream: 0, op: 0, payload: encodeBatch(calls) });
  await settled();
  assert.deepEqual(seen, calls.map(({ op }) => op));
  const frames = peer.answers().map(({ type, payload }) => {
    assert.equal(type, FrameType.BATCH);
    return decodeBatch(payload);
  });
  assert.deepEqual(frames.map((messages) => messages.length), [16, 14]);
  assert.deepEqual(
    frames.flat().map(({ stream, payload }) => [stream, payload.length]),
    calls.map(({ stream, payload }) => [stream, payload.length]),
  );
});

Deno.test("a batch that is cut, empty, nested, fragmented or too large breaks the socket", async () => {
  const good = encodeBatch([call(1), call(3)]);
  const patched = (at: number, value: number): Bytes => {
    const bytes = good.slice();
    bytes[at] = value;
    return bytes;
  };
  const large = encodeBatch([{ ...call(1), payload: new Uint8Array(2000) }]);
  const small = makeServer({ limits: { message: 1024, reassembly: 4096 } });
  const batch = { type: FrameType.BATCH, stream: 0, op: 0 };
  const wrong: readonly [string, Partial<RayMessage>, number, number][] = [
    ["empty", { payload: EMPTY }, 0, CloseCode.PROTOCOL],
    ["cut", { payload: good.slice(0, -1) }, 0, CloseCode.PROTOCOL],
    ["cut in a header", { payload: good.slice(0, 20) }, 0, CloseCode.PROTOCOL],
    ["bytes left over", { payload: concat(good, EMPTY, new Uint8Array(3)) }, 0, CloseCode.PROTOCOL],
    ["a length without end", { payload: patched(15, 255) }, 0, CloseCode.PROTOCOL],
    ["a batch in a batch", { payload: patched(0, FrameType.BATCH) }, 0, CloseCode.PROTOCOL],
    ["a handshake in a batch", { payload: patched(0, 1) }, 0, CloseCode.PROTOCOL],
    ["bytes that are reserved", { payload: patched(2, 1) }, 0, CloseCode.PROTOCOL],
    ["a stream of its own", { payload: good, stream: 5 }, 0, CloseCode.PROTOCOL],
    ["an op of its own", { payload: good, op: 1 }, 0, CloseCode.PROTOCOL],
    ["a fragment", { payload: large }, FrameFlag.MORE, CloseCode.PROTOCOL],
    ["a message beyond the limit", { payload: large }, 0, CloseCode.TOO_LARGE],
  ];
  for (const [what, message, flags, code] of wrong) {
    let ran = 0;
    const counting: Dispatch = (request) => {
      ran++;
      return echo(request);
    };
    const peer = await connect(counting, undefined, small);
    await peer.send({ ...batch, ...message }, flags);
    assert.deepEqual([peer.wire.code, ran], [code, 0], what);
  }
});

Deno.test("cancelling twice, or what has ended, is fine", async () => {
  const peer = await connect((request) =>
    new Promise((resolve) => {
      request.signal.addEventListener(
        "abort",
        () => resolve({ kind: "error", error: { code: "CANCELLED", message: "" } }),
      );
    })
  );
  await peer.send({});
  for (let round = 0; round < 3; round++) {
    await peer.send({ type: FrameType.CANCEL, payload: EMPTY });
    await settled();
  }
  assert.deepEqual(peer.answers().map(({ type }) => type), [FrameType.RPC_ERROR]);
  await peer.send({ type: FrameType.HEARTBEAT, stream: 0, op: 0, payload: EMPTY });
  assert.deepEqual(peer.answers().map(({ op }) => op), [1]);
  assert.equal(peer.wire.code, undefined);
});

Deno.test("a function that looks only after CANCEL finds its signal aborted and its arguments closed", async () => {
  const cancelled = Promise.withResolvers<void>();
  const found: unknown[] = [];
  const peer = await connect(async (request) => {
    await cancelled.promise;
    const { signal } = request;
    found.push(signal.aborted, signal === request.signal);
    try {
      request.input(0);
    } catch (error) {
      found.push((error as KontractError).code);
    }
    return echo(request);
  });
  await peer.send({});
  await peer.send({ type: FrameType.CANCEL, payload: EMPTY });
  cancelled.resolve();
  await settled();
  assert.deepEqual(found, [true, true, "CANCELLED"]);
  assert.deepEqual(peer.answers().map(({ type }) => type), [FrameType.RPC_RESPONSE]);
});

Deno.test("NUMBER sets lane and number of the next calls", async () => {
  const seen: string[] = [];
  const peer = await connect((request) => {
    seen.push(`${request.lane}:${request.reqno}`);
    return echo(request);
  });
  const lane = new Uint8Array(8);
  await peer.send({ stream: 0, op: 3, payload: encodeNumber(lane, 41n) });
  await peer.send({ stream: 1 });
  await peer.send({ stream: 3 });
  await peer.send({ stream: 0, op: 3, payload: encodeNumber(lane, 7n) });
  await peer.send({ stream: 5 });
  assert.deepEqual(seen, ["AAAAAAAAAAA:41", "AAAAAAAAAAA:42", "AAAAAAAAAAA:7"]);
});

Deno.test("a socket hibernates and wakes between frames, and no nonce is ever used twice", async () => {
  const server = makeServer();
  let saved: SavedSocket | undefined;
  const nonces = new Set<string>();
  const persist = (now: SavedSocket): void => {
    saved = structuredClone(now);
  };
  const peer = await connect(echo, persist, server);
  await peer.send({ stream: 0, op: 0, payload: utf8("token") });
  await peer.send({ stream: 0, op: 3, payload: encodeNumber(new Uint8Array(8), 9n) });
  const seen: string[] = [];
  for (let round = 0; round < 20; round++) {
    assert.ok(saved !== undefined);
    // Everything in memory is gone; only what was persisted comes back.
    const wire = new Wire();
    const dispatch: Dispatch = (request) => {
      seen.push(`${request.token}:${request.reqno}`);
      return echo(request);
    };
    const woken = await server.restoreSocket(wire, dispatch, persist, saved);
    await woken.receive(peer.sealer.seal({ ...call(2 * round + 1), flags: 0 }));
    await settled();
    assert.equal(wire.code, undefined);
    assert.equal(woken.busy, false);
    for (const bytes of wire.sent) {
      const [raw] = new FrameSplitter().push(bytes);
      assert.ok(raw !== undefined);
      const nonce = String(raw.header.sequence);
      assert.ok(!nonces.has(nonce), `sequence ${nonce} was sent twice`);
      nonces.add(nonce);
      assert.deepEqual(peer.opener.open(raw).payload, utf8("x"));
    }
  }
  assert.deepEqual(seen, Array.from({ length: 20 }, (_, index) => `token:${9 + index}`));
});

Deno.test("a socket that lost running calls or half a message wakes to be closed, never to be silent", async () => {
  const half = { ...call(1), flags: FrameFlag.MORE, payload: new Uint8Array(2048) };
  const waits: Dispatch = () => new Promise(() => {});
  for (const frame of [half, { ...call(1), flags: 0 }]) {
    const server = makeServer();
    let saved: SavedSocket | undefined;
    const persist = (now: SavedSocket): void => {
      saved = structuredClone(now);
    };
    const peer = await connect(waits, persist, server);
    await peer.session.receive(peer.sealer.seal(frame));
    assert.ok(saved !== undefined);
    const wire = new Wire();
    const woken = await server.restoreSocket(wire, waits, persist, saved);
    assert.equal(wire.code, CloseCode.RENEW);
    await woken.receive(peer.sealer.seal({ ...call(3), flags: 0 }));
    assert.equal(wire.sent.length, 0);
  }
});

Deno.test("state is persisted before a frame leaves", async () => {
  let persisted = -1;
  const server = makeServer();
  const wire = new Wire();
  const check: RaySocket = {
    send(bytes) {
      const [raw] = new FrameSplitter().push(bytes);
      if (raw?.header.type !== FrameType.HANDSHAKE_RESPONSE) {
        assert.ok(persisted > (raw?.header.sequence ?? Infinity), "sent before it was stored");
      }
      wire.send(bytes);
    },
    close: (code) => wire.close(code),
  };
  const key = (await server.keys()).keys[0];
  assert.ok(key !== undefined);
  const pin = { kid: key.kid, publicKey: key.pair.publicKey };
  const initiated = await initiate(crypto, pin, RayTransport.WEBSOCKET, "test-app");
  const session = server.socket(check, echo, (now) => {
    persisted = now.positions.send.next;
  });
  await session.receive(initiated.init);
  const [response] = new FrameSplitter().push(wire.sent[0] ?? EMPTY);
  assert.ok(response !== undefined);
  const { result } = await initiated.finish(response);
  const sealer = new StreamSealer(crypto, { key: result.initiatorKey, next: 0 });
  for (let stream = 1; stream < 20; stream += 2) {
    await session.receive(sealer.seal({ ...call(stream), flags: 0 }));
  }
  await settled();
  assert.equal(wire.sent.length, 11);
});

Deno.test("both sides rekey at the same frame, and the last frame of a session is the last", () => {
  const key = randomBytes(32);
  const next = REKEY_INTERVAL - 20;
  const [sealer, opener] = [
    new StreamSealer(crypto, { key, next }),
    new StreamOpener(crypto, { key, next }),
  ];
  for (let index = 0; index < 40; index++) {
    const [raw] = new FrameSplitter().push(sealer.seal({ ...call(1), flags: 0 }));
    assert.ok(raw !== undefined);
    opener.open(raw);
  }
  assert.notDeepEqual(sealer.position.key, key);
  assert.deepEqual(sealer.position, opener.position);
  const last = new StreamSealer(crypto, { key, next: 2 ** 32 - 1 });
  const [raw] = new FrameSplitter().push(last.seal({ ...call(1), flags: 0 }));
  assert.equal(raw?.header.sequence, 2 ** 32 - 1);
  assert.throws(() => last.seal({ ...call(1), flags: 0 }));
});

Deno.test("REKEY is the page's: the first 32 bytes of AEAD(key, 2⁶⁴ − 1, no data, 32 zeros)", () => {
  const key = randomBytes(32);
  const sealer = new StreamSealer(crypto, { key, next: REKEY_INTERVAL - 1 });
  sealer.seal({ ...call(1), flags: 0 });
  const nonce = new Uint8Array([0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  assert.deepEqual(sealer.position.key, new Uint8Array(cipher.update(new Uint8Array(32))));
  assert.equal(sealer.position.next, REKEY_INTERVAL);
});

Deno.test("a peer that does not read is left with 4503 once 32 MiB wait for it", async () => {
  const peer = await connect();
  let waiting = 32 << 20;
  Object.defineProperty(peer.wire, "bufferedAmount", { get: () => waiting });
  await peer.send({ stream: 1 });
  await settled();
  assert.equal(peer.answers().length, 1);
  assert.equal(peer.wire.code, undefined);
  waiting++;
  await peer.send({ stream: 3 });
  await settled();
  assert.equal(peer.wire.code, CloseCode.OVERLOADED);
});

Deno.test("what runs for a peer that is left so is cancelled at once, whatever its credit", async () => {
  const size = 1 << 20;
  const ended: string[] = [];
  let given = 0;
  const dispatch: Dispatch = ({ op, signal }) => {
    signal.addEventListener("abort", () => ended.push(`cancelled ${op}`));
    if (op === 1) return new Promise(() => {});
    const elements = async function* (): AsyncGenerator<Uint8Array, void, void> {
      try {
        while (true) yield await Promise.resolve(new Uint8Array(size).fill(given++));
      } finally {
        ended.push("left");
      }
    };
    return Promise.resolve({ kind: "stream", elements: elements() });
  };
  const peer = await connect(dispatch);
  const { wire } = peer;
  Object.defineProperty(wire, "bufferedAmount", {
    get: () => wire.sent.reduce((sum, bytes) => sum + bytes.length, 0),
  });
  await peer.send({ stream: 1, op: 1 });
  await peer.send({ stream: 3, op: 2 });
  await peer.send({ type: FrameType.CREDIT, stream: 3, payload: encodeCredit(1 << 30) });
  while (wire.code === undefined) await settled();
  await settled();
  assert.equal(wire.code, CloseCode.OVERLOADED);
  assert.deepEqual(ended.toSorted(), ["cancelled 1", "cancelled 2", "left"]);
  assert.ok(given <= 36, `${given} MiB were made`);
});

Deno.test("what comes after CLOSE in the same message begins nothing", async () => {
  const begun: number[] = [];
  const dispatch: Dispatch = (request) => {
    begun.push(request.op);
    return echo(request);
  };
  const close: RayMessage = { type: FrameType.CLOSE, stream: 0, op: 0, payload: EMPTY };
  const batched = await connect(dispatch);
  const all = [{ ...call(1), op: 1 }, close, { ...call(3), op: 3 }];
  await batched.send({ type: FrameType.BATCH, stream: 0, op: 0, payload: encodeBatch(all) });
  const framed = await connect(dispatch);
  const frames = all.map((message) => framed.sealer.seal({ ...message, flags: 0 }));
  await framed.session.receive(concat(...frames));
  for (const { wire } of [batched, framed]) assert.equal(wire.code, CloseCode.NORMAL);
  await settled();
  assert.deepEqual(begun, [1, 1]);
});

Deno.test("a session older than a day is ended with the code that asks for a new one, also where the clock was set back", async () => {
  for (
    const [hours, code] of [[23, undefined], [-23, undefined], [25, CloseCode.RENEW], [
      -25,
      CloseCode.RENEW,
    ]]
  ) {
    let now = Date.now();
    const peer = await connect(echo, undefined, makeServer({ clock: { now: () => now } }));
    await peer.send({ stream: 1 });
    now += hours! * 3_600_000;
    await peer.send({ stream: 3 });
    assert.equal(peer.wire.code, code, `${hours} hours`);
  }
});
