/**
 * Frames from a hostile peer, in the clear and properly sealed. Every run has the same seeds, and one of
 * the day's (printed); `KONTRACT_LONG=1` makes it a million frames of each side, half of them from each seed.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { type ErrorCode, KontractError } from "../_internal/errors.ts";
import { encodeBatch } from "./batch.ts";
import { type Bytes, concat, randomBytes, toBase64Url } from "./bytes.ts";
import { initiate, parsePins } from "./client_handshake.ts";
import type { CryptoProvider } from "./crypto/provider.ts";
import { loadProvider } from "./crypto/select.ts";
import { FrameSplitter, FrameType, HEADER_LENGTH } from "./frames.ts";
import { RayTransport, readInit } from "./hello.ts";
import { encodePrefix, readPrefix } from "./message_keys.ts";
import type { InnerFrame } from "./sealed_frame.ts";
import { respond } from "./server_handshake.ts";
import { deriveServerKeys } from "./server_keys.ts";
import { decodeGrant, encodeGrant } from "./session_grant.ts";
import type { Dispatch } from "./rpc.ts";
import { SocketClient } from "./socket_client.ts";
import type { RaySocket } from "./socket_link.ts";
import { resolveLimits } from "./limits.ts";
import { StreamSealer } from "./stream_state.ts";
import { makeServer } from "./testing/gateway.ts";
import { SeededRandom } from "./testing/random.ts";
import { echoDispatch, TripOp } from "./testing/round_trips.ts";
import { decodeWireError } from "./wire_error.ts";

const LONG = Deno.env.get("KONTRACT_LONG") === "1";
const FRAMES = LONG ? 500_000 : 6_000;
const SEALED = LONG ? 500_000 : 2_000;
const DAY = Math.floor(Date.now() / 86_400_000);
const SEEDS = [20_261_121, DAY];
const crypto = await loadProvider();
const TYPES = Object.values(FrameType).filter((type) => type >= 0x10);
const LIMITS = resolveLimits({ message: 16 << 10, reassembly: 32 << 10, streams: 8 });

/**
 * Key agreement in name only: handshakes have tests of their own, and a million frames need many
 * sessions. Whoever knows both public keys knows the secret.
 */
const cheap: CryptoProvider = {
  ...crypto,
  generate: () => cheap.fromPrivate(randomBytes(32)),
  fromPrivate: (own) => {
    const publicKey = new Uint8Array(own);
    const agree = (peer: Uint8Array): Promise<Bytes> =>
      Promise.resolve(crypto.sha256(peer.map((byte, at) => byte ^ publicKey[at]!)));
    return Promise.resolve({ publicKey, agree });
  },
};

/** Echoes; a stream comes in a few pieces, since here it is the peer's frames that count. */
const dispatch: Dispatch = (call) => {
  if (call.op !== TripOp.STREAM) return echoDispatch(call);
  const elements = (async function* () {
    for (let at = 0; at < call.payload.length; at += 1500) {
      yield await Promise.resolve(call.payload.slice(at, at + 1500));
    }
  })();
  return Promise.resolve({ kind: "stream", elements });
};

/** A socket that only counts; what it got after its end would be a fault. */
class CountingSocket implements RaySocket {
  frames = 0;
  closed = 0;
  send(bytes: Bytes): void {
    assert.equal(this.closed, 0, "sent after close");
    this.frames += new FrameSplitter().push(bytes).length;
  }
  close(): void {
    this.closed++;
  }
}

function hostileFrame(random: SeededRandom, streams: readonly number[]): InnerFrame {
  if (random.below(8) > 0) return hostileMessage(random, streams);
  const count = 1 + random.below(5);
  const payload = encodeBatch(Array.from({ length: count }, () => hostileMessage(random, streams)));
  if (random.below(3) === 0) payload[random.below(payload.length)]! ^= 1 << random.below(8);
  return { type: FrameType.BATCH, flags: 0, stream: 0, op: 0, payload };
}

