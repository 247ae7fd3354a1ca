/**
 * Interfaces that an app fills in by module augmentation. `kontract types` writes the first into
 * `.kontract/types.d.ts`; the second is written by hand beside a middleware.
 *
 * @module
 */

/** Tables of the app: logical name → class. Filled by `.kontract/types.d.ts`. */
// deno-lint-ignore no-empty-interface
export interface StorageRegistry {}

/**
 * What middleware adds to `ctx`.
 *
 * ```ts ignore
 * declare module "@kontract/kontract" {
 *   interface ContextAdditions {
 *     user: User;
 *   }
 * }
 * export const withUser = defineMiddleware({}, async (next) => {
 *   ctx.user = await env.storage.users.get(ctx.owner);
 *   return await next();
 * });
 * ```
 */
// deno-lint-ignore no-empty-interface
export interface ContextAdditions {}
