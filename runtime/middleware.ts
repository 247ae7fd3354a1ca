/**
 * `defineMiddleware`: work around backend functions, selected and inlined when the app is built.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** Which routes a middleware applies to; literals. All that are given must hold. */
export interface MiddlewareFilter {
  /** Name in the build report; the constant's name where missing. */
  readonly name?: string;
  /** Routes whose name starts with this. */
  readonly prefix?: string;
  /** Routes of this endpoint group. */
  readonly egroup?: string;
  /** Routes of these names. */
  readonly endpoints?: readonly string[];
}

/** Runs the rest of the chain and the function, once, and gives its result. */
export type Next = () => Promise<unknown>;

/** What a middleware does: call `next` at most once, give its result or another of its type. */
export type MiddlewareHandler = (next: Next) => Promise<unknown>;

/** A middleware, as the compiler finds it. */
export interface Middleware {
  /** Which routes. */
  readonly filter: MiddlewareFilter;
  /** What it does. */
  readonly handler: MiddlewareHandler;
}

/**
 * Declares a middleware; export it from any module of the app.
 *
 * @example
 * ```ts
 * import { defineMiddleware, ForbiddenError } from "@kontract/kontract";
 * export const closed = defineMiddleware({ prefix: "legacy" }, () => {
 *   throw new ForbiddenError("This part of the service is closed.");
 * });
 * ```
 */
export function defineMiddleware(filter: MiddlewareFilter, handler: MiddlewareHandler): Middleware {
  return { filter, handler: (next) => handler(once(next)) };
}

/** A second `next` would run the function a second time in one transaction: that is never meant. */
function once(next: Next): Next {
  let called = false;
  return () => {
    if (called) {
      return Promise.reject(
        new KontractError("CONFIG", "A middleware called 'next' twice in one call."),
      );
    }
    called = true;
    return next();
  };
}
