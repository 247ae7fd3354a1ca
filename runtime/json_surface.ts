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
import { requestCaller } from "./caller.ts";
import type { Call } from "./call_runner.ts";
import { type Failure, reportFailure } from "./failure.ts";
import { bodyDigest, effectOf } from "./idempotency.ts";
import { decodeJsonAnswer, encodeJsonAnswer } from "./json_answer.ts";
import { parseJson, readBytes } from "./json_body.ts";
import type { Incoming, Services } from "./services.ts";

/** Answers one call. @throws what the call throws */
export async function answerRpc(
  services: Services,
  incoming: Incoming,
  name: string,
): Promise<Response> {
  const { routes, runner } = services;
  const { request, requestId, address, origin } = incoming;
  if (request.method !== "POST") {
    throw new KontractError("METHOD_NOT_ALLOWED", "Functions are called with POST.");
  }
  const route = routes.named(name);
  const principal = await requestCaller(services, incoming);
  const bytes = await readBytes(request, services.maxBody);
  const args = argumentList(bytes.length === 0 ? [] : parseJson(bytes));
  const effect = await effectOf(request.headers.get("idempotency-key"), route.name);
  const digest = effect === null ? "" : await bodyDigest(bytes);
  const code = await routes.code(route);
  const call: Call = {
    route,
    code,
    principal,
    requestId,
    request: { address, origin, sealed: false },
    signal: request.signal,
    effect,
    arguments: () => code.argumentsFromJson(structuredClone(args)),
    encode: (value, context) =>
      route.stream
        ? line({ element: code.resultToJson(value) ?? null })
        : encodeJsonAnswer(value, code.resultToJson(value), context, digest),
  };
  if (route.stream) return ndjson(services, incoming, await runner.stream(call));
  const outcome = await runner.value(call);
  const answer = decodeJsonAnswer(outcome.answer, digest, outcome.replayed);
  const empty = answer.status === 204 || (answer.status >= 300 && answer.status < 400);
  return jsonResponse(answer.status, empty ? null : { result: answer.result }, {
    ...answer.headers,
    ...(outcome.replayed ? { "idempotency-replayed": "true" } : {}),
  });
}

function argumentList(body: unknown): unknown[] {
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

/** JSON with the headers every answer has; no body for null. */
export function jsonResponse(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(body === null ? null : JSON.stringify(body), {
    status,
    headers: {
      ...headers,
      ...(body === null ? {} : { "content-type": "application/json; charset=utf-8" }),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });
}

/** An error as JSON. */
export function failureResponse({ status, error }: Failure): Response {
  const after = (error.data as { retryAfter?: unknown } | undefined)?.retryAfter;
  return jsonResponse(status, { error }, {
    ...(status === 429 && typeof after === "number"
      ? { "retry-after": String(Math.ceil(after / 1000)) }
      : {}),
    ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
  });
}

function line(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}

function ndjson(
  { ports }: Services,
  { requestId }: Incoming,
  elements: AsyncIterable<Uint8Array>,
): Response {
  const iterator = elements[Symbol.asyncIterator]();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      try {
        const step = await iterator.next();
        if (!step.done) return controller.enqueue(step.value);
        controller.enqueue(line({ end: true }));
      } catch (error) {
        controller.enqueue(line({ error: reportFailure(ports.log, error, requestId).error }));
      }
      controller.close();
    },
    async cancel(): Promise<void> {
      await iterator.return?.();
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "application/x-ndjson; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-content-type-options": "nosniff",
    },
  });
}
