/**
 * Sockets that stay, sockets that never say enough, and a gateway that goes away in the middle.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ErrorCode, KontractError } from "../_internal/errors.ts";
import { createHttpTransport, openSocketTransport } from "./client.ts";
import type { Dispatch } from "./rpc.ts";
import { makeServer, memoryEpochs, serveGateway } from "./testing/gateway.ts";
import { echoDispatch, TripOp } from "./testing/round_trips.ts";

const SOCKETS = Deno.env.get("KONTRACT_LONG") === "1" ? 10_000 : 500;
const READ = { token: null, mutation: false } as const;

const withCode = (...codes: readonly ErrorCode[]) => (error: unknown): boolean =>
  error instanceof KontractError && codes.includes(error.code);

Deno.test(`${SOCKETS} idle sockets stay open, and all is given back`, async () => {
  await using gateway = await serveGateway(echoDispatch);
  const clients = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      new URL("testing/idle_clients.ts", import.meta.url).href,
      ...[gateway.url, gateway.pins[0]!, String(SOCKETS)],
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = clients.stdout.getReader();
  const { value } = await output.read();
  assert.equal(new TextDecoder().decode(value).trim(), "ready");
  const open = gateway.sockets.filter(({ readyState }) => readyState === WebSocket.OPEN);
  // More where a client gave a connection up that came late.
  assert.ok(open.length >= SOCKETS, `${open.length} are open`);
  const gone = open.map((socket) =>
    new Promise((resolve) => socket.addEventListener("close", resolve))
  );
  await clients.stdin.close();
  await output.cancel();
  await clients.status;
  await Promise.all(gone);
});

Deno.test("connections that stay half open, in TCP, HTTP or the handshake, stop nobody else", async () => {
  await using gateway = await serveGateway(echoDispatch);
  const { hostname, port } = new URL(gateway.url);
  const text = new TextEncoder();
  const beginnings = [
    "",
    "POST /raystream HTTP/1.1\r\n",
    "POST /raystream HTTP/1.1\r\nhost: a\r\ncontent-type: application/raystream\r\n" +
    "content-length: 1000\r\n\r\nhalf",
  ];
  const open = await Promise.all(
    beginnings.flatMap((beginning) =>
      Array.from({ length: 20 }, async () => {
        const connection = await Deno.connect({ hostname, port: Number(port) });
        await connection.write(text.encode(beginning));
        return connection;
      })
    ),
  );
  const silent = Array.from({ length: 20 }, () => new WebSocket(gateway.url.replace("http", "ws")));
  await Promise.all(silent.map((socket) => new Promise((resolve) => (socket.onopen = resolve))));
  const options = { url: gateway.url, pins: gateway.pins, app: "test-app" };
  for (const transport of [createHttpTransport(options), await openSocketTransport(options)]) {
    assert.deepEqual(await transport.call(TripOp.ECHO, new Uint8Array(9), READ), new Uint8Array(9));
    transport.close();
  }
  for (const connection of open) connection.close();
  const closed = silent.map((socket) => new Promise((resolve) => (socket.onclose = resolve)));
  for (const socket of silent) socket.close();
  await Promise.all(closed);
});

Deno.test({
  name:
    "a gateway that restarts in the middle breaks its streams, and the next call finds the new one",
  // Deno keeps a resource of the server that was cut.
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const [secrets, epochs] = [[new Uint8Array(32).fill(3)], memoryEpochs()];
    let ran = 0;
    const endless: Dispatch = (call) => {
      if (call.op !== TripOp.STREAM) return echoDispatch(call);
      ran++;
      const elements = (async function* (): AsyncGenerator<Uint8Array, void> {
        for (let at = 0; !call.signal.aborted; at++) {
          yield new Uint8Array([at]);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      })();
      return Promise.resolve({ kind: "stream", elements });
    };
    const serve = (port: number) => {
      const server = makeServer({ secrets, epochs });
      const cut = new AbortController();
      const sockets = new Set<WebSocket>();
      const http = Deno.serve(
        { port, hostname: "127.0.0.1", onListen: () => {}, signal: cut.signal },
        (request) => {
          if (request.headers.get("upgrade") !== "websocket") {
            return server.handle(request, endless);
          }
          const { socket, response } = Deno.upgradeWebSocket(request);
          socket.binaryType = "arraybuffer";
          const session = server.socket(socket, endless);
          socket.onmessage = ({ data }) => void session.receive(data);
          socket.onclose = () => session.gone();
          sockets.add(socket);
          return response;
        },
      );
      return {
        ...{ server, port: http.addr.port },
        async kill(): Promise<void> {
          for (const socket of sockets) socket.close();
          cut.abort();
          await http.finished;
        },
      };
    };
    const first = serve(0);
    const { pins } = await first.server.keys();
    const options = { url: `http://127.0.0.1:${first.port}`, pins, app: "test-app" };
    const transports = [createHttpTransport(options), await openSocketTransport(options)];
    const streams = transports.map(async (transport, index) => {
      let seen = 0;
      for await (const _ of transport.stream(TripOp.STREAM, new Uint8Array(0), READ)) {
        if (seen++ === 5) reached[index]!.resolve();
      }
    });
    const reached = transports.map(() => Promise.withResolvers<void>());
    const failures = streams.map((stream) => assert.rejects(stream, withCode("NETWORK")));
    await Promise.all(reached.map(({ promise }) => promise));
    assert.equal(ran, 2);
    await first.kill();
    await Promise.all(failures);
    const second = serve(first.port);
    for (const transport of transports) {
      const payload = new Uint8Array([1, 2, 3]);
      assert.deepEqual(await transport.call(TripOp.ECHO, payload, READ), payload);
      transport.close();
    }
    await second.kill();
  },
});
