/**
 * Reads of those who follow, past the moments in which a migration holds a table.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { SqlError } from "../storage/database.ts";

/**
 * Reads, and again where a lock was in the way for two seconds or the read was given up for a migration's sake: a
 * caller is told so, a follower has time.
 */
export async function pastLocks<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (signal.aborted || !isConflict(error)) throw error;
    }
  }
}

/** The database's own: what only reads conflicts with nothing else, and a function may throw the code itself. */
function isConflict(error: unknown): boolean {
  return error instanceof KontractError && error.code === "CONFLICT" &&
    error.cause instanceof SqlError;
}
