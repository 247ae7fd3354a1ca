/**
 * Middleware that most apps want: handlers for `defineMiddleware`.
 *
 * ```ts ignore
 * export const signedIn = defineMiddleware({ egroup: "members" }, requireAuth());
 * ```
 *
 * @module
 */
export { cors, type CorsOptions } from "./cors.ts";
export { rateLimit, type RateLimitOptions } from "./rate_limit.ts";
export { requireAuth } from "./require_auth.ts";
export { requireGroup } from "./require_group.ts";
export { timing } from "./timing.ts";
