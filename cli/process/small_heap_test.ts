/** The flag does something in this Deno, and is not given to one that may not have it. */
import assert from "node:assert/strict";
import { smallHeap } from "./small_heap.ts";

const GARBAGE = `
const alive = Array.from({ length: 1_000_000 }, (_, n) => ({ n, more: [n] }));
let peak = 0;
for (let round = 0, old; round < 24; round++) {
  old = Array.from({ length: 300_000 }, (_, n) => ({ n, more: [n, n, n] }));
  peak = Math.max(peak, Deno.memoryUsage().heapUsed);
}
console.log(peak, alive.length);
`;

async function peak(args: readonly string[]): Promise<number> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-lock",
      "--no-config",
      ...args,
      `data:text/javascript,${encodeURIComponent(GARBAGE)}`,
    ],
    stdin: "null",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return Number.parseInt(new TextDecoder().decode(stdout));
}

Deno.test("a process with a small heap keeps less garbage", async () => {
  assert.equal(smallHeap().length, 1, "is the flag still there in this V8?");
  const [small, usual] = [await peak(smallHeap()), await peak([])];
  assert.ok(small < usual * 0.92, `${small} against ${usual} bytes`);
  assert.deepEqual(smallHeap("999.1"), []);
});
