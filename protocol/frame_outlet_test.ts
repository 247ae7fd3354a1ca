import assert from "node:assert/strict";
import { FrameOutlet } from "./frame_outlet.ts";

Deno.test("a body that nobody reads takes 128 KiB, and the rest waits for its reader", async () => {
  const outlet = new FrameOutlet(() => {});
  const chunk = new Uint8Array(16 << 10);
  let taken = 0;
  const writing = (async () => {
    for (; taken < 64; taken++) await outlet.write(chunk);
    outlet.end();
  })();
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setTimeout(resolve));
  assert.equal(taken * chunk.length, 112 << 10, "and the eighth is in it, too");
  const read = await new Response(outlet.body).bytes();
  await writing;
  assert.equal(read.length, 64 * chunk.length);
});
