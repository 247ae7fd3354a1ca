/**
 * What becomes of a connection whose request was answered before its body was read.
 *
 * Deno goes on taking such a body until its sender ends it, whatever the answer says of the connection. It leaves
 * only where an answer breaks off while the body is not being read: with the next byte that comes, or with the
 * last one of a short body, which is read in one go. So the end of the answer waits for what the sender does. Who
 * ends the body is given it, and who sends nothing for a while: that one is then to Deno what any idle connection
 * is, and it ends none. Who goes on for too long is left. (workerd leaves by itself.)
 *
 * @module
 */
import {
  afterGivingUp,
  DROPPED_BYTES,
  DROPPED_MS,
  type RestReader,
  unreadRest,
} from "../../protocol/request_body.ts";

/** A sender that is silent for so long waits for the end of its answer. */
const SILENT_MS = 1000;

/** `response`, which breaks off where the sender of `request` was too slow, or goes on for too long. */
export function breakOff(request: Request, response: Response): Response {
  if (response.body === null) return response;
  const isOver = afterAnswer(request, response.status);
  if (isOver === null) return response;
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      const { done, value } = await reader.read();
      if (!done) controller.enqueue(value);
      else if (await isOver()) controller.close();
      // A text, which Deno prints as one short line.
      else controller.error("A body came too slowly, or too long: its connection is closed.");
    },
    cancel: (reason) => reader.cancel(reason),
  });
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  // An answer that has as many bytes as it said cannot break off.
  headers.delete("content-length");
  return new Response(body, { status, statusText, headers });
}

/** Resolves with false where the sender goes on; null where the body was read. */
function afterAnswer(request: Request, status: number): (() => Promise<boolean>) | null {
  const next = afterGivingUp(request);
  if (next !== null) return () => next;
  const rest = unreadRest(request);
  return rest === null ? null : () => dropped(rest, status === 408 ? 0 : DROPPED_BYTES);
}

/** Reads on and drops what comes. False where that is more than `most`, or takes too long. */
async function dropped(
  rest: RestReader,
  most: number,
): Promise<boolean> {
  const began = performance.now();
  try {
    for (let length = 0; length <= most && performance.now() - began <= DROPPED_MS;) {
      const reading = rest.read();
      const silent = Promise.withResolvers<null>();
      const timer = setTimeout(() => silent.resolve(null), SILENT_MS);
      const chunk = await Promise.race([reading, silent.promise]);
      clearTimeout(timer);
      if (chunk === null) {
        // Deno keeps a connection for ever whose body is cancelled while it is being read.
        reading.then(() => rest.cancel()).catch(() => {});
        return true;
      }
      if (chunk.done) return true;
      length += chunk.value.length;
    }
    await rest.cancel();
    return false;
  } catch {
    return true; // The sender has gone.
  }
}
