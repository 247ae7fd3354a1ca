/**
 * What raystream hands up and takes down: calls as bytes. The layer above (runtime) knows routes and
 * codecs; the layer below (frames, AEAD) knows neither.
 *
 * @module
 */
import type { ErrorCode } from "../_internal/errors.ts";

/** Ops below this are Kontract's own; see {@link SYSTEM_OPS}. */
export const FIRST_APP_OP = 1000;

/** Kontract's own operations. Payloads are `Value` encoded (see `protocol/codec/value.ts`). */
export const SYSTEM_OPS = {
  /** Control frame on stream 0: payload is the session token (UTF-8), empty for none. */
  AUTHENTICATE: 0,
  /** Anonymous session, register, login, …: payload `[name, argument]`. */
  AUTH: 1,
  /** Subscribe to a table or topic: payload is a `SubscribeRequest`. */
  SUBSCRIBE: 2,
} as const;

/** An error as it crosses the channel: authenticated, typed, without a stack. */
export interface WireError {
  readonly code: ErrorCode | string;
  readonly message: string;
  readonly data?: unknown;
  /** Found again in the server's log. */
  readonly requestId?: string;
}

/** One decrypted, authenticated call. */
export interface RpcCall {
  readonly op: number;
  /** Arguments, encoded; a view that is valid until the dispatcher's promise settles. */
  readonly payload: Uint8Array;
  /** Session token from the AUTHENTICATE frame, or null. */
  readonly token: string | null;
  /** Client-chosen lane (8 bytes, base64url) and number: the identity for exactly-once. */
  readonly lane: string;
  readonly reqno: bigint;
  /** Aborted when the client cancels or goes away. */
  readonly signal: AbortSignal;
  /** The elements of the n-th streamed argument, encoded; each can be read once. */
  input(argument: number): AsyncIterable<Uint8Array>;
}

/** What a dispatcher answers. A stream yields encoded elements; throwing inside it ends it with an error frame. */
export type RpcReply =
  | { readonly kind: "value"; readonly payload: Uint8Array }
  | { readonly kind: "error"; readonly error: WireError }
  | { readonly kind: "stream"; readonly elements: AsyncIterable<Uint8Array> };

/** The layer above, as raystream sees it. Never rejects: a failure is an `error` reply. */
export type Dispatch = (call: RpcCall) => Promise<RpcReply>;
