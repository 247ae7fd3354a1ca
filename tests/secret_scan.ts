/**
 * Looks for secrets in what was printed. For tests only.
 *
 * @module
 */
import assert from "node:assert/strict";

/** What must not be found, in every spelling that a text could have for it. */
export class SecretScan {
  readonly #texts: [name: string, text: string][] = [];

  /** A text, as it stands. */
  text(name: string, text: string): void {
    assert.ok(text.length >= 8, `${name} is too short to be told from other text`);
    this.#texts.push([name, text]);
  }

  /** Bytes: as hex, as base64 of both alphabets, and as numbers. */
  bytes(name: string, bytes: Uint8Array): void {
    const spellings = [
      bytes.toHex(),
      bytes.toBase64({ omitPadding: true }),
      bytes.toBase64({ alphabet: "base64url", omitPadding: true }),
      [...bytes].join(","),
      [...bytes].join(", "),
    ];
    for (const text of spellings) this.text(name, text);
  }

  /** Ticket and first bytes of a sealed request. */
  sealedBody(body: Uint8Array): void {
    const length = new DataView(body.buffer, body.byteOffset).getUint16(2, true);
    this.bytes("ticket", body.subarray(36, 36 + length));
    this.bytes("sealed body", body.subarray(36 + length, 36 + length + 48));
  }

  /** Throws where `output` has any of them. */
  assertNoneIn(output: string): void {
    for (const [name, text] of this.#texts) {
      const at = output.indexOf(text);
      const around = at < 0 ? "" : output.slice(Math.max(0, at - 200), at);
      assert.equal(at, -1, `${name} in the output, after: ${around}`);
    }
  }
}
