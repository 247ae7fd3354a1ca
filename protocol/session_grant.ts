/**
 * The payload of a SESSION frame: `S[32] ‖ expires_in u32 (seconds) ‖ ticket_len u16 ‖ ticket`. The
 * lifetime is a duration, so a client whose clock is wrong is no worse off.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, concat, viewOf } from "./bytes.ts";

/** What the server hands out after a handshake over HTTP. */
export interface SessionGrant {
  /** Mixed with the handshake hash into `rms`. */
  readonly secret: Uint8Array;
  /** Seconds. */
  readonly expiresIn: number;
  /** Opaque to the client. */
  readonly ticket: Uint8Array;
}

const FIXED = 38;

/** The payload as bytes. */
export function encodeGrant(grant: SessionGrant): Bytes {
  const numbers = new Uint8Array(6);
  viewOf(numbers).setUint32(0, grant.expiresIn, true);
  viewOf(numbers).setUint16(4, grant.ticket.length, true);
  return concat(grant.secret, numbers, grant.ticket);
}

/** Reads it back. Throws `RAY_PROTOCOL`. */
export function decodeGrant(bytes: Uint8Array): SessionGrant {
  if (bytes.length < FIXED) throw new KontractError("RAY_PROTOCOL");
  const view = viewOf(bytes);
  const length = view.getUint16(36, true);
  if (length === 0 || bytes.length !== FIXED + length) throw new KontractError("RAY_PROTOCOL");
  return {
    secret: bytes.slice(0, 32),
    expiresIn: view.getUint32(32, true),
    ticket: bytes.slice(FIXED),
  };
}
