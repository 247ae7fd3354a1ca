/**
 * `GET /events?source=<table or topic:name>&filter=<JSON>`: server-sent events for any EventSource.
 * `GET /events?call=<function>&arguments=<JSON array>`: the result of a function and, whenever it has changed, the
 * new one, as events `value` with `{ "result": … }`. Their ids are digests: who comes back with the newest gets
 * `ready` in place of what it has.
 *
 * The session token comes in the `Authorization` header, or in the session cookies (a browser's own
 * EventSource can set no header); never in the address, where it would be logged.
 * `Last-Event-ID` (or `lastEventId` in the query, as polyfills of EventSource send it, or `resume`) goes on where an
 * earlier stream stopped. Any other parameter is refused: whoever mistypes `filter` must not be shown everything. A
 * session has a limited number of streams (`open_streams.ts`).
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import {
  encodeSse,
  parseSubscribeRequest,
  type SseFrame,
  sseFrame,
  sseResponse,
} from "../events/mod.ts";
import { namedInList } from "./argument_names.ts";
import { requestCaller, routeCaller } from "./caller.ts";
import { methodNotAllowed } from "./failure.ts";
import { follow } from "./follower.ts";
import { parseJson } from "./json_body.ts";
import { argumentList } from "./json_surface.ts";
import { checkLiveArguments } from "./live_arguments.ts";
import type { LiveValue } from "./live_query.ts";
import type { Incoming, Services } from "./services.ts";

/** Answers with the stream. @throws {KontractError} what the first read throws */
export async function answerEvents(services: Services, incoming: Incoming): Promise<Response> {
  const { request, url } = incoming;
  if (request.method !== "GET") {
    throw methodNotAllowed(["GET"], "Events are followed with GET.");
  }
  const called = url.searchParams.get("call");
  const named = url.searchParams.get("source");
  if ((called === null) === (named === null)) {
    throw new KontractError(
      "VALIDATION",
      "'source' must say what to follow, or 'call' which function.",
    );
  }
  if (called !== null) return await answerLive(services, incoming, called);
  const principal = await requestCaller(services, incoming);
  onlyKnown(url.searchParams, ["source", "filter", ...RESUMES]);
  const { source, filter, resume } = parseSubscribeRequest({
    source: named,
    filter: parseFilter(url.searchParams.get("filter")),
    resume: lastId(incoming),
  });
  const gone = new AbortController();
  const events = follow(services, principal, {
    source,
    ...(filter === undefined ? {} : { filter }),
    resume: resume ?? null,
    signal: AbortSignal.any([request.signal, gone.signal]),
  });
  return await sseResponse(events, sseFrame, { onClose: () => gone.abort() });
}

async function answerLive(
  services: Services,
  incoming: Incoming,
  name: string,
): Promise<Response> {
  const { request, url, requestId, address, origin } = incoming;
  const route = services.routes.named(name);
  const principal = await routeCaller(services, incoming, route);
  onlyKnown(url.searchParams, ["call", "arguments", ...RESUMES]);
  const args = parseArguments(url.searchParams.get("arguments"));
  const code = await services.routes.code(route);
  const gone = new AbortController();
  const { followCall } = await import("./live_call.ts");
  const values = followCall(services, {
    route,
    code,
    principal,
    requestId,
    request: { address, origin, sealed: false, headers: request.headers },
    signal: AbortSignal.any([request.signal, gone.signal]),
    effect: null,
    arguments: () =>
      namedInList(code.parameters ?? [], () => code.argumentsFromJson(structuredClone(args))),
    encode: (value) =>
      new TextEncoder().encode(JSON.stringify({ result: code.resultToJson(value) ?? null })),
  });
  const frames = valueFrames(values, lastId(incoming));
  return await sseResponse(frames, encodeSse, { onClose: () => gone.abort() });
}

async function* valueFrames(
  values: AsyncIterable<LiveValue>,
  known: string | null,
): AsyncGenerator<SseFrame, void, void> {
  let before = known;
  for await (const { bytes, digest } of values) {
    const id = digest.toBase64({ alphabet: "base64url" });
    // A value comes only where it is another one: this is what the follower came back with.
    if (id === before) yield { event: "ready", id, data: "null" };
    else yield { event: "value", id, data: new TextDecoder().decode(bytes) };
    before = null;
  }
}

const RESUMES = ["lastEventId", "resume"] as const;

/** Id of the last event that the follower had. */
function lastId({ request, url }: Incoming): string | null {
  const [first, second] = RESUMES.map((name) => url.searchParams.get(name));
  // A polyfill that has none sends an empty one.
  return request.headers.get("last-event-id") || first || second || null;
}

/** @throws {KontractError} `VALIDATION` for a parameter beside these, or one that is there twice */
function onlyKnown(params: URLSearchParams, known: readonly string[]): void {
  for (const name of new Set(params.keys())) {
    if (!known.includes(name)) {
      throw new KontractError(
        "VALIDATION",
        `'${name.slice(0, 50)}' is no parameter here: there are ${known.join(", ")}.`,
      );
    }
    if (params.getAll(name).length > 1) {
      throw new KontractError("VALIDATION", `'${name}' is there more than once.`);
    }
  }
}

function parseArguments(text: string | null): unknown[] {
  if (text === null || text === "") return [];
  checkLiveArguments(text);
  let value: unknown;
  try {
    value = parseJson(new TextEncoder().encode(text));
  } catch (cause) {
    throw new KontractError(
      "BAD_REQUEST",
      "'arguments' cannot be read as JSON: it must be a JSON array, percent-encoded.",
      { cause },
    );
  }
  try {
    return argumentList(value);
  } catch (cause) {
    throw new KontractError("BAD_REQUEST", "'arguments' must be a JSON array.", { cause });
  }
}

function parseFilter(text: string | null): unknown {
  if (text === null || text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KontractError("VALIDATION", "'filter' is not JSON.", { cause });
  }
}
