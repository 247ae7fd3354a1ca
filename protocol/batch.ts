/**
 * Several messages in one frame of a WebSocket: what is sent in one turn is sealed at once, since sealing
 * costs more by the frame than by the byte.
 *
 * The payload of a BATCH frame (stream 0, op 0) is a row of
 * `type u8 ‖ 0³ ‖ stream u32 ‖ op u32 ‖ length u32 ‖ payload`, at least one, each a whole message. A batch in
 * a batch, a fragment, or a type that no sealed frame has is fatal.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type Bytes, viewOf } from "./bytes.ts";
import { FrameType, isSealedType } from "./frames.ts";
import type { RayMessage } from "./message_state.ts";

/** Bytes before each payload. */
export const ENTRY_HEADER = 16;

/** The payload of a BATCH frame. */
export function encodeBatch(messages: readonly RayMessage[]): Bytes {
  let length = 0;
  for (const { payload } of messages) length += ENTRY_HEADER + payload.length;
  const out = new Uint8Array(length);
  const view = viewOf(out);
  let at = 0;
  for (const { type, stream, op, payload } of messages) {
    view.setUint32(at, type, true);
    view.setUint32(at + 4, stream, true);
    view.setUint32(at + 8, op, true);
    view.setUint32(at + 12, payload.length, true);
    out.set(payload, at + ENTRY_HEADER);
    at += ENTRY_HEADER + payload.length;
  }
  return out;
}

/** The messages of a batch: views into it. Throws `RAY_PROTOCOL`. */
export function decodeBatch(bytes: Uint8Array): RayMessage[] {
  const view = viewOf(bytes);
  const messages: RayMessage[] = [];
  let at = 0;
  do {
    if (bytes.length - at < ENTRY_HEADER) throw new KontractError("RAY_PROTOCOL");
    const type = view.getUint32(at, true);
    const start = at + ENTRY_HEADER;
    at = start + view.getUint32(at + 12, true);
    if (!isSealedType(type) || type === FrameType.BATCH || at > bytes.length) {
      throw new KontractError("RAY_PROTOCOL");
    }
    const stream = view.getUint32(start - 12, true);
    const op = view.getUint32(start - 8, true);
    messages.push({ type, stream, op, payload: bytes.subarray(start, at) });
  } while (at < bytes.length);
  return messages;
}
