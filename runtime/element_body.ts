/**
 * The elements of a stream as the body of an answer over plain HTTP. A reader who leaves ends the call at once,
 * also while it is waiting for its next element; what comes then goes nowhere.
 *
 * @module
 */

/** How such a body ends. */
export interface BodyEnds {
  /** Bytes after the last element. */
  readonly last?: Uint8Array;
  /** Bytes that tell of a failure; where it gives none, the body breaks off with what it throws. */
  failed(error: unknown): Uint8Array;
}

/** A body of `elements`, pulled as it is read. */
export function elementBody(
  elements: AsyncIterable<Uint8Array>,
  { last, failed }: BodyEnds,
): ReadableStream<Uint8Array> {
  const iterator = elements[Symbol.asyncIterator]();
  let left = false;
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      let end = last;
      try {
        const step = await iterator.next();
        if (left) return;
        if (!step.done) return controller.enqueue(step.value);
      } catch (error) {
        if (left) return;
        end = failed(error);
      }
      if (end !== undefined) controller.enqueue(end);
      controller.close();
    },
    async cancel(): Promise<void> {
      left = true;
      await iterator.return?.();
    },
  });
}
