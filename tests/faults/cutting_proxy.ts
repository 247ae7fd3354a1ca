/**
 * A TCP relay in front of PostgreSQL that cuts the connection at a chosen place of the next statement.
 *
 * @module
 */
import net from "node:net";

/** Where the next statement's connection ends. */
export type Cut =
  /** The statement never reaches the server. */
  | "before"
  /** The server gets it; its answer is never seen. The connection ends in good order. */
  | "after"
  /** As `after`, but the connection is reset. */
  | "reset"
  /** The answer is cut in its middle, after the row. */
  | "inside";

/** A running relay. */
export interface CuttingProxy {
  /** The server's URL through this relay. */
  readonly url: string;
  /** Cuts at the next bytes that a client sends. Resolves when it has happened. */
  cut(where: Cut): Promise<void>;
  /** Ends all connections and the relay. */
  close(): Promise<void>;
}

/** Starts a relay to the server of `url` on a free port. */
export async function cuttingProxy(url: string): Promise<CuttingProxy> {
  const target = new URL(url);
  const port = Number(target.port);
  let armed: { readonly where: Cut; readonly done: () => void } | null = null;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const upstream = net.connect(port, target.hostname);
    let cutting: typeof armed = null;
    const end = (how: Cut | null): void => {
      if (how === "reset") client.resetAndDestroy();
      else client.destroy();
      upstream.destroy();
      sockets.delete(client);
      sockets.delete(upstream);
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => end(null));
      socket.on("close", () => end(null));
    }
    client.on("data", (bytes) => {
      cutting ??= armed;
      armed = null;
      if (cutting?.where === "before") {
        end("before");
        cutting.done();
      } else upstream.write(bytes);
    });
    upstream.on("data", (bytes) => {
      if (cutting === null) return void client.write(bytes);
      // Everything of an answer but its end: CommandComplete and ReadyForQuery.
      if (cutting.where === "inside") {
        client.write(bytes.subarray(0, rowEnd(bytes)), () => end(null));
      } else end(cutting.where);
      cutting.done();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  target.port = String((server.address() as net.AddressInfo).port);
  return {
    url: target.href,
    cut(where): Promise<void> {
      return new Promise((done) => armed = { where, done });
    },
    async close(): Promise<void> {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Where the first DataRow message ends. */
function rowEnd(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 5 <= bytes.length;) {
    const next = at + 1 + view.getUint32(at + 1);
    if (bytes[at] === "D".charCodeAt(0)) return next;
    at = next;
  }
  return bytes.length;
}
