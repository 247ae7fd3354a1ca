/**
 * Auth as plain JSON: `POST /auth/<name-with-dashes>` with the function's argument as body, and
 * `GET /auth/me`. Tokens are in the answer, or with `kontract-session: cookie` in cookies
 * (`cookie_session.ts`).
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuthFunction, Principal } from "../auth/contract.ts";
import { authFunctionOf, sessionTokensOf } from "../auth/service.ts";
import {
  authContext,
  bearerToken,
  goesOnWithout,
  optionalCaller,
  shownToken,
  worksWithoutSession,
} from "./caller.ts";
import {
  cookieCaller,
  type CookieTokens,
  cookieTokens,
  dropCookies,
  endsSession,
  keepInCookies,
  renewCookies,
  wantsCookies,
} from "./cookie_session.ts";
import { methodNotAllowed } from "./failure.ts";
import { readJson } from "./json_body.ts";
import { jsonResponse, NO_BODY } from "./json_surface.ts";
import type { Incoming, Services } from "./services.ts";
import { TENANT_HEADER } from "./tenants.ts";

/** Bytes of an auth body: addresses, passwords and tokens are short. */
const MAX_AUTH_BODY = 16_384;

/** Answers one auth function. @throws what it throws */
export async function answerAuth(
  services: Services,
  incoming: Incoming,
  path: string,
): Promise<Response> {
  const { request } = incoming;
  const name = authFunctionOf(path);
  if (name === null) {
    throw new KontractError("ROUTE_NOT_FOUND", "There is no such auth function.");
  }
  if (request.method !== "POST" && !(request.method === "GET" && name === "me")) {
    throw methodNotAllowed(
      name === "me" ? ["GET", "POST"] : ["POST"],
      "Auth functions are called with POST.",
    );
  }
  const asked = wantsCookies(services, request);
  const cookies = cookieTokens(services, request);
  const argument = request.method === "GET"
    ? undefined
    : await readJson(request, MAX_AUTH_BODY, services.bodyPace);
  const token = bearerToken(shownToken(request.headers));
  const bearer = await optionalCaller(services, request, token, name);
  if (asked || cookies !== null) {
    return await answerInCookies(services, incoming, { name, argument, cookies, bearer });
  }
  return respond(await call(services, incoming, name, argument, bearer));
}

/** A call whose session goes into cookies. */
interface CookieCall {
  readonly name: AuthFunction;
  readonly argument: unknown;
  /** Null where there are none, or a bearer token stands before them. */
  readonly cookies: CookieTokens | null;
  /** Who the bearer token speaks for. */
  readonly bearer: Principal | null;
}

async function call(
  services: Services,
  incoming: Incoming,
  name: AuthFunction,
  argument: unknown,
  principal: Principal | null,
): Promise<unknown> {
  const asked = incoming.request.headers.get(TENANT_HEADER);
  const context = await authContext(services, incoming, name, principal, asked);
  return await services.auth.call(name, argument ?? null, context);
}

async function answerInCookies(
  services: Services,
  incoming: Incoming,
  { name, argument, cookies, bearer }: CookieCall,
): Promise<Response> {
  const refresh = cookies?.refresh ?? null;
  if (name === "refresh" && refresh === null && argument === null) {
    throw new KontractError("UNAUTHORIZED", "There is no session to renew.");
  }
  // Who has a session already keeps it: a new identity would take the old one's place in the cookies.
  if (cookies !== null && refresh !== null && (name === "refresh" || name === "anonymous")) {
    try {
      return respond(withoutTokens(await renewCookies(services, incoming, cookies)));
    } catch (error) {
      if (name === "refresh" || !endsSession(error)) throw error;
    }
  }
  let principal = bearer;
  if (cookies !== null && name !== "anonymous") {
    principal = await cookieCaller(services, incoming, cookies).catch((error: unknown) => {
      const ended = endsSession(error) && worksWithoutSession(name);
      if (name === "logout" || ended || goesOnWithout(name, error)) return null;
      throw error;
    });
  }
  const given = name === "logout" && refresh !== null
    ? { ...Object(argument ?? {}), refresh }
    : argument;
  const answer = await call(services, incoming, name, given, principal);
  const tokens = sessionTokensOf(answer);
  if (tokens !== null) keepInCookies(incoming, tokens);
  if (name === "logout") dropCookies(incoming);
  return respond(withoutTokens(answer));
}

/** The answer as a page may see it whose tokens are none of its business. */
function withoutTokens(answer: unknown): unknown {
  if (sessionTokensOf(answer) === null) return answer;
  const { access: _access, refresh: _refresh, ...rest } = Object(answer) as Record<string, unknown>;
  return rest;
}

function respond(answer: unknown): Response {
  return answer === undefined || answer === null
    ? jsonResponse(204, NO_BODY)
    : jsonResponse(200, answer);
}
