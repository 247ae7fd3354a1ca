/**
 * Limits of raystream in one record; each says which attack it bounds. The server announces its own in
 * handshake message 2, so a client can refuse to send what would be refused.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, viewOf } from "./bytes.ts";

/** What one side accepts. */
export interface RayLimits {
  /** Bytes of one message, and of all calls of one HTTP body: memory a stranger can make us hold. */
  readonly message: number;
  /** Open calls at once on one connection or in one body: work a stranger can start. */
  readonly streams: number;
  /** Subscriptions at once on one connection or in one body: each is a look at the database, over and over. */
  readonly subscriptions: number;
  /** Bytes of unfinished messages on one connection, and of unread elements of streamed arguments. */
  readonly reassembly: number;
}

/** Limits where nothing else is said. Written out: bundlers keep a shift in clients that do not use it. */
export const DEFAULT_LIMITS: RayLimits = {
  message: 1_048_576,
  streams: 256,
  subscriptions: 64,
  reassembly: 4_194_304,
};

/** No deployment may raise `message` above this. */
export const MAX_MESSAGE = 16 << 20;

/** A handshake body is never longer: whatever is, is refused before any key agreement. */
export const MAX_INIT = 4096;

/** Bytes of a session token. */
export const MAX_TOKEN = 8192;

/** Bytes of an error in a frame: what a peer can make us parse as JSON. */
export const MAX_ERROR = 64 << 10;

const LENGTH = 16;

/**
 * Bytes of one HTTP body, but for one that goes on. Frames and prefix cost less than 64 KiB on top of what they
 * carry, whatever the batch.
 */
export function bodyLimit({ message }: RayLimits): number {
  return message + (64 << 10);
}

/** The payload of handshake message 2: message u32 ‖ streams u16 ‖ subscriptions u16 ‖ reassembly u32 ‖ 0⁴. */
export function encodeLimits(limits: RayLimits): Bytes {
  const out = new Uint8Array(LENGTH);
  const view = viewOf(out);
  view.setUint32(0, limits.message, true);
  view.setUint16(4, limits.streams, true);
  view.setUint16(6, limits.subscriptions, true);
  view.setUint32(8, limits.reassembly, true);
  return out;
}

/** Reads what {@link encodeLimits} wrote; longer payloads of later servers are fine. */
export function decodeLimits(bytes: Uint8Array): RayLimits {
  if (bytes.length < LENGTH) throw new KontractError("RAY_PROTOCOL");
  const view = viewOf(bytes);
  return {
    message: Math.min(view.getUint32(0, true), MAX_MESSAGE),
    streams: Math.max(1, view.getUint16(4, true)),
    subscriptions: view.getUint16(6, true),
    reassembly: view.getUint32(8, true),
  };
}

/**
 * Defaults with `given` on top.
 *
 * @throws {KontractError} `CONFIG` for a limit that is none.
 */
export function resolveLimits(given: Partial<RayLimits> = {}): RayLimits {
  const limits = { ...DEFAULT_LIMITS, ...given };
  check("message", limits.message, 1024, MAX_MESSAGE);
  check("streams", limits.streams, 1, 65_535);
  check("subscriptions", limits.subscriptions, 0, 65_535);
  check("reassembly", limits.reassembly, limits.message, 0xffff_ffff);
  return limits;
}

function check(name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new KontractError(
    "CONFIG",
    `raystream limit '${name}' must be a whole number from ${low} to ${high}: it is ${value}.`,
  );
}

/** What the client says of a call that the gateway would refuse. */
export function callTooLarge(limit: number): KontractError {
  return new KontractError(
    "TOO_LARGE",
    `The call is larger than the gateway takes: ${limit} bytes. ` +
      "Larger files go up as a parameter that is a ReadableStream.",
  );
}
