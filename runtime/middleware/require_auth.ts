/**
 * Lets only callers pass who have signed up and whose session has not been ended: the database is asked,
 * one round trip.
 *
 * @module
 */
import { UnauthorizedError } from "../../_internal/error_classes.ts";
import { ctx } from "../env.ts";
import type { MiddlewareHandler } from "../middleware.ts";

/**
 * Refuses anonymous callers with `UNAUTHORIZED`, ended sessions with `SESSION_REVOKED`.
 *
 * @example
 * ```ts
 * import { defineMiddleware, requireAuth } from "@kontract/kontract";
 * export const signedIn = defineMiddleware({ egroup: "members" }, requireAuth());
 * ```
 */
export function requireAuth(): MiddlewareHandler {
  return async (next) => {
    if (ctx.isAnonymous) throw new UnauthorizedError("Sign in to do this.");
    await ctx.confirm();
    return await next();
  };
}
