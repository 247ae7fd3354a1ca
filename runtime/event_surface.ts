/**
 * `GET /events?source=<table or topic:name>&filter=<JSON>`: server-sent events for any EventSource.
 *
 * The session token comes in the `Authorization` header, or in the session cookies (a browser's own
 * EventSource can set no header); never in the address, where it would be logged.
 * `Last-Event-ID` (or `resume` in the query) goes on where an earlier stream stopped. A session has a limited
 * number of streams (`open_streams.ts`).
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { parseSubscribeRequest, sseResponse } from "../events/mod.ts";
import { requestCaller } from "./caller.ts";
import { methodNotAllowed } from "./failure.ts";
import { follow } from "./follower.ts";
import type { Incoming, Services } from "./services.ts";

/** Answers with the stream. @throws {KontractError} what the first read throws */
export async function answerEvents(services: Services, incoming: Incoming): Promise<Response> {
  const { request, url } = incoming;
  if (request.method !== "GET") {
    throw methodNotAllowed(["GET"], "Events are followed with GET.");
  }
  const principal = await requestCaller(services, incoming);
  const { source, filter, resume } = parseSubscribeRequest({
    source: url.searchParams.get("source") ?? undefined,
    filter: parseFilter(url.searchParams.get("filter")),
    resume: request.headers.get("last-event-id") ?? url.searchParams.get("resume"),
  });
  const gone = new AbortController();
  const events = follow(services, principal, {
    source,
    ...(filter === undefined ? {} : { filter }),
    resume: resume ?? null,
    signal: AbortSignal.any([request.signal, gone.signal]),
  });
  return await sseResponse(events, { onClose: () => gone.abort() });
}

function parseFilter(text: string | null): unknown {
  if (text === null || text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KontractError("VALIDATION", "'filter' is not JSON.", { cause });
  }
}
