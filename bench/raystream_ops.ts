/**
 * What client and server of the raystream bench call, and the floor of sealed uploads: the bare cipher over
 * pieces as long as a frame's payload, whose nonces are their numbers.
 *
 * @module
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { concat } from "../protocol/bytes.ts";
import { TAG_LENGTH } from "../protocol/crypto/provider.ts";
import { nonceOf } from "../protocol/noise/cipher_state.ts";
import { MAX_FRAGMENT } from "../protocol/sealed_frame.ts";

/** Answers with the value it was given. */
export const ECHO = 1001;

/** Answers with how many bytes it was given. */
export const UPLOAD = 1002;

const CIPHER = "chacha20-poly1305";
const OPTIONS = { authTagLength: TAG_LENGTH } as const;
const KEY = new Uint8Array(32);

/** `bytes` sealed in pieces. */
export function sealPieces(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(
    ...cut(bytes, MAX_FRAGMENT).flatMap((piece, n) => {
      const cipher = createCipheriv(CIPHER, KEY, nonceOf(n), OPTIONS);
      const sealed = cipher.update(piece);
      cipher.final();
      return [sealed, cipher.getAuthTag()];
    }),
  );
}

/** What {@link sealPieces} sealed. Throws where it is something else. */
export function openPieces(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(
    ...cut(bytes, MAX_FRAGMENT + TAG_LENGTH).map((piece, n) => {
      const cipher = createDecipheriv(CIPHER, KEY, nonceOf(n), OPTIONS);
      cipher.setAuthTag(piece.subarray(-TAG_LENGTH));
      const opened = cipher.update(piece.subarray(0, -TAG_LENGTH));
      cipher.final();
      return opened;
    }),
  );
}

function cut(bytes: Uint8Array, length: number): Uint8Array[] {
  const count = Math.ceil(bytes.length / length);
  return Array.from({ length: count }, (_, n) => bytes.subarray(n * length, (n + 1) * length));
}
