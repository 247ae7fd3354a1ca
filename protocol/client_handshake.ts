/**
 * The initiator's side of a handshake. Pins are tried in order; a server that does not know a pin's name
 * may say so (unauthenticated), which moves on to the next pin and never past them.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, EMPTY, fromBase64Url, toBase64Url } from "./bytes.ts";
import type { CryptoProvider } from "./crypto/provider.ts";
import { type FrameHeader, FrameSplitter, FrameType, type RawFrame } from "./frames.ts";
import { encodeInit, encodePrologue, type RayTransport } from "./hello.ts";
import { decodeLimits, type RayLimits } from "./limits.ts";
import { resumptionSecret } from "./message_keys.ts";
import { type HandshakeResult, HandshakeState } from "./noise/handshake_state.ts";
import { NK } from "./noise/patterns.ts";
import { readBody } from "./read_body.ts";
import { openFrame } from "./sealed_frame.ts";
import { decodeGrant } from "./session_grant.ts";
import type { TransportOptions } from "./transport.ts";

/** A pinned server key. */
export interface Pin {
  readonly kid: string;
  readonly publicKey: Bytes;
}

/** Parses pins. Throws `CONFIG` for none, too many, or one that is no key. */
export function parsePins(crypto: CryptoProvider, pins: readonly string[]): readonly Pin[] {
  if (pins.length < 1 || pins.length > 3) {
    throw new KontractError(
      "CONFIG",
      `One to three server keys must be pinned: ${pins.length} are. A client of 'kontract build' has those of KONTRACT_SECRET, Vite's plugin its 'pins' ('kontract keys show').`,
    );
  }
  return pins.map((text, index) => {
    const publicKey = fromBase64Url(text);
    if (publicKey?.length !== 32) {
      throw new KontractError("CONFIG", `Pin ${index + 1} must be base64url of 32 bytes.`);
    }
    return { publicKey, kid: toBase64Url(crypto.sha256(publicKey)).slice(0, 8) };
  });
}

/**
 * The pins of `options`, those of a signed set asked for, until `closed`; their order is that in which they are
 * tried.
 */
export async function resolvePins(
  crypto: CryptoProvider,
  options: TransportOptions,
  closed: AbortSignal,
): Promise<readonly Pin[]> {
  const [root = "", ...others] = options.pins;
  if (!root.startsWith("root.") || others.length > 0) return parsePins(crypto, options.pins);
  return await (await import("./root_pins.ts")).rootPins(
    crypto,
    root,
    { ...options, closed },
    readBody,
  );
}

/** A handshake that waits for its answer. */
export interface Initiated {
  /** INIT, to be sent. */
  readonly init: Bytes;
  /**
   * Takes HANDSHAKE_RESPONSE.
   *
   * @throws {KontractError} `RAY_SERVER_KEY` where the peer cannot prove the pinned key
   */
  finish(response: RawFrame): Promise<{ result: HandshakeResult; limits: RayLimits }>;
}

/** Starts a handshake against one pin. */
export async function initiate(
  crypto: CryptoProvider,
  pin: Pin,
  transport: RayTransport,
  app: string,
): Promise<Initiated> {
  const prologue = encodePrologue({ transport, app, kid: pin.kid });
  const state = new HandshakeState({
    crypto,
    pattern: NK,
    prologue,
    party: { role: "initiator", remoteStatic: pin.publicKey },
  });
  const init = encodeInit(prologue, await state.writeMessage(EMPTY));
  return {
    init,
    async finish({ header, body }) {
      if (!isPlain(header, FrameType.HANDSHAKE_RESPONSE)) throw new KontractError("RAY_PROTOCOL");
      const payload = await state.readMessage(body).catch((cause: unknown) => {
        throw new KontractError("RAY_SERVER_KEY", undefined, { cause });
      });
      return { limits: decodeLimits(payload), result: state.finish() };
    },
  };
}

function isPlain(header: FrameHeader, type: FrameType): boolean {
  return header.type === type && header.flags === 0 && header.sequence === 0;
}

/** What a client keeps after a handshake over HTTP. */
export interface ClientSession {
  readonly rms: Bytes;
  readonly ticket: Bytes;
  readonly limits: RayLimits;
  /** On the monotonic clock, milliseconds. */
  readonly expiresAt: number;
}

/** Reads the body that answers an INIT over HTTP. Throws `RAY_SERVER_KEY`, `RAY_PROTOCOL`. */
export async function readSession(
  crypto: CryptoProvider,
  initiated: Initiated,
  body: Uint8Array,
): Promise<ClientSession> {
  const splitter = new FrameSplitter();
  const [response, session, ...rest] = splitter.push(body);
  if (!response || !session || rest.length > 0 || splitter.unfinished) {
    throw new KontractError("RAY_PROTOCOL");
  }
  const { result, limits } = await initiated.finish(response);
  if (!isPlain(session.header, FrameType.SESSION)) throw new KontractError("RAY_PROTOCOL");
  const inner = openFrame(crypto, result.responderKey, 0, session);
  if (inner.stream !== 0 || inner.op !== 0) throw new KontractError("RAY_PROTOCOL");
  const grant = decodeGrant(inner.payload);
  return {
    rms: resumptionSecret(crypto, result.hash, grant.secret),
    ticket: grant.ticket as Bytes,
    limits,
    // A tenth early: a call should not meet an expired ticket because it was under way.
    expiresAt: performance.now() + grant.expiresIn * 900,
  };
}
