/**
 * What client and server of the raystream bench call, and the floors of sealed uploads: the bare cipher over
 * pieces as long as a frame's payload, whose nonces are their numbers; all sealed before the first leaves, or
 * one by one while others are under way and opened.
 *
 * @module
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { concat } from "../protocol/bytes.ts";
import { TAG_LENGTH } from "../protocol/bytes.ts";
import { nonceOf } from "../protocol/noise/cipher_state.ts";
import { MAX_FRAGMENT } from "../protocol/sealed_frame.ts";

/** Answers with the value it was given. */
export const ECHO = 1001;

/** Answers with how many bytes it was given. */
export const UPLOAD = 1002;

const CIPHER = "chacha20-poly1305";
const OPTIONS = { authTagLength: TAG_LENGTH } as const;
const KEY = new Uint8Array(32);

/** Pieces of `bytes`, each sealed when it is asked for. */
export function* sealEach(bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>, void, void> {
  for (const [n, piece] of cut(bytes, MAX_FRAGMENT).entries()) {
    const cipher = createCipheriv(CIPHER, KEY, nonceOf(n), OPTIONS);
    const sealed = cipher.update(piece);
    cipher.final();
    yield concat(sealed, cipher.getAuthTag());
  }
}

/** `bytes` sealed in pieces. */
export function sealPieces(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(...sealEach(bytes));
}

/** Opens pieces as they come, in whatever chunks. */
export class PieceOpener {
  readonly #opened: Uint8Array[] = [];
  #rest: Uint8Array = new Uint8Array(0);

  /** The next bytes. Throws where they are not authentic. */
  push(chunk: Uint8Array): void {
    const bytes = this.#rest.length === 0 ? chunk : concat(this.#rest, chunk);
    const whole = bytes.length - bytes.length % SEALED;
    for (const piece of cut(bytes.subarray(0, whole), SEALED)) this.#open(piece);
    this.#rest = bytes.subarray(whole);
  }

  /** All of it. */
  end(): Uint8Array<ArrayBuffer> {
    if (this.#rest.length > 0) this.#open(this.#rest);
    return concat(...this.#opened);
  }

  #open(piece: Uint8Array): void {
    const cipher = createDecipheriv(CIPHER, KEY, nonceOf(this.#opened.length), OPTIONS);
    cipher.setAuthTag(piece.subarray(-TAG_LENGTH));
    this.#opened.push(cipher.update(piece.subarray(0, -TAG_LENGTH)));
    cipher.final();
  }
}

const SEALED = MAX_FRAGMENT + TAG_LENGTH;

function cut(bytes: Uint8Array, length: number): Uint8Array[] {
  const count = Math.ceil(bytes.length / length);
  return Array.from({ length: count }, (_, n) => bytes.subarray(n * length, (n + 1) * length));
}
