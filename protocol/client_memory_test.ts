/**
 * What a hostile server can make a client hold: over a WebSocket that it floods, and over HTTP.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { KontractError } from "../_internal/errors.ts";
import { type Bytes, concat, randomBytes } from "./bytes.ts";
import { loadProvider } from "./crypto/select.ts";
import { createHttpTransport } from "./client.ts";
import { encodeBatch } from "./batch.ts";
import { FrameFlag, FrameType } from "./frames.ts";
import { RayTransport } from "./hello.ts";
import { DEFAULT_LIMITS, MAX_MESSAGE } from "./limits.ts";
import type { InnerFrame } from "./sealed_frame.ts";
import { respond } from "./server_handshake.ts";
import { deriveServerKeys } from "./server_keys.ts";
import { createSocketTransport } from "./socket_transport.ts";
import { StreamSealer } from "./stream_state.ts";
import { makeServer } from "./testing/gateway.ts";

const crypto = await loadProvider();
const READ = { token: null, mutation: false } as const;
const keys = await deriveServerKeys([randomBytes(32)], crypto);

/** A WebSocket whose other end sends `frame` without end once it was called, and counts. */
function flooding(frame: InnerFrame) {
  const flood = { bytes: 0, code: 0 };
  class Flood extends EventTarget {
    readyState = 1;
    bufferedAmount = 0;
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: Bytes }) => void) | null = null;
    onclose: ((event: { code: number }) => void) | null = null;
    #sealer: StreamSealer | undefined;
    constructor() {
      super();
      setTimeout(() => this.onopen?.(), 0);
    }
    async send(bytes: Bytes): Promise<void> {
      if (this.#sealer !== undefined) return this.#pour();
      const responder = { crypto, keys, app: "a", limits: DEFAULT_LIMITS };
      const { response, result } = await respond(responder, RayTransport.WEBSOCKET, bytes);
      this.#sealer = new StreamSealer(crypto, { key: result.responderKey, next: 0 });
      this.onmessage?.({ data: response });
    }
    #pour(): void {
      while (this.readyState === 1 && flood.bytes < 256 << 20) {
        flood.bytes += frame.payload.length + 64;
        this.onmessage?.({ data: this.#sealer!.seal(frame) });
      }
    }
    close(code: number): void {
      this.readyState = 3;
      flood.code = code;
      this.onclose?.({ code });
    }
  }
  return { flood, webSocket: Flood as unknown as typeof WebSocket };
}

const [stream, op] = [1, 1000];
const [type, payload] = [FrameType.EVENT, new Uint8Array(60_000)];
const empty = { type, stream, op, payload: new Uint8Array(0) };
const FLOODS: Readonly<Record<string, InnerFrame>> = {
  "elements beyond its credit": { type, stream, op, payload, flags: 0 },
  "empty elements": {
    ...{ type: FrameType.BATCH, stream: 0, op: 0, flags: 0 },
    payload: encodeBatch(Array(4000).fill(empty)),
  },
  "a message that never ends": { type, stream, op, payload, flags: FrameFlag.MORE },
};

for (const [title, frame] of Object.entries(FLOODS)) {
  Deno.test(`a server that floods its client with ${title} is left`, async () => {
    const { flood, webSocket } = flooding(frame);
    const url = "http://gateway.test";
    const transport = createSocketTransport({ url, pins: keys.pins, app: "a", webSocket });
    const elements = transport.stream(1000, new Uint8Array(0), READ)[Symbol.asyncIterator]();
    const failure = await elements.next().then(
      // What came within the credit is the reader's; the flood ends behind it.
      async () => {
        while (true) if ((await elements.next()).done) return null;
      },
    ).catch((error: KontractError) => error.code);
    assert.match(String(failure), /^(RAY_PROTOCOL|NETWORK)$/);
    assert.match(String(flood.code), /^44(00|13)$/);
    assert.ok(flood.bytes <= 2 * MAX_MESSAGE, `${flood.bytes} bytes were taken`);
    transport.close();
  });
}

Deno.test("an answer over HTTP that never ends is left by a client that waits for one message", async () => {
  const server = makeServer();
  const { pins } = await server.keys();
  let sent = 0;
  const endless = (async (url: string, init: RequestInit) => {
    const answer = await server.handle(new Request(url, init), () =>
      Promise.resolve({
        kind: "stream",
        elements: (async function* () {
          for (; sent < 256 << 20; sent += 1 << 20) {
            yield await Promise.resolve(new Uint8Array(1 << 20));
          }
        })(),
      }));
    return answer;
  }) as typeof fetch;
  const options = { url: "http://gateway.test", pins, app: "test-app", fetch: endless };
  const transport = createHttpTransport(options);
  await assert.rejects(transport.call(1000, concat(), READ), { code: "RAY_PROTOCOL" });
  assert.ok(sent <= 4 << 20, `${sent} bytes were taken`);
  transport.close();
});

/** How many bytes a client takes of an answer that is none. */
async function taken(headers: Readonly<Record<string, string>>, type: string): Promise<number> {
  const server = makeServer();
  const { pins } = await server.keys();
  let sent = 0;
  // As a proxy could: it knows no key, and tells a length.
  const flood = (async (url: string, init: RequestInit) => {
    const answer = await server.handle(new Request(url, init), () => Promise.reject(new Error()));
    if ((init.body as Bytes)[1] !== 0x40) return answer;
    const body = new ReadableStream<Bytes>({
      pull(controller): void {
        controller.enqueue(new Uint8Array(1 << 16));
        if ((sent += 1 << 16) >= 256 << 20) controller.close();
      },
    });
    const flooding = new Response(body, {
      headers: { "content-type": "application/raystream", ...headers },
    });
    return Object.defineProperty(flooding, "type", { value: type });
  }) as typeof fetch;
  const options = { url: "http://gateway.test", pins, app: "test-app", fetch: flood };
  const transport = createHttpTransport(options);
  await assert.rejects(transport.call(1000, concat(), READ), { code: "RAY_PROTOCOL" });
  transport.close();
  return sent;
}

Deno.test("an answer that is none is left at its first frame, whatever length it tells", async () => {
  const small = { "content-length": "40000" };
  for (
    const [headers, type] of [
      [{ "content-length": `${256 << 20}` }, "basic"],
      // The length of what was sent, which the platform has made much more of.
      [{ ...small, "content-encoding": "gzip" }, "basic"],
      // Where it does not even say so.
      [small, "cors"],
    ] as const
  ) {
    const sent = await taken(headers, type);
    assert.ok(sent <= 1 << 20, `${sent} bytes were taken of ${JSON.stringify(headers)}`);
  }
});
