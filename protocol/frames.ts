/**
 * The 16-byte frame header, little-endian:
 * `version u8 = 1 | type u8 | flags u16 | length u32 (≤ 65535, tag included) | sequence u64`.
 *
 * Strict: an unknown version, type or flag is fatal, and so is a sequence of 2³² or more, since no key
 * lives that long. Nothing here knows cryptography.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { concat, viewOf } from "./bytes.ts";

/** Version of the wire format. */
export const RAY_VERSION = 1;

/** Bytes of a header. */
export const HEADER_LENGTH = 16;

/** Greatest value of the length field. */
export const MAX_FRAME_BODY = 65_535;

/** Frames that one key may seal. */
export const MAX_FRAMES = 2 ** 32;

/** Frame types. From `SESSION` on, bodies are sealed. */
export const FrameType = {
  HANDSHAKE_INIT: 0x01,
  HANDSHAKE_RESPONSE: 0x02,
  HANDSHAKE_RETRY: 0x03,
  SESSION: 0x04,
  RPC_CALL: 0x10,
  RPC_RESPONSE: 0x11,
  RPC_ERROR: 0x12,
  CANCEL: 0x13,
  CREDIT: 0x14,
  BATCH: 0x15,
  SUBSCRIBE: 0x20,
  EVENT: 0x21,
  UNSUBSCRIBE: 0x22,
  HEARTBEAT: 0x30,
  CLOSE: 0x3f,
} as const;

/** One of {@link FrameType}. */
export type FrameType = typeof FrameType[keyof typeof FrameType];

const TYPES: ReadonlySet<number> = new Set(Object.values(FrameType));

/** True for a type whose body is sealed, of a session that runs. */
export function isSealedType(type: number): type is FrameType {
  return type >= FrameType.RPC_CALL && TYPES.has(type);
}

/** Frame flags. */
export const FrameFlag = {
  /** Another fragment of the same message follows. */
  MORE: 0x0001,
  /** The last frame of an HTTP body: without it the body is truncated. */
  END: 0x0004,
} as const;

const FLAGS = FrameFlag.MORE | FrameFlag.END;

/** A parsed header. */
export interface FrameHeader {
  readonly type: FrameType;
  readonly flags: number;
  /** Bytes after the header. */
  readonly length: number;
  readonly sequence: number;
}

/** A frame as it was received: header parsed, body still sealed. */
export interface RawFrame {
  readonly header: FrameHeader;
  /** The 16 bytes that were parsed: the AEAD's associated data. */
  readonly headerBytes: Uint8Array;
  readonly body: Uint8Array;
}

/** Writes a header at `at`. The caller keeps to the limits of length and sequence. */
export function writeHeader(out: Uint8Array, at: number, header: FrameHeader): void {
  const view = viewOf(out);
  view.setUint8(at, RAY_VERSION);
  view.setUint8(at + 1, header.type);
  view.setUint16(at + 2, header.flags, true);
  view.setUint32(at + 4, header.length, true);
  view.setUint32(at + 8, header.sequence, true);
  view.setUint32(at + 12, 0, true);
}

/**
 * Parses the 16 bytes at `at`.
 *
 * @throws {KontractError} `RAY_PROTOCOL`
 */
export function readHeader(bytes: Uint8Array, at: number = 0): FrameHeader {
  if (bytes.length < at + HEADER_LENGTH) throw new KontractError("RAY_PROTOCOL");
  const view = viewOf(bytes);
  const type = view.getUint8(at + 1);
  const flags = view.getUint16(at + 2, true);
  const length = view.getUint32(at + 4, true);
  const valid = view.getUint8(at) === RAY_VERSION && TYPES.has(type) && (flags & ~FLAGS) === 0 &&
    length <= MAX_FRAME_BODY && view.getUint32(at + 12, true) === 0;
  if (!valid) throw new KontractError("RAY_PROTOCOL");
  return { type: type as FrameType, flags, length, sequence: view.getUint32(at + 8, true) };
}

/** Pieces of an unfinished frame that are held apart: many tiny ones take more memory than their bytes. */
const MAX_PIECES = 64;

/** Cuts a byte stream into frames, whatever the chunks. Holds at most one unfinished frame. */
export class FrameSplitter {
  /** Of the unfinished frame; the first holds its header where that has come. */
  #pieces: Uint8Array[] = [];
  #held = 0;

  /** True where bytes of an unfinished frame are held. */
  get unfinished(): boolean {
    return this.#held > 0;
  }

  /** Frames completed by `chunk`: views into it where they can be. Throws `RAY_PROTOCOL`. */
  push(chunk: Uint8Array): RawFrame[] {
    const frames: RawFrame[] = [];
    for (let at = 0;;) {
      const first = this.#pieces[0] ?? chunk.subarray(at);
      const header = first.length < HEADER_LENGTH ? null : readHeader(first);
      const wanted = HEADER_LENGTH + (header?.length ?? 0);
      if (header !== null && first.length >= wanted) {
        frames.push({
          header,
          headerBytes: first.subarray(0, HEADER_LENGTH),
          body: first.subarray(HEADER_LENGTH, wanted),
        });
        if (this.#held === 0) at += wanted;
        else {
          this.#pieces = [];
          this.#held = 0;
        }
        continue;
      }
      if (at === chunk.length) return frames;
      const piece = chunk.subarray(at, at + wanted - this.#held);
      at += piece.length;
      this.#held += piece.length;
      this.#pieces.push(piece);
      if (this.#pieces.length > (header === null ? 1 : MAX_PIECES) || this.#held === wanted) {
        this.#pieces = [concat(...this.#pieces)];
      }
    }
  }
}

/** The one answer to everything that fails before authentication: 16 bytes that say nothing. */
export function outerFailure(): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(HEADER_LENGTH);
  writeHeader(out, 0, { type: FrameType.HANDSHAKE_RETRY, flags: 0, length: 0, sequence: 0 });
  return out;
}
