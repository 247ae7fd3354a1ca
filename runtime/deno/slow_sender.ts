/**
 * What becomes of a connection whose request's body was given up.
 *
 * Deno goes on taking such a body until its sender ends it, whatever the answer says of the connection. It leaves
 * only where an answer breaks off while the body is not being read: with the next byte that comes, or with the
 * last one of a short body, which is read in one go. Who sends nothing at all is given the end of its answer, and is
 * then to Deno what any idle connection is, and it ends none. (workerd leaves by itself.)
 *
 * @module
 */
import { afterGivingUp } from "../../protocol/request_body.ts";

/** `response`, which breaks off when who was too slow with `request` sends on. */
export function breakOff(request: Request, response: Response): Response {
  const next = afterGivingUp(request);
  if (next === null || response.body === null) return response;
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      const { done, value } = await reader.read();
      if (!done) controller.enqueue(value);
      else if (await next) controller.close();
      // A text, which Deno prints as one short line.
      else controller.error("A body came too slowly: its connection is closed.");
    },
    cancel: (reason) => reader.cancel(reason),
  });
  const { status, headers } = response;
  return new Response(body, { status, headers });
}
