/**
 * Auth as plain JSON: `POST /auth/<name-with-dashes>` with the function's argument as body, and
 * `GET /auth/me`.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { authFunctionOf } from "../auth/service.ts";
import { bearerToken, optionalCaller } from "./caller.ts";
import { readJson } from "./json_body.ts";
import { jsonResponse } from "./json_surface.ts";
import type { Incoming, Services } from "./services.ts";

/** Bytes of an auth body: addresses, passwords and tokens are short. */
const MAX_AUTH_BODY = 16_384;

/** Answers one auth function. @throws what it throws */
export async function answerAuth(
  services: Services,
  incoming: Incoming,
  path: string,
): Promise<Response> {
  const { request, address } = incoming;
  const name = authFunctionOf(path);
  if (name === null) {
    throw new KontractError("ROUTE_NOT_FOUND", "There is no such auth function.");
  }
  if (request.method !== "POST" && !(request.method === "GET" && name === "me")) {
    throw new KontractError("METHOD_NOT_ALLOWED", "Auth functions are called with POST.");
  }
  const token = bearerToken(request.headers.get("authorization"));
  const principal = await optionalCaller(services.auth, token, name);
  const argument = request.method === "GET" ? undefined : await readJson(request, MAX_AUTH_BODY);
  const answer = await services.auth.call(name, argument ?? null, {
    tenant: principal?.tenant ?? services.tenantOf(request),
    address,
    principal,
  });
  return answer === undefined || answer === null
    ? jsonResponse(204, null)
    : jsonResponse(200, answer);
}
