/**
 * Cookie mode: the browser keeps the session's tokens in `__Host-` cookies that no script can read. Calls go
 * over the sealed channel as always and carry no token; the cookies go beside it, under TLS alone, and so do the
 * auth functions, whose answers set them. What is kept here is who is signed in, nothing that proves it.
 *
 * A session that the page held itself moves into cookies at its first use.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { readBody } from "../../protocol/read_body.ts";
import { decodeWireError, RemoteError } from "../../protocol/wire_error.ts";

/** Bytes of an auth function's answer. Whoever stands in between must not be held for more. */
const MAX_ANSWER = 1 << 20;

/** The gateway that a session is with. */
export interface SessionGateway {
  /** Origin. */
  readonly url: string;
  /** Tenant the session is for, where the address does not say. */
  readonly tenant: string | undefined;
  /** `fetch` to use. */
  readonly fetch: typeof fetch;
  /** Milliseconds an auth function may take. */
  readonly timeout: number;
}

/** How requests carry a session that the client does not hold. */
export interface SessionCarrier {
  /** Sends with whatever carries the session. */
  readonly fetch: typeof fetch;
  /** Runs one auth function, with `once` one that may not run twice; its answer holds no token. */
  auth(name: string, argument: unknown, once: boolean): Promise<unknown>;
}

/** Where the tokens of a session are, if not with the client. */
export type SessionMode = (gateway: SessionGateway) => SessionCarrier;

/**
 * Keeps the session in cookies; for web pages whose gateway is on the page's own origin, or of the same site and
 * lists it. Calls and streams go over HTTP.
 *
 * ```ts ignore
 * import { cookieSession } from "@kontract/kontract/client";
 * import { client } from "@/client";
 *
 * client.configure({ session: cookieSession });
 * ```
 */
export function cookieSession({ url, tenant, fetch, timeout }: SessionGateway): SessionCarrier {
  const carried = (init: RequestInit | undefined, more: Record<string, string>): RequestInit => ({
    ...init,
    credentials: "include",
    headers: { ...Object(init?.headers), ...more, "kontract-session": "cookie" },
  });
  return {
    fetch: (input, init) => fetch(input, carried(init, {})),
    async auth(name, argument, once): Promise<unknown> {
      const path = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      const init: RequestInit = {
        method: "POST",
        body: JSON.stringify(argument ?? null),
        cache: "no-store",
        redirect: "error",
        signal: AbortSignal.timeout(timeout),
      };
      const headers = {
        "content-type": "application/json",
        ...(tenant === undefined ? {} : { "kontract-tenant": tenant }),
      };
      try {
        const response = await fetch(`${url}/auth/${path}`, carried(init, headers));
        const body = await readBody(response, MAX_ANSWER);
        return readAnswer(response.ok, new TextDecoder().decode(body));
      } catch (cause) {
        if (cause instanceof RemoteError) throw cause;
        throw new KontractError(once ? "OUTCOME_UNKNOWN" : "NETWORK", undefined, { cause });
      }
    },
  };
}

/** Throws `RemoteError` where the gateway refuses, and something else where what answers is none. */
function readAnswer(ok: boolean, text: string): unknown {
  const body: unknown = text === "" ? null : JSON.parse(text);
  if (ok) return body;
  const { error } = Object(body) as { error?: unknown };
  throw new RemoteError(decodeWireError(utf8(JSON.stringify(error ?? null))));
}
