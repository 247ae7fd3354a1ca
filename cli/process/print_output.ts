/**
 * Shows what a child says, chunk by chunk, on this process's own output. Several children share one
 * output, so nobody holds it between chunks; and a child is read to its end even where nobody listens
 * any more, since it stops when its pipe is full.
 *
 * @module
 */

/** Prints a child's stream until it ends. */
export async function printOutput(
  stream: ReadableStream<Uint8Array>,
  output: { write(chunk: Uint8Array): Promise<number> },
): Promise<void> {
  try {
    for await (const chunk of stream) await writeAll(chunk, output).catch(() => {});
  } catch {
    // The child went away in the middle of a chunk.
  }
}

async function writeAll(
  chunk: Uint8Array,
  output: { write(chunk: Uint8Array): Promise<number> },
): Promise<void> {
  for (let at = 0; at < chunk.length;) at += await output.write(chunk.subarray(at));
}
