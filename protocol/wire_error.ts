/**
 * Errors inside the channel: the payload of RPC_ERROR is JSON in UTF-8,
 * `{"code", "message", "data"?, "requestId"?}`, at most 64 KiB. Read with suspicion: a peer is
 * authenticated, not trusted to be well behaved.
 *
 * @module
 */
import { isErrorCode, KontractError } from "../_internal/errors.ts";
import { type Bytes, utf8 } from "./bytes.ts";
import { MAX_ERROR } from "./limits.ts";
import type { WireError } from "./rpc.ts";

/** An error as it crosses: what came from the server, or what may leave it. */
export class RemoteError extends KontractError {
  /** The code as sent; differs from `code` only where this client does not know it (then `INTERNAL`). */
  readonly remoteCode: string;
  /** Finds the call in the server's log. */
  readonly requestId: string | undefined;

  /** From the wire. */
  constructor(error: WireError) {
    const code = isErrorCode(error.code) ? error.code : "INTERNAL";
    super(code, error.message, { data: error.data });
    this.name = "KontractError";
    this.remoteCode = error.code;
    this.requestId = error.requestId;
  }
}

/** The payload of an RPC_ERROR frame; data that is no JSON or too large is left out. */
export function encodeWireError(error: WireError): Bytes {
  const { code, message, data, requestId } = error;
  const slim = { code, message: message.slice(0, 4096), requestId };
  if (data !== undefined) {
    try {
      const bytes = utf8(JSON.stringify({ ...slim, data }));
      if (bytes.length <= MAX_ERROR) return bytes;
    } catch {
      // Cycles and bigints: the caller still gets code and message.
    }
  }
  return utf8(JSON.stringify(slim));
}

/** Reads it back. Throws `RAY_PROTOCOL`. */
export function decodeWireError(bytes: Uint8Array): WireError {
  if (bytes.length > MAX_ERROR) throw new KontractError("RAY_PROTOCOL");
  let value: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = JSON.parse(text, (key, inner) => key === "__proto__" ? undefined : inner);
  } catch (cause) {
    throw new KontractError("RAY_PROTOCOL", undefined, { cause });
  }
  if (typeof value !== "object" || value === null) throw new KontractError("RAY_PROTOCOL");
  const { code, message, data, requestId } = value as Record<string, unknown>;
  if (typeof code !== "string" || typeof message !== "string") {
    throw new KontractError("RAY_PROTOCOL");
  }
  return {
    code,
    message,
    ...(data === undefined ? {} : { data }),
    ...(typeof requestId === "string" ? { requestId } : {}),
  };
}

/** What may be said of a thrown value: a KontractError's public part, or nothing. */
export function toWireError(error: unknown): WireError {
  if (!(error instanceof KontractError)) {
    return { code: "INTERNAL", message: new KontractError("INTERNAL").message };
  }
  return {
    code: error instanceof RemoteError ? error.remoteCode : error.code,
    message: error.message,
    ...(error.data === undefined ? {} : { data: error.data }),
    ...(error instanceof RemoteError && error.requestId !== undefined
      ? { requestId: error.requestId }
      : {}),
  };
}
