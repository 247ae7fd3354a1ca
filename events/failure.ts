/**
 * Asking an unknown error for its code.
 *
 * @module
 */
import { type ErrorCode, KontractError } from "../_internal/errors.ts";

/** True where `error` is a KontractError with one of `codes`. */
export function isKontractCode(error: unknown, ...codes: readonly ErrorCode[]): boolean {
  return error instanceof KontractError && codes.includes(error.code);
}
