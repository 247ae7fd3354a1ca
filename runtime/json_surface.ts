/**
 * The plain JSON surface: `POST /rpc/<name>` for curl and other languages.
 *
 * Body: an array of arguments, or `{ "args": [...] }`; empty for none. Answer: `{ "result": … }`, or
 * `{ "error": { code, message, data?, requestId } }` with the code's status. A stream answers lines of
 * JSON, `{ "element": … }` each, the last one `{ "end": true }` or `{ "error": … }`: without it the
 * stream was cut.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { namedInList } from "./argument_names.ts";
import { isGuest, routeCaller } from "./caller.ts";
import type { Principal } from "../auth/contract.ts";
import type { RouteCode, RouteEntry } from "./app.ts";
import type { Call } from "./call_runner.ts";
import { elementBody } from "./element_body.ts";
import { type Failure, methodNotAllowed, reportFailure } from "./failure.ts";
import { effectOf } from "./idempotency.ts";
import { answerHead, decodeJsonAnswer, encodeJsonAnswer } from "./json_answer.ts";
import { parseJson, readBytes } from "./json_body.ts";
import { encodeRawAnswer, rawAnswer, rawBytes, rawStream } from "./raw_answer.ts";
import { RequestStamp } from "./request_stamp.ts";
import type { Incoming, Services } from "./services.ts";

/** Answers one call. @throws what the call throws */
export async function answerRpc(
  services: Services,
  incoming: Incoming,
  name: string,
): Promise<Response> {
  const { request } = incoming;
  if (request.method !== "POST") {
    throw methodNotAllowed(["POST"], "Functions are called with POST.");
  }
  const route = services.routes.named(name);
  const principal = await routeCaller(services, incoming, route);
  const content = await readBytes(request, services.maxBody, services.bodyPace);
  const args = argumentList(content.length === 0 ? [] : parseJson(content));
  return await answerJson(services, incoming, {
    route,
    principal,
    content,
    decode: (code) =>
      namedInList(code.parameters ?? [], () => code.argumentsFromJson(structuredClone(args))),
    present: (result) => ({ result }),
    empty: false,
    raw: false,
  });
}

/** One call whose arguments have been found. */
export interface JsonCall {
  readonly route: RouteEntry;
  readonly principal: Principal;
  /** What a repeat with the same `Idempotency-Key` must repeat. */
  readonly content: Uint8Array;
  /** Fresh, checked arguments. @throws {KontractError} `VALIDATION` */
  decode(code: RouteCode): unknown[];
  /** The body of the answer. */
  present(result: unknown): unknown;
  /** True: a plain 200 has nothing to say and is a 204. */
  readonly empty: boolean;
  /** True: the result is bytes, which are the body. */
  readonly raw: boolean;
}

