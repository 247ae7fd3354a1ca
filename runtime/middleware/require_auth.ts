/**
 * Lets only callers pass who have signed up: an anonymous session is not enough.
 *
 * @module
 */
import { UnauthorizedError } from "../../_internal/error_classes.ts";
import { ctx } from "../env.ts";
import type { MiddlewareHandler } from "../middleware.ts";

/** Refuses anonymous callers with `UNAUTHORIZED`. */
export function requireAuth(): MiddlewareHandler {
  return async (next) => {
    if (ctx.isAnonymous) throw new UnauthorizedError("Sign in to do this.");
    return await next();
  };
}