function hostileMessage(random: SeededRandom, streams: readonly number[]): InnerFrame {
  const lengths = [0, 1, 4, 16, 17, 1024, 5000];
  return {
    // Mostly plausible, or nothing would get past the first check.
    type: random.below(20) === 0 ? random.pick(TYPES) : random.pick(TYPES.slice(0, 5)),
    flags: random.below(4) === 0 ? 1 : random.below(200) === 0 ? 4 : 0,
    stream: random.below(50) === 0 ? random.below(2 ** 31) : random.pick(streams),
    op: random.pick([0, 0, 1, 3, TripOp.ECHO, TripOp.STREAM, TripOp.FAIL]),
    payload: random.bytes(random.pick(lengths)),
  };
}

const ANSWERS = [FrameType.EVENT, FrameType.EVENT, FrameType.RPC_RESPONSE, FrameType.RPC_ERROR];
const ERROR = new TextEncoder().encode('{"code":"CONFLICT","message":"m","data":{"a":[1]}}');

function hostileError(random: SeededRandom): Uint8Array {
  return random.below(10) === 0 ? random.mutate(ERROR) : ERROR;
}

/** Passes what a decoder is allowed to throw. */
function only(...codes: readonly ErrorCode[]): (error: unknown) => void {
  return (error) => {
    assert.ok(error instanceof KontractError && codes.includes(error.code), `${error}`);
  };
}

