/**
 * Which web pages may call: exact origins. A page of the gateway's own host always may; others only
 * where the deployment lists them. Callers that are no web pages send no Origin and are not concerned.
 *
 * The rule itself is `auth/cors.ts`; here is what belongs to a request.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { decideCors, DEFAULT_CORS } from "../auth/cors.ts";

/** Origins beside the gateway's own, as `https://app.example.com`. */
export type OriginList = readonly string[];

/**
 * Parses `KONTRACT_ORIGINS`: origins separated by commas.
 *
 * @throws {KontractError} `CONFIG`
 */
export function parseOrigins(text: string | undefined): OriginList {
  if (text === undefined || text.trim() === "") return [];
  return text.split(",").map((part) => {
    const origin = part.trim();
    checkOrigin(origin, "KONTRACT_ORIGINS");
    return origin;
  });
}

/**
 * Refuses what no page can have as its origin, and so would never match.
 *
 * @throws {KontractError} `CONFIG`
 */
export function checkOrigin(origin: string, setting: string): void {
  if (URL.canParse(origin) && new URL(origin).origin === origin) return;
  throw new KontractError(
    "CONFIG",
    `${setting} holds '${origin}': an origin is scheme, host and port only, as 'https://app.example.com'.`,
  );
}

/** A caller whose page may call. */
export interface AllowedOrigin {
  /** The page's origin; null for callers that are no web pages. */
  readonly origin: string | null;
  /** True where `headers` are the whole answer. */
  readonly preflight: boolean;
  /** Headers for whatever is answered. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Lets a request in.
 *
 * @param methods What pages may ask for beside GET and POST
 *
 * @throws {KontractError} `FORBIDDEN` for a page that may not call
 */
export function allowOrigin(
  request: Request,
  list: OriginList,
  methods: readonly string[] = [],
): AllowedOrigin {
  const origin = request.headers.get("origin");
  const decision = decideCors({
    method: request.method,
    origin,
    requestMethod: request.headers.get("access-control-request-method"),
    self: ownOrigin(request),
  }, {
    ...DEFAULT_CORS,
    methods: [...new Set([...DEFAULT_CORS.methods, ...methods])],
    origins: list,
  });
  if (decision.kind === "refused") {
    throw new KontractError(
      "FORBIDDEN",
      "Pages of this origin may not call here: list it in KONTRACT_ORIGINS.",
    );
  }
  return { origin, preflight: decision.kind === "preflight", headers: decision.headers };
}

/**
 * The gateway's own origin, as a page of its own names it. Browsers say `same-origin` themselves and no
 * page can forge it; older ones are judged by host. The scheme is not compared: behind a proxy that ends
 * TLS the gateway sees http.
 */
export function ownOrigin(request: Request): string {
  const url = new URL(request.url);
  const origin = request.headers.get("origin");
  if (origin === null || !URL.canParse(origin)) return url.origin;
  const own = request.headers.get("sec-fetch-site") === "same-origin" ||
    new URL(origin).host === url.host;
  return own ? origin : url.origin;
}
