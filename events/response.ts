/**
 * Events as an HTTP response of server-sent events, for any `EventSource`.
 *
 * The first event is read before the response exists, so a refusal is an error with a status and not
 * a broken stream. Reading is by pull: the browser's back-pressure reaches the database. When the
 * events end by an error, a last event `closed` with `{ code }` says why; an `EventSource` then
 * reconnects with its `Last-Event-ID` and gets the status.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { ServerEvent } from "./event.ts";
import { encodeSse, encodeSseComment } from "./sse.ts";

/** Options of {@link sseResponse}. */
export interface SseResponseOptions {
  /** Milliseconds of silence after which a comment is sent; 15,000 where not said. */
  readonly heartbeatMs?: number;
  /** Reconnection time that browsers are told, in milliseconds; 2,000 where not said. */
  readonly retryMs?: number;
  /** Called once when the reader goes away or the events end; abort the events' signal here. */
  onClose?(): void;
  /** Further headers (CORS). */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * One event as an SSE frame: `event` is its type, `id` its resume token, `data` the event as JSON, values
 * that JSON has no word for as in results over plain HTTP.
 */
export function sseFrame(event: ServerEvent): string {
  const { id, type, source, key, data } = event;
  return encodeSse({ event: type, id, data: JSON.stringify({ type, source, key, data }, asJson) });
}

function asJson(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}`;
  if (value instanceof Map || value instanceof Set) return [...value];
  if (!ArrayBuffer.isView(value)) return value;
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).toBase64();
}

/**
 * Answers with a stream of `events`, each as `frame` makes a frame of it.
 *
 * @throws whatever the events throw before the first one
 */
export async function sseResponse<T>(
  events: AsyncIterable<T>,
  frame: (event: T) => string,
  options: SseResponseOptions = {},
): Promise<Response> {
  const iterator = events[Symbol.asyncIterator]();
  let first: IteratorResult<T>;
  try {
    first = await iterator.next();
  } catch (error) {
    options.onClose?.();
    throw error;
  }
  return new Response(frames(iterator, first, frame, options), {
    headers: {
      ...options.headers,
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
    },
  });
}

function frames<T>(
  iterator: AsyncIterator<T>,
  first: IteratorResult<T>,
  frame: (event: T) => string,
  options: SseResponseOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const heartbeatMs = options.heartbeatMs ?? 15_000;
  let closed = false;
  let waiting: Promise<IteratorResult<T>> | null = Promise.resolve(first);
  const close = (): void => {
    if (closed) return;
    closed = true;
    options.onClose?.();
  };
  return new ReadableStream<Uint8Array>({
    start(controller): void {
      controller.enqueue(encoder.encode(encodeSse({ retry: options.retryMs ?? 2000 })));
    },
    async pull(controller): Promise<void> {
      waiting ??= iterator.next();
      let timer: ReturnType<typeof setTimeout> | undefined;
      const silence = new Promise<null>((resolve) => {
        timer = setTimeout(() => resolve(null), heartbeatMs);
      });
      try {
        const result = await Promise.race([waiting, silence]);
        if (closed) return;
        if (result === null) {
          controller.enqueue(encoder.encode(encodeSseComment()));
          return; // `waiting` is kept: the next pull goes on with it
        }
        waiting = null;
        if (result.done === true) {
          close();
          controller.close();
        } else controller.enqueue(encoder.encode(frame(result.value)));
      } catch (error) {
        if (closed) return;
        close();
        const code = error instanceof KontractError ? error.code : "INTERNAL";
        controller.enqueue(
          encoder.encode(encodeSse({ event: "closed", data: JSON.stringify({ code }) })),
        );
        controller.close();
      } finally {
        clearTimeout(timer);
      }
    },
    async cancel(): Promise<void> {
      close(); // first: `return` waits for a `next` that only the signal can end
      waiting?.catch(() => undefined);
      await iterator.return?.();
    },
  }, { highWaterMark: 1 });
}
