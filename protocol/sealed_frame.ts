/**
 * Sealed frames: `AEAD(key, 0⁴ ‖ LE64(sequence), ad = header, stream u32 ‖ op u32 ‖ payload)`.
 *
 * Stateless, and for that reason private to {@link MessageSealer} and the stream state, which own the
 * counters. Nobody else may call these.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, TAG_LENGTH, viewOf } from "./bytes.ts";
import type { Symmetric } from "./crypto/provider.ts";
import {
  type FrameType,
  HEADER_LENGTH,
  MAX_FRAME_BODY,
  type RawFrame,
  writeHeader,
} from "./frames.ts";
import { nonceOf } from "./noise/cipher_state.ts";

const INNER_HEADER = 8;

/** Payload bytes that fit into one frame. */
export const MAX_FRAGMENT = MAX_FRAME_BODY - TAG_LENGTH - INNER_HEADER;

/** What a sealed frame carries. */
export interface InnerFrame {
  readonly type: FrameType;
  readonly flags: number;
  readonly stream: number;
  readonly op: number;
  /** One fragment. */
  readonly payload: Uint8Array;
}

/** Bytes that a frame adds to its payload. */
export const FRAME_OVERHEAD = HEADER_LENGTH + INNER_HEADER + TAG_LENGTH;

/** A place in a buffer. */
export interface Place {
  readonly out: Uint8Array;
  readonly at: number;
}

/** Writes header and sealed body; returns where they end. `payload` is at most {@link MAX_FRAGMENT} long. */
export function sealFrameTo(
  { out, at }: Place,
  crypto: Symmetric,
  key: Uint8Array,
  sequence: number,
  frame: InnerFrame,
): number {
  const length = INNER_HEADER + frame.payload.length + TAG_LENGTH;
  const body = at + HEADER_LENGTH;
  writeHeader(out, at, { type: frame.type, flags: frame.flags, length, sequence });
  const head = new Uint8Array(INNER_HEADER);
  const view = viewOf(head);
  view.setUint32(0, frame.stream, true);
  view.setUint32(4, frame.op, true);
  const keys = { key, nonce: nonceOf(sequence), ad: out.subarray(at, body) };
  crypto.sealTo(out.subarray(body, body + length), keys, head, frame.payload);
  return body + length;
}

/** The same in a new buffer. */
export function sealFrame(
  crypto: Symmetric,
  key: Uint8Array,
  sequence: number,
  frame: InnerFrame,
): Bytes {
  const out = new Uint8Array(FRAME_OVERHEAD + frame.payload.length);
  sealFrameTo({ out, at: 0 }, crypto, key, sequence, frame);
  return out;
}

/**
 * Opens `raw`, which must have exactly this `sequence`.
 *
 * @throws {KontractError} `RAY_PROTOCOL`
 */
export function openFrame(
  crypto: Symmetric,
  key: Uint8Array,
  sequence: number,
  raw: RawFrame,
): InnerFrame {
  if (raw.header.sequence !== sequence) throw new KontractError("RAY_PROTOCOL");
  const inner = crypto.open(key, nonceOf(sequence), raw.headerBytes, raw.body);
  if (inner === null || inner.length < INNER_HEADER) throw new KontractError("RAY_PROTOCOL");
  const view = viewOf(inner);
  return {
    type: raw.header.type,
    flags: raw.header.flags,
    stream: view.getUint32(0, true),
    op: view.getUint32(4, true),
    payload: inner.subarray(INNER_HEADER),
  };
}
