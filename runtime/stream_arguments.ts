/**
 * Streamed arguments as a function sees them: an async generator, or a ReadableStream where it asks for
 * one. Nothing is asked of the client before the function begins to read.
 *
 * @module
 */
import type { RpcCall } from "../protocol/rpc.ts";
import type { RouteCode, RouteInput } from "./app.ts";

/** `args` with the streamed ones of `rpc` in their places. */
export function withInputs(args: unknown[], { inputs = [] }: RouteCode, rpc: RpcCall): unknown[] {
  for (const [n, input] of inputs.entries()) {
    const elements = decoded(input, () => rpc.input(n));
    args[input.at] = input.readable ? readableOf(elements) : elements;
  }
  return args;
}

async function* decoded(
  { decode }: RouteInput,
  open: () => AsyncIterable<Uint8Array>,
): AsyncGenerator<unknown, void, void> {
  for await (const bytes of open()) yield decode(bytes);
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
