/**
 * Messages of PostgreSQL out of the chunks in which a socket brings them: a byte that says the type, the length, and
 * as many bytes. A message that comes in pieces is put together once, when it is whole.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Gets each message: its type and where in `bytes` it begins, after the length. */
export type OnMessage = (type: number, bytes: Buffer, from: number) => void;

const HEAD = 5;
/** No answer is longer; a length beyond it is no length. */
const MOST = 1 << 30;

/** Reads one connection's messages. */
export class MessageReader {
  readonly #onMessage: OnMessage;
  #pieces: Buffer[] = [];
  #have = 0;
  #need = HEAD;

  /** Calls `onMessage` for each, in order. */
  constructor(onMessage: OnMessage) {
    this.#onMessage = onMessage;
  }

  /** Takes the next chunk. Throws what `onMessage` throws, and where this is no message. */
  read(chunk: Buffer): void {
    if (this.#have === 0) return this.#messages(chunk);
    this.#pieces.push(chunk);
    this.#have += chunk.length;
    if (this.#have < this.#need) return;
    const whole = Buffer.concat(this.#pieces, this.#have);
    this.#pieces = [];
    this.#messages(whole);
  }

  #messages(bytes: Buffer): void {
    let at = 0;
    let need = HEAD;
    while (bytes.length - at >= HEAD) {
      const length = bytes.readInt32BE(at + 1);
      if (length < 4 || length > MOST) throw new Error("This is no message of PostgreSQL.");
      need = length + 1;
      if (bytes.length - at < need) break;
      this.#onMessage(bytes[at]!, bytes, at + HEAD);
      at += need;
      need = HEAD;
    }
    this.#have = bytes.length - at;
    this.#need = need;
    if (this.#have > 0) this.#pieces.push(bytes.subarray(at));
  }
}