/** Runs a call and answers with JSON, or with lines of JSON where it is a stream. */
export async function answerJson(
  services: Services,
  incoming: Incoming,
  { route, principal, content, decode, present, empty, raw }: JsonCall,
): Promise<Response> {
  const { routes, runner } = services;
  const { request, requestId, address, origin } = incoming;
  if ((route.inputs ?? 0) > 0) throw new KontractError("BAD_REQUEST", SEALED_ONLY);
  const key = request.headers.get("idempotency-key");
  // Guests are one owner: a key of one would find the answer of another.
  if (key !== null && !route.meta.readOnly && isGuest(principal)) {
    throw new KontractError("BAD_REQUEST", "Idempotency-Key needs a session.");
  }
  const identity = await effectOf(key, route.name);
  const effect = identity === null || route.meta.readOnly
    ? null
    : { ...identity, stamp: await RequestStamp.of("json", route.name, content) };
  const code = await routes.code(route);
  const gone = new AbortController();
  const unwatch = services.peers.add(request, () => gone.abort());
  let head: StreamHead = { status: 200, headers: {} };
  const call: Call = {
    route,
    code,
    principal,
    requestId,
    request: { address, origin, sealed: false, headers: request.headers },
    signal: gone.signal,
    effect,
    arguments: () => decode(code),
    encode: (value, context) => {
      if (raw) return route.stream ? rawBytes(value) : encodeRawAnswer(value, context);
      return route.stream
        ? line({ element: code.resultToJson(value) ?? null })
        : encodeJsonAnswer(value, code.resultToJson(value), context);
    },
    opened: (value, context) => head = answerHead(value, context),
  };
  if (route.stream) {
    const elements = await runner.stream(call);
    if (!raw) return ndjson(services, incoming, head, elements);
    const log = { route: route.name };
    return rawStream(head, elements, (error) => {
      reportFailure(services.ports.log, error, requestId, log);
    });
  }
  const outcome = await runner.value(call).finally(unwatch);
  const replayed: Readonly<Record<string, string>> = outcome.replayed
    ? { "idempotency-replayed": "true" }
    : {};
  if (raw) return rawAnswer(outcome.answer, replayed);
  const { status, headers, result } = decodeJsonAnswer(outcome.answer);
  const bare = status === 204 || (status >= 300 && status < 400) || empty && status === 200;
  return jsonResponse(empty && status === 200 ? 204 : status, bare ? NO_BODY : present(result), {
    ...headers,
    ...replayed,
  });
}

const SEALED_ONLY = "A function with a streamed argument is called through the client.";

/** The arguments in a body. @throws {KontractError} `BAD_REQUEST` */
export function argumentList(body: unknown): unknown[] {
  if (Array.isArray(body)) return body;
  if (typeof body === "object" && body !== null && Object.hasOwn(body, "args")) {
    const { args } = body as { args: unknown };
    if (Array.isArray(args) && Object.keys(body).length === 1) return args;
  }
  throw new KontractError(
    "BAD_REQUEST",
    'The body is a JSON array of arguments, or { "args": [...] }.',
  );
}

/** What an answer without a body has for one; `null` is a JSON value like any other. */
export const NO_BODY: unique symbol = Symbol("no body");

/** JSON with the headers every answer has. */
export function jsonResponse(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(body === NO_BODY ? null : JSON.stringify(body), {
    status,
    headers: {
      ...headers,
      ...(body === NO_BODY ? {} : { "content-type": "application/json; charset=utf-8" }),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });
}

/** What an error's answer says in place of its own. */
export interface FailureForm {
  readonly status?: number;
  readonly body?: unknown;
  /** Of `WWW-Authenticate`. */
  readonly scheme?: string;
}

/** When to ask again where the server is busy or its database is: nobody knows, and at once is too soon. */
const BUSY_SECONDS = "1";

/** An error as JSON. */
export function failureResponse({ status, error }: Failure, form: FailureForm = {}): Response {
  const { retryAfter: after, allow } = (error.data ?? {}) as Record<string, unknown>;
  return jsonResponse(form.status ?? status, form.body ?? { error }, {
    ...(status === 429 && typeof after === "number"
      ? { "retry-after": String(Math.ceil(after / 1000)) }
      : {}),
    ...(status === 503 ? { "retry-after": BUSY_SECONDS } : {}),
    ...(status === 405 && Array.isArray(allow) ? { allow: allow.join(", ") } : {}),
    ...(status === 401 ? { "www-authenticate": form.scheme ?? "Bearer" } : {}),
  });
}

type StreamHead = ReturnType<typeof answerHead>;

function line(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}

function ndjson(
  { ports }: Services,
  { requestId }: Incoming,
  { status, headers }: StreamHead,
  elements: AsyncIterable<Uint8Array>,
): Response {
  const body = elementBody(elements, {
    last: line({ end: true }),
    failed: (error) => line({ error: reportFailure(ports.log, error, requestId).error }),
  });
  return new Response(body, {
    status,
    headers: {
      ...headers,
      "content-type": "application/x-ndjson; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-content-type-options": "nosniff",
    },
  });
}
