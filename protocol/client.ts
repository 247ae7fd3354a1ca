/**
 * raystream at the client: made for browsers too, so nothing here imports server code, and noble is a
 * chunk of its own that is loaded only where the platform lacks a primitive.
 *
 * @module
 */
import type { SocketTransportOptions } from "./socket_transport.ts";
import type { Transport } from "./transport.ts";

/** Makes a WebSocket transport alone; its code is a chunk that is loaded on the first use. */
export async function openSocketTransport(options: SocketTransportOptions): Promise<Transport> {
  return (await import("./socket_transport.ts")).createSocketTransport(options);
}

export { type AutoTransportOptions, createTransport } from "./auto_transport.ts";
export { createHttpTransport, type HttpTransportOptions } from "./http_transport.ts";
export type { SocketTransportOptions } from "./socket_transport.ts";
export type { Transport, TransportCallOptions, TransportOptions } from "./transport.ts";
export { RemoteError } from "./wire_error.ts";
export { FIRST_APP_OP, SYSTEM_OPS, type WireError } from "./rpc.ts";
