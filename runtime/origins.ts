/**
 * Which web pages may call: exact origins. A page of the gateway's own host always may; others only
 * where the deployment lists them. Callers that are no web pages send no Origin and are not concerned.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

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
    if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
      throw new KontractError(
        "CONFIG",
        `KONTRACT_ORIGINS holds '${origin}': an origin is scheme, host and port only, as 'https://app.example.com'.`,
      );
    }
    return origin;
  });
}

/**
 * The caller's origin where it is allowed, null where there is none.
 *
 * @throws {KontractError} `FORBIDDEN` for a page that may not call
 */
export function checkOrigin(request: Request, list: OriginList): string | null {
  const origin = request.headers.get("origin");
  if (origin === null) return null;
  if (list.includes(origin) || isOwn(request, origin)) return origin;
  throw new KontractError(
    "FORBIDDEN",
    "Pages of this origin may not call here: list it in KONTRACT_ORIGINS.",
  );
}

/** Browsers say `same-origin` themselves and no page can forge it; older ones are judged by host. */
function isOwn(request: Request, origin: string): boolean {
  if (request.headers.get("sec-fetch-site") === "same-origin") return true;
  // The scheme is not compared: behind a proxy that ends TLS the gateway sees http.
  return URL.canParse(origin) && new URL(origin).host === new URL(request.url).host;
}

/** Response headers for an allowed origin. */
export function corsHeaders(origin: string | null): Readonly<Record<string, string>> {
  if (origin === null) return {};
  return {
    "access-control-allow-origin": origin,
    "access-control-expose-headers": "x-request-id, retry-after, location",
    vary: "origin",
  };
}

/** Answer to a preflight of an allowed origin. */
export function preflight(origin: string): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...corsHeaders(origin),
      "access-control-allow-methods": "GET, POST",
      "access-control-allow-headers": "authorization, content-type, idempotency-key, last-event-id",
      "access-control-max-age": "7200",
    },
  });
}
