/**
 * The message that runs a prepared statement: Parse and Describe where it is new, then Bind, Execute and Sync. All
 * values go as text, and the server infers their types from the statement.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Execute without a limit of rows, then Sync. */
const RUN = [0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0x53, 0, 0, 0, 4];
const NULL = 0xffffffff;
/** A longer message is written into a buffer of its own, which is not kept. */
const KEPT = 1 << 16;
/** Up to here a loop writes text faster than a call of the encoder; what is not ASCII goes to the encoder. */
const SHORT = 64;

/** Writes messages, each into the same bytes: the one before has been answered. */
export class MessageWriter {
  readonly #kept = Buffer.allocUnsafeSlow(1 << 10);
  #bytes = this.#kept;
  #at = 0;

  /**
   * The message. `text` is null where the statement has been prepared under the name. It is valid until the next.
   *
   * @throws an error with the code `UNDEFINED_VALUE` for a value that is none.
   */
  statement(name: string, text: string | null, values: readonly unknown[]): Buffer {
    if (this.#bytes.length > KEPT) this.#bytes = this.#kept;
    this.#at = 0;
    if (text !== null) this.#prepare(name, text);
    const bind = this.#begin(0x42);
    this.#string(""); // portal
    this.#string(name);
    this.#int16(0); // formats of values: text
    this.#int16(values.length);
    for (let i = 0; i < values.length; i++) this.#value(values[i]);
    this.#int16(0); // formats of columns: text
    this.#end(bind);
    this.#room(RUN.length);
    for (let i = 0; i < RUN.length; i++) this.#bytes[this.#at++] = RUN[i]!;
    return this.#bytes.subarray(0, this.#at);
  }

  #prepare(name: string, text: string): void {
    const parse = this.#begin(0x50);
    this.#string(name);
    this.#string(text);
    this.#int16(0); // types
    this.#end(parse);
    const describe = this.#begin(0x44);
    this.#room(1);
    this.#bytes[this.#at++] = 0x53; // a statement
    this.#string(name);
    this.#end(describe);
  }

  /** Gives where the length stands. */
  #begin(type: number): number {
    this.#room(5);
    this.#bytes[this.#at++] = type;
    this.#at += 4;
    return this.#at - 4;
  }

  #end(at: number): void {
    this.#bytes.writeInt32BE(this.#at - at, at);
  }

  #value(value: unknown): void {
    this.#room(4);
    const at = this.#at;
    this.#at += 4;
    if (value === null) {
      this.#bytes.writeUInt32BE(NULL, at);
      return;
    }
    this.#text(textOf(value));
    this.#bytes.writeInt32BE(this.#at - at - 4, at);
  }

  #string(text: string): void {
    this.#text(text);
    this.#room(1);
    this.#bytes[this.#at++] = 0;
  }

  #text(text: string): void {
    this.#room(text.length * 3);
    const bytes = this.#bytes;
    let at = this.#at;
    let i = 0;
    if (text.length <= SHORT) {
      for (; i < text.length; i++) {
        const code = text.charCodeAt(i);
        if (code > 127) break;
        bytes[at++] = code;
      }
    }
    if (i < text.length) at = this.#at + bytes.write(text, this.#at, "utf8");
    this.#at = at;
  }

  #int16(value: number): void {
    this.#room(2);
    this.#at = this.#bytes.writeUInt16BE(value, this.#at);
  }

  #room(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * (this.#at + count));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "t" : "f";
  if (value instanceof Uint8Array) return `\\x${value.toHex()}`;
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  throw Object.assign(new Error("A parameter is no value."), { code: "UNDEFINED_VALUE" });
}
