/**
 * Watches one WebSocket at the client with one timer: a gateway that has been silent is asked whether it
 * is still there, and a connection that nobody uses is closed. Browsers can send no ping, so without this
 * a half-open connection would stay silent for as long as the network forgets to say so.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { SocketClient } from "./socket_client.ts";
import { CloseCode } from "./close_code.ts";

/** How long is too long, in milliseconds. */
export interface SocketPatience {
  /** Silence while calls are open, before the gateway is asked; it then has a quarter of that to answer. */
  readonly silence: number;
  /** Time without an open call before the connection is closed; `Infinity` for never. */
  readonly idle: number;
}

/** Watches `client`, which is connected, until what is returned is called. */
export function watchSocket(client: SocketClient, { silence, idle }: SocketPatience): () => void {
  let asked = 0;
  const timer = setInterval(look, Math.min(silence, idle) / 4);
  return () => clearInterval(timer);

  function look(): void {
    const now = performance.now();
    const quiet = now - client.heardAt;
    if (client.open === 0) {
      // No call ends without a word of the gateway.
      if (quiet > idle) {
        client.close(CloseCode.NORMAL, new KontractError("NETWORK", "The connection was idle."));
      }
    } else if (quiet < silence) asked = 0;
    else if (asked === 0) {
      client.beat();
      asked = now;
    } else if (now - asked >= silence / 4) {
      client.close(CloseCode.NORMAL, new KontractError("NETWORK", "The gateway has gone silent."));
    }
  }
}
