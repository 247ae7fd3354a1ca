/**
 * Bound of what is held for a follower of a function.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** Bytes, or characters of JSON, of the arguments: they are kept for as long as the function is followed. */
export const MAX_LIVE_ARGUMENTS = 64 * 1024;

/** @throws {KontractError} `TOO_LARGE` */
export function checkLiveArguments({ length }: { readonly length: number }): void {
  if (length <= MAX_LIVE_ARGUMENTS) return;
  throw new KontractError(
    "TOO_LARGE",
    `The arguments of a function that is followed must be at most ${MAX_LIVE_ARGUMENTS} bytes: these are ${length}.`,
  );
}
