import assert from "node:assert/strict";
import { decodeValue, encodeValue } from "../protocol/codec/mod.ts";
import type { RpcCall } from "../protocol/rpc.ts";
import type { RouteCode } from "./app.ts";
import { withInputs } from "./stream_arguments.ts";

/** Arguments of a call whose one streamed argument gives these, and what was read of them. */
function argumentsOf(values: readonly unknown[], readable: boolean) {
  const seen: unknown[] = [];
  let left = false;
  const rpc = {
    input: async function* () {
      try {
        for (const value of values) {
          seen.push(value);
          yield await Promise.resolve(encodeValue(value));
        }
      } finally {
        left = true;
      }
    },
  } as unknown as RpcCall;
  const code = { inputs: [{ at: 1, readable, decode: decodeValue }] } as unknown as RouteCode;
  const args = withInputs(["first", undefined], code, rpc, null);
  return { args, seen, hasLeft: () => left };
}

Deno.test("a function gets an iterator or a ReadableStream, and reads when it wants to", async () => {
  for (const readable of [false, true]) {
    const { args, seen, hasLeft } = argumentsOf([1, "b", null], readable);
    assert.equal(args[1] instanceof ReadableStream, readable);
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.deepEqual(seen, [], "nothing is read before the function reads");
    assert.deepEqual(await Array.fromAsync(args[1] as AsyncIterable<unknown>), [1, "b", null]);
    assert.ok(hasLeft());
  }
});

Deno.test("a function that reads no further lets go of the rest", async () => {
  for (const readable of [false, true]) {
    const { args, seen, hasLeft } = argumentsOf([1, 2, 3], readable);
    for await (const value of args[1] as AsyncIterable<unknown>) {
      assert.equal(value, 1);
      break;
    }
    assert.deepEqual([seen, hasLeft()], [[1], true]);
  }
});
