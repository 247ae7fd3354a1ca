/**
 * Plain REST: functions at the addresses that their `http` option gives them, beside `/rpc`.
 *
 * Session, groups, rate limit, origins, cookies and `Idempotency-Key` are those of `/rpc`. The answer is
 * the result itself as JSON, bytes as they are (204 where the function gives nothing), or `{ "error": … }` with the code's
 * status, unless the app gives failures another form (`http_options.ts`). `HEAD` is `GET` without its body,
 * `OPTIONS` names the methods, any other method of a known path is a 405 with `Allow`.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { RouteEntry } from "./app.ts";
import { routeCaller } from "./caller.ts";
import { methodNotAllowed, reportFailure } from "./failure.ts";
import type { Failure } from "./failure.ts";
import type { HttpOptions } from "./http_options.ts";
import { readBytes } from "./json_body.ts";
import { answerJson, type FailureForm, failureResponse } from "./json_surface.ts";
import { named, readsBody, restArguments } from "./rest_arguments.ts";
import type { RestMatch } from "./rest_router.ts";
import type { Incoming, Services } from "./services.ts";

/** Answers a request; null where its path is nobody's and lies beside no address. */
export async function answerRest(
  services: Services,
  incoming: Incoming,
): Promise<Response | null> {
  const { request, url, requestId } = incoming;
  let route: string | null = null;
  try {
    const match = services.rest.match(request.method, url.pathname);
    if (match === null) {
      if (!services.rest.beside(url.pathname)) return null;
      throw new KontractError("NOT_FOUND");
    }
    if (match.kind === "methods") {
      if (request.method !== "OPTIONS") throw methodNotAllowed(match.allow);
      return new Response(null, { status: 204, headers: { allow: match.allow.join(", ") } });
    }
    route = match.route.name;
    return await answerRoute(services, incoming, match.route, match.path);
  } catch (error) {
    const path = services.rest.written(url.pathname);
    return restFailure(
      services,
      reportFailure(services.ports.log, error, requestId, { path }),
      route,
    );
  }
}

/** A failure at a REST address or beside one, in the app's own form where it has one. */
export function restFailure(
  services: Services,
  failure: Failure,
  route: string | null = null,
): Response {
  const { http } = services;
  return failureResponse(failure, {
    ...(http.scheme === undefined ? {} : { scheme: http.scheme }),
    ...formOf(services, http, failure, route),
  });
}

async function answerRoute(
  services: Services,
  incoming: Incoming,
  route: RouteEntry,
  path: Extract<RestMatch, { readonly kind: "route" }>["path"],
): Promise<Response> {
  const { request, url } = incoming;
  const { http } = route;
  if (http === undefined) throw methodNotAllowed([]);
  const principal = await routeCaller(services, incoming, route);
  const body = readsBody(http)
    ? await readBytes(request, services.maxBody, services.bodyPace)
    : new Uint8Array(0);
  const lenient = services.http.unknown === "ignore";
  const type = request.headers.get("content-type") ?? "";
  const args = restArguments(http, path, url.searchParams, body, { lenient, type });
  const response = await answerJson(services, incoming, {
    route,
    principal,
    // What Idempotency-Key is held against: the same key for another address is another request.
    content: joined(new TextEncoder().encode(`${url.pathname}${url.search}\n`), body),
    decode: (code) => named(http, () => code.argumentsFromJson(structuredClone(args), lenient)),
    present: (result) => result,
    empty: http.empty,
    raw: http.raw === true,
  });
  if (request.method !== "HEAD") return response;
  await response.body?.cancel();
  return new Response(null, response);
}

/** The app's own form of a failure; Kontract's where it has none or fails itself. */
function formOf(
  { ports }: Services,
  { error: form }: HttpOptions,
  { status, error }: Failure,
  route: string | null,
): Pick<FailureForm, "status" | "body"> {
  if (form === undefined) return {};
  try {
    const answer = form({ status, ...error, route });
    const code = answer.status ?? status;
    const text: unknown = JSON.stringify(answer.body);
    if (!Number.isInteger(code) || code < 400 || code > 599 || typeof text !== "string") {
      throw new Error("'http.error' gives { status?, body }: a status from 400 to 599, plain JSON");
    }
    return { status: code, body: answer.body };
  } catch (cause) {
    ports.log.error("http_error_failed", { requestId: error.requestId, error: cause });
    return {};
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
