/**
 * A real raystream gateway on a free loopback port. For tests only.
 *
 * @module
 */
import { randomBytes } from "../bytes.ts";
import { endingWith } from "../request_body.ts";
import type { Dispatch } from "../rpc.ts";
import {
  createRaystreamServer,
  type RaystreamServer,
  type RaystreamServerOptions,
} from "../server.ts";
import type { EpochStore } from "../tickets.ts";

/** Epoch randoms in memory. */
export function memoryEpochs(): EpochStore & { readonly values: Map<number, Uint8Array> } {
  const values = new Map<number, Uint8Array>();
  return {
    values,
    random(epoch) {
      const known = values.get(epoch);
      if (known !== undefined) return Promise.resolve(known);
      if (epoch !== Math.floor(Date.now() / 3_600_000)) return Promise.resolve(null);
      const fresh = randomBytes(32);
      values.set(epoch, fresh);
      return Promise.resolve(fresh);
    },
  };
}

/** A server object with defaults for tests. */
export function makeServer(options: Partial<RaystreamServerOptions> = {}): RaystreamServer {
  return createRaystreamServer({
    app: "test-app",
    secrets: [randomBytes(32)],
    epochs: memoryEpochs(),
    clock: Date,
    ...options,
  });
}

/** A listening gateway. */
export interface TestGateway extends AsyncDisposable {
  readonly url: string;
  readonly server: RaystreamServer;
  readonly pins: readonly string[];
  /** Requests seen so far. */
  readonly requests: readonly Request[];
  /** WebSockets accepted so far. */
  readonly sockets: readonly WebSocket[];
  /** Accepts an upgrade that came another way. */
  upgrade(request: Request): Response;
}

/** Serves `dispatch` until disposed. `wrap` stands between network and server, as a proxy would. */
export async function serveGateway(
  dispatch: Dispatch,
  options: Partial<RaystreamServerOptions> = {},
  wrap: (request: Request, next: (request: Request) => Promise<Response>) => Promise<Response> = (
    request,
    next,
  ) => next(request),
): Promise<TestGateway> {
  const server = makeServer(options);
  const requests: Request[] = [];
  const sockets: WebSocket[] = [];
  const upgrade = (request: Request): Response => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.binaryType = "arraybuffer";
    const session = server.socket(socket, dispatch);
    socket.onmessage = ({ data }) => void session.receive(data);
    socket.onclose = () => session.gone();
    sockets.push(socket);
    return response;
  };
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    requests.push(request);
    if (request.headers.get("upgrade") === "websocket") return upgrade(request);
    return wrap(
      request,
      async (inner) => endingWith(inner, await server.handle(inner, dispatch)),
    );
  });
  const { pins } = await server.keys();
  return {
    url: `http://127.0.0.1:${http.addr.port}`,
    server,
    pins,
    requests,
    sockets,
    upgrade,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.close();
      await http.shutdown();
    },
  };
}
