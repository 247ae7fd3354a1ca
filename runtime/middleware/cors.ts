/**
 * Narrows which web pages may call a route. Which may call at all is `KONTRACT_ORIGINS`, checked by the
 * gateway before anything else, preflights included.
 *
 * @module
 */
import { ForbiddenError } from "../../_internal/error_classes.ts";
import { KontractError } from "../../_internal/errors.ts";
import { ctx } from "../env.ts";
import type { MiddlewareHandler } from "../middleware.ts";

/** Options of {@link cors}. */
export interface CorsOptions {
  /** Exact origins, as `https://app.example.com`. */
  readonly origins: readonly string[];
}

/**
 * Refuses pages of other origins with `FORBIDDEN`; callers that are no web pages pass. It narrows what
 * `origins` of `defineServer` and `KONTRACT_ORIGINS` let in.
 *
 * @example
 * ```ts
 * import { cors, defineMiddleware } from "@kontract/kontract";
 * export const own = defineMiddleware(
 *   { egroup: "payments" },
 *   cors({ origins: ["https://app.example.com"] }),
 * );
 * ```
 *
 * @throws {KontractError} `CONFIG` for an origin that is none
 */
export function cors({ origins }: CorsOptions): MiddlewareHandler {
  for (const origin of origins) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
      throw new KontractError(
        "CONFIG",
        `cors: '${origin}' is no origin: scheme, host and port only, as 'https://app.example.com'.`,
      );
    }
  }
  return async (next) => {
    const { origin } = ctx;
    if (origin !== null && !origins.includes(origin)) {
      throw new ForbiddenError("Pages of this origin may not call this function.");
    }
    return await next();
  };
}
