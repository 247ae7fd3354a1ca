import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { MessageReader } from "./message_reader.ts";

function message(type: string, body: string): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(type);
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.write(body, 5);
  return bytes;
}

Deno.test("however a stream is cut into chunks, the same messages come out of it", () => {
  const stream = Buffer.concat(
    [["T", "one"], ["D", ""], ["D", "x".repeat(300)], ["Z", "I"]].map(([type, body]) =>
      message(type!, body!)
    ),
  );
  const readIn = (sizes: readonly number[]): readonly string[] => {
    const found: string[] = [];
    const reader = new MessageReader((type, bytes, from) => {
      const length = bytes.readInt32BE(from - 4) - 4;
      found.push(String.fromCharCode(type) + bytes.toString("utf8", from, from + length));
    });
    let at = 0;
    for (let i = 0; at < stream.length; i++) {
      const size = sizes[i % sizes.length]!;
      reader.read(stream.subarray(at, at += size));
    }
    return found;
  };
  const expected = ["Tone", "D", `D${"x".repeat(300)}`, "ZI"];
  for (let size = 1; size <= stream.length; size++) assert.deepEqual(readIn([size]), expected);
  assert.deepEqual(readIn([1, 7, 3, 100, 2]), expected);
});

Deno.test("a length that none can have is refused, not waited for", () => {
  for (const length of [3, -1, 2 ** 31 - 1]) {
    const bytes = message("D", "");
    bytes.writeInt32BE(length, 1);
    assert.throws(() => new MessageReader(() => {}).read(bytes));
  }
});
