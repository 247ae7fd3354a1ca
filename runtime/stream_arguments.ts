/**
 * Streamed arguments as a function sees them: an async generator, or a ReadableStream where it asks for
 * one. Nothing is asked of the client before the function begins to read.
 *
 * @module
 */
import type { RpcCall } from "../protocol/rpc.ts";
import type { RouteCode, RouteInput } from "./app.ts";
import type { RequestStamp } from "./request_stamp.ts";

/** `args` with the streamed ones of `rpc` in their places; `stamp` takes in what is read of them. */
export function withInputs(
  args: unknown[],
  { inputs = [] }: RouteCode,
  rpc: RpcCall,
  stamp: RequestStamp | null,
): unknown[] {
  for (const [n, input] of inputs.entries()) {
    const elements = decoded(input, rpc, n, stamp);
    args[input.at] = input.readable ? readableOf(elements) : elements;
  }
  return args;
}

async function* decoded(
  { decode }: RouteInput,
  rpc: RpcCall,
  n: number,
  stamp: RequestStamp | null,
): AsyncGenerator<unknown, void, void> {
  for await (const bytes of rpc.input(n)) {
    stamp?.take(n, bytes);
    yield decode(bytes);
  }
}

function readableOf(elements: AsyncGenerator<unknown, void, void>): ReadableStream<unknown> {
  return new ReadableStream({
    async pull(controller): Promise<void> {
      const { done, value } = await elements.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel(): Promise<void> {
      await elements.return();
    },
  }, { highWaterMark: 0 });
}
