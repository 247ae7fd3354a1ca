/**
 * The first message: INIT header, hello, Noise message 1. Header and hello are the Noise prologue, so
 * every cleartext byte is authenticated as soon as the handshake is.
 *
 * Hello: `version u8 = 1 ‖ suite u8 = 1 ‖ transport u8 ‖ 0 ‖ kid[8] ‖ app_len u16 ‖ app`. Suite 1 is
 * `Noise_NK_25519_ChaChaPoly_SHA256`.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, concat, utf8, viewOf } from "./bytes.ts";
import { FrameType, HEADER_LENGTH, readHeader, writeHeader } from "./frames.ts";
import { MAX_INIT } from "./limits.ts";

/** What carries the session afterwards. */
export const RayTransport = { HTTP: 1, WEBSOCKET: 2 } as const;

/** One of {@link RayTransport}. */
export type RayTransport = typeof RayTransport[keyof typeof RayTransport];

/** What the client says in clear. */
export interface Hello {
  readonly transport: RayTransport;
  /** Name of the pinned key, eight characters. */
  readonly kid: string;
  readonly app: string;
}

/** Parts of a received INIT. */
export interface Init {
  readonly hello: Hello;
  readonly prologue: Bytes;
  /** Noise message 1. */
  readonly noise: Bytes;
}

const SUITE = 1;
const VERSION = 1;
const FIXED = 14;

/** Bytes of Noise message 1: an ephemeral key and the tag of an empty payload. */
export const NOISE_INIT_LENGTH = 48;

/** Header and hello, ready to be the prologue. */
export function encodePrologue(hello: Hello): Bytes {
  const [kid, app] = [utf8(hello.kid), utf8(hello.app)];
  if (kid.length !== 8 || app.length > 256) {
    throw new KontractError("CONFIG", "The app id must be at most 256 bytes of UTF-8.");
  }
  const out = new Uint8Array(HEADER_LENGTH + FIXED + app.length);
  const length = FIXED + app.length + NOISE_INIT_LENGTH;
  writeHeader(out, 0, { type: FrameType.HANDSHAKE_INIT, flags: 0, length, sequence: 0 });
  out.set([VERSION, SUITE, hello.transport, 0], HEADER_LENGTH);
  out.set(kid, HEADER_LENGTH + 4);
  viewOf(out).setUint16(HEADER_LENGTH + 12, app.length, true);
  out.set(app, HEADER_LENGTH + FIXED);
  return out;
}

/** The whole INIT. */
export function encodeInit(prologue: Uint8Array, noise: Uint8Array): Bytes {
  return concat(prologue, noise);
}

/** Checks the shape of `bytes`, which must be one INIT and nothing else. Throws `RAY_PROTOCOL`. */
export function readInit(bytes: Uint8Array): Init {
  const fail = (): never => {
    throw new KontractError("RAY_PROTOCOL");
  };
  if (bytes.length > MAX_INIT || bytes.length < HEADER_LENGTH + FIXED) fail();
  const header = readHeader(bytes);
  if (header.type !== FrameType.HANDSHAKE_INIT || header.flags !== 0 || header.sequence !== 0) {
    fail();
  }
  if (header.length !== bytes.length - HEADER_LENGTH) fail();
  const body = bytes.subarray(HEADER_LENGTH);
  const appLength = viewOf(body).getUint16(12, true);
  if (body[0] !== VERSION || body[1] !== SUITE || body[3] !== 0) fail();
  if (body.length !== FIXED + appLength + NOISE_INIT_LENGTH || appLength > 256) fail();
  const transport = body[2];
  if (transport !== RayTransport.HTTP && transport !== RayTransport.WEBSOCKET) return fail();
  const end = HEADER_LENGTH + FIXED + appLength;
  return {
    hello: {
      transport,
      kid: text(body.subarray(4, 12)),
      app: text(body.subarray(FIXED, FIXED + appLength)),
    },
    prologue: bytes.slice(0, end),
    noise: bytes.slice(end),
  };
}

function text(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new KontractError("RAY_PROTOCOL");
  }
}
