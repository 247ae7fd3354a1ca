/**
 * The sealed channel over a WebSocket of Deno's.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { SocketSession } from "../../protocol/mod.ts";
import { toFailure } from "../failure.ts";
import type { Gateway, SocketOrigin } from "../gateway.ts";
import { failureResponse } from "../json_surface.ts";

/** Accepts the upgrade and runs a session on the socket until either end goes; 400 where it is none. */
export function upgrade(gateway: Gateway, request: Request, from: SocketOrigin): Response {
  const accepted = accept(request);
  if (accepted === null) {
    const refused = new KontractError("BAD_REQUEST", "This is no handshake of a WebSocket.");
    return failureResponse(toFailure(refused, crypto.randomUUID()));
  }
  const { socket, response } = accepted;
  socket.binaryType = "arraybuffer";
  let session: Promise<SocketSession> | null = null;
  let opened: SocketSession | null = null;
  const open = (): Promise<SocketSession> => {
    session ??= gateway.openSocket({
      send: (bytes) => socket.send(bytes),
      close: (code, reason) => {
        if (socket.readyState <= WebSocket.OPEN) socket.close(code, reason);
      },
      get bufferedAmount(): number {
        return socket.bufferedAmount;
      },
    }, from);
    return session;
  };
  // Messages go on in the order they came: all wait for the same promise.
  socket.addEventListener("message", (event) => {
    const data = event.data as ArrayBuffer | string;
    if (opened !== null) return void opened.receive(data);
    open().then((session) => {
      opened = session;
      return session.receive(data);
    }).catch(() => socket.close(1011));
  });
  const gone = (): void => void session?.then((opened) => opened.gone(), () => {});
  socket.addEventListener("close", gone);
  socket.addEventListener("error", gone);
  return response;
}

/** Null for a request that only says that it upgrades: without a key, a version or the other header. */
function accept(request: Request): Deno.WebSocketUpgrade | null {
  try {
    return Deno.upgradeWebSocket(request);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}
