/**
 * raystream at the client: made for browsers too, so nothing here imports server code, and noble is a
 * chunk of its own that is loaded only where the platform lacks a primitive.
 *
 * @module
 */
export { createHttpTransport, type HttpTransportOptions } from "./http_transport.ts";
export type { Transport, TransportCallOptions, TransportOptions } from "./transport.ts";
export { RemoteError } from "./wire_error.ts";
export { FIRST_APP_OP, SYSTEM_OPS, type WireError } from "./rpc.ts";
