/**
 * Limits how often routes are called, by caller, by address or for everybody together.
 *
 * @module
 */
import { RateLimitedError } from "../../_internal/error_classes.ts";
import { addressSubject } from "../../auth/limits.ts";
import { ctx, env } from "../env.ts";
import type { MiddlewareHandler } from "../middleware.ts";
import { checkLimit } from "../shared_store.ts";

/** Options of {@link rateLimit}. */
export interface RateLimitOptions {
  /** Calls in a window. */
  readonly limit: number;
  /** Length of the window in milliseconds. */
  readonly windowMs: number;
  /** Who shares a bucket; `owner` where missing. `address`: an IPv6 one counts per /64. `all`: everybody of the tenant. */
  readonly by?: "owner" | "address" | "all";
  /** Routes with the same name share buckets; each route has its own where missing. */
  readonly name?: string;
}

/**
 * A token bucket in the shared state; refuses with `RATE_LIMITED` and `data.retryAfter` in milliseconds.
 *
 * @example Twenty a minute from one address
 * ```ts
 * import { defineMiddleware, rateLimit } from "@kontract/kontract";
 * export const slow = defineMiddleware(
 *   { endpoints: ["search"] },
 *   rateLimit({ limit: 20, windowMs: 60_000, by: "address" }),
 * );
 * ```
 *
 * @throws {KontractError} `VALIDATION` for a limit or window that is no positive integer
 */
export function rateLimit(options: RateLimitOptions): MiddlewareHandler {
  const { limit, windowMs, by = "owner", name } = options;
  checkLimit(limit, windowMs);
  return async (next) => {
    // Guests have one owner together.
    const who = by === "all"
      ? ""
      : by === "address" || ctx.isGuest
      ? addressSubject(ctx.address)
      : ctx.owner;
    const key = `rate-limit:${name ?? ctx.route}:${by}:${who}`;
    const { allowed, retryAfter } = await env.shared.rateLimit(key, limit, windowMs);
    if (!allowed) throw new RateLimitedError(undefined, { data: { retryAfter } });
    return await next();
  };
}
