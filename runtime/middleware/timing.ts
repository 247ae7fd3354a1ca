/**
 * Tells how long the inner part of a call took, in the `Server-Timing` header of the plain JSON answer.
 *
 * @module
 */
import { ctx } from "../env.ts";
import type { MiddlewareHandler } from "../middleware.ts";

/** What has been measured in a call, the outermost first. */
const MEMO = "kontract.timing";

/**
 * Measures `next`. On Workers the clock stands still while code computes: what is seen there is time
 * spent waiting.
 *
 * @example
 * ```ts
 * import { defineMiddleware, timing } from "@kontract/kontract";
 * export const timed = defineMiddleware({ prefix: "search" }, timing("search"));
 * ```
 *
 * @param name Name in the header; `app` where missing.
 */
export function timing(name = "app"): MiddlewareHandler {
  return async (next) => {
    const start = performance.now();
    try {
      return await next();
    } finally {
      const duration = (performance.now() - start).toFixed(1);
      const measured = ctx.memo(MEMO, (): string[] => []);
      measured.unshift(`${name.replaceAll(/[^\w-]/g, "_")};dur=${duration}`);
      ctx.setHeader("server-timing", measured.join(", "));
    }
  };
}
