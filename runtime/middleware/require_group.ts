/**
 * Lets only members of a group pass, as the groups are now: the database is asked, one round trip. For
 * one group on one route `ugroup` is stronger: it is checked again in every storage operation.
 *
 * @module
 */
import { ForbiddenError } from "../../_internal/error_classes.ts";
import { KontractError } from "../../_internal/errors.ts";
import { ctx } from "../env.ts";
import type { MiddlewareHandler } from "../middleware.ts";

/**
 * Refuses callers who are in none of `groups` with `FORBIDDEN`, ended sessions with `SESSION_REVOKED`.
 *
 * @example
 * ```ts
 * import { defineMiddleware, requireGroup } from "@kontract/kontract";
 * export const desk = defineMiddleware({ egroup: "desk" }, requireGroup("nurses", "doctors"));
 * ```
 *
 * @throws {KontractError} `CONFIG` without a group
 */
export function requireGroup(...groups: readonly string[]): MiddlewareHandler {
  if (groups.length === 0) throw new KontractError("CONFIG", "requireGroup needs a group.");
  return async (next) => {
    await ctx.confirm();
    if (!groups.some((group) => ctx.ugroups.includes(group))) {
      throw new ForbiddenError(`This is for the group '${groups.join("' or '")}'.`);
    }
    return await next();
  };
}
