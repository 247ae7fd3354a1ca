/**
 * A Worker that is gateway, client and subject of the vectors at once. For tests only.
 *
 * @module
 */
import { createRaystreamServer } from "../server.ts";
import { trips, vectors } from "./platform_entry.ts";
import { echoDispatch } from "./round_trips.ts";

interface WorkerSocket {
  binaryType: string;
  accept(): void;
  send(bytes: Uint8Array): void;
  close(code: number): void;
  addEventListener(
    type: "message" | "close",
    listener: (event: { data: ArrayBuffer | string }) => void,
  ): void;
}

const ray = createRaystreamServer({
  app: "test-app",
  secrets: [new Uint8Array(32).fill(7)],
  epochs: { random: () => Promise.resolve(new Uint8Array(32).fill(9)) },
  clock: Date,
});

function socket(): Response {
  const Pair = (globalThis as unknown as { WebSocketPair: new () => Record<0 | 1, WorkerSocket> })
    .WebSocketPair;
  const { 0: client, 1: server } = new Pair();
  server.accept();
  server.binaryType = "arraybuffer";
  const session = ray.socket(
    { send: (bytes) => server.send(bytes), close: (code) => server.close(code) },
    echoDispatch,
  );
  server.addEventListener("message", ({ data }) => void session.receive(data));
  server.addEventListener("close", () => session.gone());
  return new Response(null, { status: 101, webSocket: client } as ResponseInit);
}

export default {
  async fetch(request: Request): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case "/raystream":
        if (request.headers.get("upgrade") === "websocket") return socket();
        return await ray.handle(request, echoDispatch);
      case "/pins":
        return Response.json((await ray.keys()).pins);
      case "/vectors":
        return Response.json(await vectors(await request.json()));
      case "/trips": {
        const { kind, ...options } = await request.json();
        return Response.json(await trips(kind, options));
      }
      default:
        return new Response(null, { status: 404 });
    }
  },
};
