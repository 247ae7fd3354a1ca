/**
 * Bytes of raystream: little-endian numbers, concatenation and base64url. Pure, no platform calls that
 * an older browser lacks.
 *
 * @module
 */

/** Bytes that own an ordinary (not shared) buffer: what Web Crypto and `fetch` accept. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes of an AEAD tag. Here, since what is alone in a module that chunks share is a chunk of its own. */
export const TAG_LENGTH = 16;

/** No bytes. */
export const EMPTY: Bytes = new Uint8Array(0);

const encoder = new TextEncoder();

/** UTF-8 of `text`. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** All parts, one after the other, in a new buffer. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The same bytes in chunks of which the first has at least `least`, or all there are. */
export function withStart(
  chunks: readonly Uint8Array[],
  least: number,
): [Uint8Array, ...Uint8Array[]] {
  let count = 1;
  for (let length = chunks[0]?.length ?? 0; length < least && count < chunks.length; count++) {
    length += chunks[count]!.length;
  }
  const first = chunks.length > 0 && count === 1 ? chunks[0]! : concat(...chunks.slice(0, count));
  return [first, ...chunks.slice(count)];
}

/** `view` as bytes over an ordinary buffer, copied only where it lies in a shared one. */
export function owned(view: Uint8Array): Bytes {
  return view.buffer instanceof ArrayBuffer ? view as Bytes : new Uint8Array(view);
}

/** The same bytes, copied where they are a small part of a large buffer that would be held with them. */
export function compact(view: Uint8Array): Uint8Array {
  return view.length * 2 >= view.buffer.byteLength ? view : view.slice();
}

/** A DataView over exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** True where both hold the same public bytes. Not constant in time: never for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // No callback for each byte: results of megabytes are compared.
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** `length` bytes of the platform's randomness. */
export function randomBytes(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** base64url without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Bytes of unpadded base64url, or null where it is none. */
export function fromBase64Url(text: string): Bytes | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return null;
  try {
    const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(raw, (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}
