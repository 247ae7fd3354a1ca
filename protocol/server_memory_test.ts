/**
 * What a hostile client can make a server hold over one WebSocket: it seals properly and sends one kind of
 * frame without end, to functions that never answer, and reads nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { encodeBatch } from "./batch.ts";
import { type Bytes, EMPTY, randomBytes } from "./bytes.ts";
import { loadProvider } from "./crypto/select.ts";
import { FrameFlag, FrameType } from "./frames.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import type { RayMessage } from "./message_state.ts";
import type { Dispatch } from "./rpc.ts";
import { FRAME_OVERHEAD, type InnerFrame } from "./sealed_frame.ts";
import { encodeCredit } from "./socket_control.ts";
import { CloseCode } from "./close_code.ts";
import type { RaySocket } from "./socket_link.ts";
import { StreamSealer } from "./stream_state.ts";
import { makeServer } from "./testing/gateway.ts";

const crypto = await loadProvider();
const { message, reassembly, streams } = DEFAULT_LIMITS;
const LARGE = new Uint8Array(60_000);
const MANY = 3000;

/** Nobody reads what it sends. */
class DeafSocket implements RaySocket {
  bufferedAmount = 0;
  code: number | undefined;
  send(bytes: Bytes): void {
    this.bufferedAmount += bytes.length;
  }
  close(code: number): void {
    this.code ??= code;
  }
}

const never: Dispatch = () => new Promise(() => {});
const instant: Dispatch = () => Promise.resolve({ kind: "value", payload: EMPTY });

function frame(given: Partial<InnerFrame>): InnerFrame {
  return { type: FrameType.RPC_CALL, flags: 0, stream: 1, op: 1000, payload: EMPTY, ...given };
}

function batch(of: (n: number) => Partial<RayMessage>): InnerFrame {
  const messages = Array.from({ length: MANY }, (_, n) => frame(of(n)));
  return frame({ type: FrameType.BATCH, stream: 0, op: 0, payload: encodeBatch(messages) });
}

interface Flood {
  readonly title: string;
  readonly dispatch?: Dispatch;
  readonly frame: (n: number) => InnerFrame;
  /** How the server ends it, null where it costs nothing and may go on. */
  readonly code: number | null;
  /** Bytes after which it must have ended. */
  readonly most: number;
}

const beat = batch(() => ({ type: FrameType.HEARTBEAT, stream: 0, op: 0 }));
const calls = batch((n) => ({ stream: 2 * n + 1 }));
const FLOODS: readonly Flood[] = [
  {
    title: "the fragments of one message",
    frame: () => frame({ flags: FrameFlag.MORE, payload: LARGE }),
    code: CloseCode.TOO_LARGE,
    most: message + LARGE.length,
  },
  {
    title: "the beginnings of many messages",
    frame: (n) => frame({ flags: FrameFlag.MORE, stream: 2 * n + 1, payload: LARGE }),
    code: CloseCode.TOO_LARGE,
    most: reassembly + LARGE.length,
  },
  {
    title: "the least of many messages",
    frame: (n) =>
      frame({ flags: FrameFlag.MORE, stream: 2 * n + 1, payload: LARGE.subarray(0, 1024) }),
    code: CloseCode.PROTOCOL,
    most: (streams + 1) * (1024 + FRAME_OVERHEAD),
  },
  {
    title: "calls",
    frame: (n) => frame({ stream: 2 * n + 1, payload: LARGE }),
    code: CloseCode.PROTOCOL,
    most: (streams + 1) * (LARGE.length + FRAME_OVERHEAD),
  },
  { title: "batches of calls", frame: () => calls, code: CloseCode.PROTOCOL, most: 64 << 10 },
  {
    title: "elements that nobody asked for",
    frame: (n) => frame(n === 0 ? {} : { type: FrameType.EVENT, op: 0, payload: LARGE }),
    code: CloseCode.PROTOCOL,
    most: 2 * LARGE.length,
  },
  {
    title: "credit",
    frame: (n) =>
      frame(n === 0 ? {} : { type: FrameType.CREDIT, op: 0, payload: encodeCredit(1 << 30) }),
    code: CloseCode.PROTOCOL,
    most: 4 * 64,
  },
  {
    title: "heartbeats",
    frame: () => beat,
    code: CloseCode.OVERLOADED,
    most: 40 << 20,
  },
  {
    title: "cancellations of what has ended",
    dispatch: instant,
    frame: (n) => n === 0 ? frame({}) : batch(() => ({ type: FrameType.CANCEL, op: 0 })),
    code: null,
    most: 8 << 20,
  },
];

for (const { title, dispatch = never, frame, code, most } of FLOODS) {
  Deno.test(`a client that floods its server with ${title} ${code === null ? "costs it nothing" : "is left"}`, async () => {
    const socket = new DeafSocket();
    const [up, down] = [randomBytes(32), randomBytes(32)];
    const session = await makeServer().restoreSocket(socket, dispatch, () => {}, {
      positions: { send: { key: down, next: 0 }, receive: { key: up, next: 0 } },
      ...{ startedAt: Date.now(), lastStream: -1, token: null, lane: "l", reqno: 0n, busy: false },
    });
    const sealer = new StreamSealer(crypto, { key: up, next: 0 });
    let fed = 0;
    for (let n = 0; fed <= most && socket.code === undefined; n++) {
      const sealed = sealer.seal(frame(n));
      fed += sealed.length;
      await session.receive(sealed);
    }
    if (code !== null) assert.ok(fed <= most + LARGE.length, `left after ${fed} bytes`);
    assert.equal(socket.code, code ?? undefined);
    if (code !== null) return session.gone();
    assert.ok(socket.bufferedAmount < 1000, "answers to what needs none");
    assert.equal(session.busy, false);
  });
}
