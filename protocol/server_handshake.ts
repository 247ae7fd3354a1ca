/**
 * The responder's side of a handshake: shape and kid are checked before any key agreement, nothing is
 * kept before it succeeds, and every failure is the same `RAY_PROTOCOL`.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, concat, randomBytes } from "./bytes.ts";
import type { CryptoProvider } from "./crypto/provider.ts";
import { FrameType, HEADER_LENGTH, writeHeader } from "./frames.ts";
import { type RayTransport, readInit } from "./hello.ts";
import { encodeLimits, type RayLimits } from "./limits.ts";
import { resumptionSecret } from "./message_keys.ts";
import { type HandshakeResult, HandshakeState } from "./noise/handshake_state.ts";
import { NK } from "./noise/patterns.ts";
import { sealFrame } from "./sealed_frame.ts";
import type { ServerKeys } from "./server_keys.ts";
import { encodeGrant } from "./session_grant.ts";
import type { TicketBox } from "./tickets.ts";

/** What a responder needs. */
export interface ResponderOptions {
  readonly crypto: CryptoProvider;
  readonly app: string;
  readonly keys: ServerKeys;
  readonly limits: RayLimits;
}

/** A finished handshake at the server. */
export interface Responded {
  /** HANDSHAKE_RESPONSE, to be sent. */
  readonly response: Bytes;
  readonly result: HandshakeResult;
}

/** Answers one INIT for `transport`. Throws `RAY_PROTOCOL`. */
export async function respond(
  options: ResponderOptions,
  transport: RayTransport,
  bytes: Uint8Array,
): Promise<Responded> {
  const { hello, prologue, noise } = readInit(bytes);
  const key = options.keys.keys.find((each) => each.kid === hello.kid);
  if (key === undefined || hello.app !== options.app || hello.transport !== transport) {
    throw new KontractError("RAY_PROTOCOL");
  }
  const state = new HandshakeState({
    crypto: options.crypto,
    pattern: NK,
    prologue,
    party: { role: "responder", localStatic: key.pair },
  });
  const payload = await state.readMessage(noise);
  if (payload.length !== 0) throw new KontractError("RAY_PROTOCOL");
  const message = await state.writeMessage(encodeLimits(options.limits));
  const header = new Uint8Array(HEADER_LENGTH);
  writeHeader(header, 0, {
    type: FrameType.HANDSHAKE_RESPONSE,
    flags: 0,
    length: message.length,
    sequence: 0,
  });
  return { response: concat(header, message), result: state.finish() };
}

/**
 * The SESSION frame that follows a response over HTTP. Throws `OVERLOADED` where tickets cannot be made
 * now.
 */
export async function grantSession(
  crypto: CryptoProvider,
  tickets: TicketBox,
  result: HandshakeResult,
): Promise<Bytes> {
  const secret = randomBytes(32);
  const rms = resumptionSecret(crypto, result.hash, secret);
  const sealed = await tickets.seal(rms);
  if (sealed === null) throw new KontractError("OVERLOADED");
  const expiresIn = Math.floor(sealed.lifetime / 1000);
  const payload = encodeGrant({ secret, expiresIn, ticket: sealed.ticket });
  // The only frame ever sealed under this Split key over HTTP: sequence 0.
  return sealFrame(crypto, result.responderKey, 0, {
    type: FrameType.SESSION,
    flags: 0,
    stream: 0,
    op: 0,
    payload,
  });
}