for (const seed of SEEDS) {
  Deno.test(`clear bytes of every kind, changed at will, are read or refused (seed ${seed})`, () => {
    const random = new SeededRandom(seed);
    const ticket = random.bytes(113);
    const prefix = { lane: random.bytes(8), reqno: 7n, salt: random.bytes(16), ticket };
    const init = concat(
      new Uint8Array([1, 1, 0, 0, 70, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
      new Uint8Array([1, 1, 1, 0]),
      random.bytes(66),
    );
    const seal = new StreamSealer(crypto, { key: randomBytes(32), next: 0 });
    const frames = [1, 3].map((stream) =>
      seal.seal({ ...hostileFrame(random, [stream]), flags: 0 })
    );
    const kinds: readonly (readonly [Uint8Array, (bytes: Uint8Array) => unknown])[] = [
      [init, readInit],
      [encodePrefix(prefix), readPrefix],
      [concat(...frames), (bytes) => new FrameSplitter().push(bytes)],
      [encodeGrant({ secret: random.bytes(32), expiresIn: 9, ticket }), decodeGrant],
      [ERROR, decodeWireError],
    ];
    const refuse = only("RAY_PROTOCOL");
    for (let run = 0; run < FRAMES; run++) {
      const [sample, read] = kinds[run % kinds.length]!;
      try {
        read(random.mutate(sample));
      } catch (error) {
        refuse(error);
      }
    }
  });

  Deno.test(`a client that seals whatever it likes breaks its own socket at worst (seed ${seed})`, async () => {
    const random = new SeededRandom(seed);
    const server = makeServer({ limits: LIMITS });
    let ran = 0;
    let failures = 0;
    for (let sent = 0; sent < SEALED;) {
      const socket = new CountingSocket();
      const [up, down] = [randomBytes(32), randomBytes(32)];
      const session = await server.restoreSocket(
        socket,
        (call) => {
          ran++;
          return dispatch(call);
        },
        () => {},
        {
          positions: { send: { key: down, next: 0 }, receive: { key: up, next: 0 } },
          ...{
            startedAt: Date.now(),
            lastStream: -1,
            token: null,
            lane: "l",
            reqno: 0n,
            busy: false,
          },
        },
      );
      const sealer = new StreamSealer(crypto, { key: up, next: 0 });
      let next = 1;
      const begun = sent;
      while (socket.closed === 0 && sent - begun < 200) {
        if (random.below(3) > 0) next += 2;
        await session.receive(sealer.seal(hostileFrame(random, [0, next, next, next - 2])));
        sent++;
      }
      if (socket.closed > 0) failures++;
      session.gone();
      await setImmediate();
      assert.equal(session.busy, false, "a call outlived its socket");
      assert.ok(socket.closed === 1, "closed once");
      assert.ok(socket.frames <= 10 * (sent - begun), "answers out of proportion");
    }
    assert.ok(ran > 0 && failures > 0, "the fuzzing reached neither calls nor refusals");
  });

  Deno.test(`a server that seals whatever it likes cannot hang or crash its client (seed ${seed})`, async () => {
    const random = new SeededRandom(seed);
    const keys = await deriveServerKeys([randomBytes(32)], cheap);
    const pin = parsePins(cheap, keys.pins)[0]!;
    const responder = { crypto: cheap, keys, app: "a", limits: LIMITS };
    const allowed = only("NETWORK", "RAY_PROTOCOL", "TOO_LARGE", "INTERNAL", "CONFLICT");
    let settled = 0;
    for (let sent = 0; sent < SEALED;) {
      const socket = new CountingSocket();
      const wire: RaySocket & { init?: Bytes } = {
        send(bytes) {
          this.init ??= bytes;
          socket.send(bytes);
        },
        close: () => socket.close(),
      };
      let reqno = 0n;
      const client = new SocketClient({
        ...{ crypto: cheap, pin, app: "a", socket: wire, lane: random.bytes(8) },
        takeNumber: () => reqno++,
        now: () => performance.now(),
      });
      const started = client.start();
      while (wire.init === undefined) await setImmediate();
      const { response, result } = await respond(responder, RayTransport.WEBSOCKET, wire.init);
      await client.receive(response);
      await started;
      const open = new Map<number, Promise<void>>();
      const begin = (): void => {
        const { promise, resolve } = Promise.withResolvers<void>();
        const end = (): void => {
          open.delete(stream);
          settled++;
          resolve();
        };
        const { stream } = client.begin({ op: 1000, payload: random.bytes(9), token: null }, {
          event: random.below(20) > 0 ? () => {} : null,
          done: end,
          fail: (error) => (allowed(error), end()),
        });
        open.set(stream, promise);
      };
      const sealer = new StreamSealer(cheap, { key: result.responderKey, next: 0 });
      const begun = sent;
      while (socket.closed === 0 && sent - begun < 200) {
        while (open.size < 4) begin();
        const frame = hostileFrame(random, [...open.keys()]);
        // Mostly answers that go on: after a fault there is a handshake to make.
        const type = random.below(20) === 0 ? frame.type : random.pick(ANSWERS);
        const flags = random.below(8) === 0 ? frame.flags : 0;
        const payload = type === FrameType.RPC_ERROR ? hostileError(random) : frame.payload;
        await client.receive(sealer.seal({ ...frame, type, flags, payload }));
        sent++;
      }
      const waiting = [...open.values()];
      client.close(1000, new KontractError("NETWORK"));
      await Promise.all(waiting);
      assert.equal(client.open, 0);
    }
    assert.ok(settled > 0);
  });
}

Deno.test("a client's handshake ends with an error whatever the server answers", async () => {
  const random = new SeededRandom(DAY);
  const keys = await deriveServerKeys([randomBytes(32)], crypto);
  const pin = parsePins(crypto, [toBase64Url(keys.keys[0]!.pair.publicKey)])[0]!;
  const responder = { crypto, keys, app: "a", limits: LIMITS };
  const refuse = only("RAY_PROTOCOL", "RAY_SERVER_KEY");
  for (let run = 0; run < (LONG ? 2000 : 100); run++) {
    const initiated = await initiate(crypto, pin, RayTransport.HTTP, "a");
    const { response } = await respond(responder, RayTransport.HTTP, initiated.init);
    const changed = random.mutate(response);
    if (changed.length === response.length && changed.every((byte, at) => byte === response[at])) {
      continue;
    }
    try {
      const [frame] = new FrameSplitter().push(changed);
      if (frame === undefined || frame.headerBytes.length !== HEADER_LENGTH) continue;
      await initiated.finish(frame);
      // Bytes after the frame are the caller's to refuse; header and body must be as they were sent.
      const same = changed.subarray(0, response.length).every((byte, at) => byte === response[at]);
      assert.ok(same, "a changed answer was believed");
    } catch (error) {
      refuse(error);
    }
  }
});
