/**
 * What a function may not do while its result is followed: it is run as often as others change what it reads, so
 * an effect of it would come as often. Storage and accounts are closed to every read-only function; this closes
 * the rest. Limits may still be counted.
 *
 * @module
 */
import { PermissionError } from "../_internal/error_classes.ts";
import type { SharedState } from "./ports.ts";

/** Refuses an effect. @throws {KontractError} `PERMISSION_DENIED` */
export function refuseEffect(): never {
  throw new PermissionError(
    "A function whose result is followed has no effects: it may not emit, nor change 'env.shared'.",
  );
}

/** Shared state, to read. */
export function readingOnly(shared: SharedState): SharedState {
  const refuse = (): Promise<never> => new Promise(refuseEffect);
  return {
    get: (key) => shared.get(key),
    rateLimit: (key, limit, windowMs) => shared.rateLimit(key, limit, windowMs),
    set: refuse,
    delete: refuse,
    increment: refuse,
    compareAndSet: refuse,
  };
}
