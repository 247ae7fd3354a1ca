import assert from "node:assert/strict";
import { concat } from "./bytes.ts";
import { FrameSplitter, FrameType, HEADER_LENGTH, MAX_FRAME_BODY, writeHeader } from "./frames.ts";
import { SeededRandom } from "./testing/random.ts";

function frame(length: number, sequence: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_LENGTH + length).fill(sequence);
  writeHeader(bytes, 0, { type: FrameType.EVENT, flags: 0, length, sequence });
  return bytes;
}

const FRAMES = [0, 1, 15, 16, 17, 1000, 0, 0, MAX_FRAME_BODY, 3, MAX_FRAME_BODY].map(frame);
const STREAM = concat(...FRAMES);

/** The frames of the stream in chunks of these lengths, over and over. */
function cut(next: () => number): Uint8Array[] {
  const splitter = new FrameSplitter();
  const found: Uint8Array[] = [];
  for (let at = 0; at < STREAM.length;) {
    const end = at + next();
    for (const { header, headerBytes, body } of splitter.push(STREAM.slice(at, end))) {
      assert.equal(header.length, body.length);
      found.push(concat(headerBytes, body));
    }
    at = end;
  }
  assert.equal(splitter.unfinished, false);
  return found;
}

Deno.test("frames are the same however their bytes are cut, one by one too", () => {
  for (const length of [1, 2, 15, 16, 17, 31, 1024, 16_384, 65_536, STREAM.length]) {
    assert.deepEqual(cut(() => length), FRAMES, `chunks of ${length}`);
  }
  for (let seed = 1; seed <= 50; seed++) {
    const random = new SeededRandom(seed);
    assert.deepEqual(
      cut(() => random.below(random.pick([3, 100, 70_000])) + 1),
      FRAMES,
      `seed ${seed}`,
    );
  }
});

Deno.test("what is left of a frame is told, and a header that is none is refused as soon as it is whole", () => {
  const splitter = new FrameSplitter();
  const bad = frame(5, 0);
  bad[1] = 0x7f;
  assert.deepEqual(splitter.push(bad.subarray(0, HEADER_LENGTH - 1)), []);
  assert.equal(splitter.unfinished, true);
  assert.throws(() => splitter.push(bad.subarray(HEADER_LENGTH - 1, HEADER_LENGTH)), {
    code: "RAY_PROTOCOL",
  });
});
