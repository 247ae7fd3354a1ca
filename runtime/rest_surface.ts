/**
 * Plain REST: functions at the addresses that their `http` option gives them, beside `/rpc`.
 *
 * Session, groups, rate limit, origins, cookies and `Idempotency-Key` are those of `/rpc`. The answer is
 * the result itself as JSON (204 where the function gives nothing), or `{ "error": … }` with the code's
 * status. `HEAD` is `GET` without its body, `OPTIONS` names the methods, any other method of a known path
 * is a 405 with `Allow`.
 *
 * @module
 */
import { requestCaller } from "./caller.ts";
import { methodNotAllowed } from "./failure.ts";
import { readBytes } from "./json_body.ts";
import { answerJson } from "./json_surface.ts";
import { named, readsBody, restArguments } from "./rest_arguments.ts";
import type { RestMatch } from "./rest_router.ts";
import type { Incoming, Services } from "./services.ts";

/** Answers a request whose path is known. @throws what the call throws */
export async function answerRest(
  services: Services,
  incoming: Incoming,
  match: RestMatch,
): Promise<Response> {
  const { request, url } = incoming;
  if (match.kind === "methods") {
    if (request.method !== "OPTIONS") throw methodNotAllowed(match.allow);
    return new Response(null, { status: 204, headers: { allow: match.allow.join(", ") } });
  }
  const { route, path } = match;
  const { http } = route;
  if (http === undefined) throw methodNotAllowed([]);
  const principal = await requestCaller(services, incoming);
  const body = readsBody(http) ? await readBytes(request, services.maxBody) : new Uint8Array(0);
  const args = restArguments(http, path, url.searchParams, body);
  const response = await answerJson(services, incoming, {
    route,
    principal,
    // What Idempotency-Key is held against: the same key for another address is another request.
    content: joined(new TextEncoder().encode(`${url.pathname}${url.search}\n`), body),
    decode: (code) => named(http, () => code.argumentsFromJson(structuredClone(args))),
    present: (result) => result,
    empty: http.empty,
  });
  return request.method === "HEAD" ? new Response(null, response) : response;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
