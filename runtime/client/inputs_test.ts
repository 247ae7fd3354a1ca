import assert from "node:assert/strict";
import { encodeInput } from "./inputs.ts";
import type { ClientInput } from "./route.ts";

const texts: ClientInput = {
  at: 0,
  encode: (value) => new TextEncoder().encode(String(value)),
};
const bytes: ClientInput = { at: 0, bytes: true, encode: (value) => value as Uint8Array };

/** All elements of a source, as they would be sent. */
async function sent(input: ClientInput, source: unknown): Promise<string[]> {
  const elements = await Array.fromAsync(encodeInput(input, source));
  return elements.map((element) => new TextDecoder().decode(element));
}

Deno.test("generators, streams and files are sent element by element", async () => {
  async function* letters() {
    yield* ["a", "b"];
  }
  assert.deepEqual(await sent(texts, letters()), ["a", "b"]);
  assert.deepEqual(await sent(texts, ReadableStream.from(["a", "b"])), ["a", "b"]);
  assert.deepEqual(await sent(bytes, new Blob(["file"])), ["file"]);
  assert.deepEqual(await sent(bytes, new Blob([])), []);
});

Deno.test("bytes of any length go in pieces of a frame, whole and in order", async () => {
  const large = crypto.getRandomValues(new Uint8Array(150_001).subarray(0, 65_536));
  const whole = new Uint8Array(150_001);
  for (let at = 0; at < whole.length; at += large.length) {
    whole.set(large.subarray(0, Math.min(large.length, whole.length - at)), at);
  }
  const pieces = await Array.fromAsync(encodeInput(bytes, ReadableStream.from([whole])));
  assert.deepEqual(pieces.map(({ length }) => length), [65_000, 65_000, 20_001]);
  assert.deepEqual(new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer()), whole);
});

Deno.test("a source that is none, and bytes that are none, are VALIDATION", async () => {
  for (const source of [null, undefined, 5, "text", {}, ["a"], new Uint8Array(3)]) {
    await assert.rejects(sent(texts, source), { code: "VALIDATION" }, String(source));
  }
  await assert.rejects(sent(bytes, ReadableStream.from(["text"])), { code: "VALIDATION" });
});

Deno.test("a stream that cannot be iterated, as Safari's, is read to its end or cancelled", async () => {
  const { prototype } = ReadableStream;
  const iterator = Object.getOwnPropertyDescriptor(prototype, Symbol.asyncIterator)!;
  let cancelled = false;
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue("x"),
    cancel: () => void (cancelled = true),
  });
  Reflect.deleteProperty(prototype, Symbol.asyncIterator);
  try {
    assert.deepEqual(await sent(texts, ReadableStream.from(["a", "b"])), ["a", "b"]);
    for await (const _ of encodeInput(texts, endless)) break;
    assert.ok(cancelled);
  } finally {
    Object.defineProperty(prototype, Symbol.asyncIterator, iterator);
  }
});
