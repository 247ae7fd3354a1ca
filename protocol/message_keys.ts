/**
 * A fresh key for every HTTP message.
 *
 * `rms = HKDF(salt = h, ikm = S, "raystream/1 rms")` outlives the handshake on both sides: in the ticket
 * at the server. A request starts with the cleartext prefix
 * `P = 01 ‖ 40 ‖ ticket_len u16 ‖ lane[8] ‖ reqno u64 ‖ salt_c[16] ‖ ticket`, bound through
 * `k_req = HKDF-Expand(rms, "raystream/1 req" ‖ SHA-256(P))`; an answer with
 * `k_res = HKDF-Expand(rms, "raystream/1 res" ‖ SHA-256(P) ‖ salt_s)`, `salt_s` new for every answer. So
 * one POST delivered to two servers is answered under two unrelated keys.
 *
 * A batch reserves as many numbers as it has calls: the call on stream 2k+1 is number `reqno + k`.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, concat, utf8, viewOf } from "./bytes.ts";
import type { Symmetric } from "./crypto/provider.ts";
import { RAY_VERSION } from "./frames.ts";

/** Second byte of a request body; a handshake has 01 there. */
export const MESSAGE_KIND = 0x40;

/** Bytes of a salt, on either side. */
export const SALT_LENGTH = 16;

/** Bytes of a lane. */
export const LANE_LENGTH = 8;

const FIXED = 36;
const MAX_TICKET = 1024;
/** Bytes of a prefix at most. */
export const MAX_PREFIX = FIXED + MAX_TICKET;
const MAX_REQNO = 0xffff_ffff_ffff_ffffn;

/** The cleartext head of a request. */
export interface MessagePrefix {
  readonly lane: Uint8Array;
  readonly reqno: bigint;
  readonly salt: Uint8Array;
  readonly ticket: Uint8Array;
}

/** P as bytes. */
export function encodePrefix(prefix: MessagePrefix): Bytes {
  const fixed = new Uint8Array(FIXED);
  const view = viewOf(fixed);
  view.setUint8(0, RAY_VERSION);
  view.setUint8(1, MESSAGE_KIND);
  view.setUint16(2, prefix.ticket.length, true);
  fixed.set(prefix.lane, 4);
  view.setBigUint64(12, prefix.reqno, true);
  fixed.set(prefix.salt, 20);
  return concat(fixed, prefix.ticket);
}

/** P at the start of `body`, and its length. Throws `RAY_PROTOCOL`. */
export function readPrefix(body: Uint8Array): { prefix: MessagePrefix; length: number } {
  if (body.length < FIXED) throw new KontractError("RAY_PROTOCOL");
  const view = viewOf(body);
  const ticketLength = view.getUint16(2, true);
  const length = FIXED + ticketLength;
  const valid = view.getUint8(0) === RAY_VERSION && view.getUint8(1) === MESSAGE_KIND &&
    ticketLength > 0 && ticketLength <= MAX_TICKET && body.length >= length;
  if (!valid) throw new KontractError("RAY_PROTOCOL");
  const prefix = {
    lane: body.subarray(4, 12),
    reqno: view.getBigUint64(12, true),
    salt: body.subarray(20, FIXED),
    ticket: body.subarray(FIXED, length),
  };
  return { prefix, length };
}

/** The identity of the call on stream `2k + 1` of a body. Throws `RAY_PROTOCOL` past the last number. */
export function requestNumber(base: bigint, k: number): bigint {
  const number = base + BigInt(k);
  if (number > MAX_REQNO) throw new KontractError("RAY_PROTOCOL");
  return number;
}

/** rms of a session. */
export function resumptionSecret(crypto: Symmetric, hash: Uint8Array, secret: Uint8Array): Bytes {
  return crypto.hkdf(hash, secret, utf8("raystream/1 rms"), 32);
}

/** k_req. */
export function requestKey(crypto: Symmetric, rms: Uint8Array, prefixHash: Uint8Array): Bytes {
  return expand(crypto, rms, utf8("raystream/1 req"), prefixHash);
}

/** k_res. */
export function responseKey(
  crypto: Symmetric,
  rms: Uint8Array,
  prefixHash: Uint8Array,
  salt: Uint8Array,
): Bytes {
  return expand(crypto, rms, utf8("raystream/1 res"), prefixHash, salt);
}

const LAST_BLOCK = new Uint8Array([1]);

/** HKDF-Expand (RFC 5869, section 2.3) to 32 bytes, which is one block. */
export function expand(crypto: Symmetric, key: Uint8Array, ...info: readonly Uint8Array[]): Bytes {
  return crypto.hmac(key, concat(...info, LAST_BLOCK));
}
