/**
 * Garbage collection by the clock. Any number of gateways may do it side by side; the database lets one work
 * at a time.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { StorageSession } from "../contract.ts";
import type { Database } from "../database.ts";
import { collectGarbage, type GarbageOptions, type GarbageReport } from "./garbage.ts";

/** What a scheduled run needs. */
export interface ScheduleOptions extends Omit<GarbageOptions, "session"> {
  readonly database: Database;
  /** Opens or hands out a system session; `renew` true where the last one was refused. */
  session(renew: boolean): Promise<StorageSession> | StorageSession;
}

/** One run; a session that has just ended is renewed once. Throws like {@link collectGarbage}. */
export async function runScheduledGarbage(options: ScheduleOptions): Promise<GarbageReport> {
  const { database, session, ...bounds } = options;
  try {
    return await collectGarbage(database, { ...bounds, session: await session(false) });
  } catch (error) {
    const ended = error instanceof KontractError &&
      (error.code === "SESSION_EXPIRED" || error.code === "SESSION_REVOKED");
    if (!ended) throw error;
    return await collectGarbage(database, { ...bounds, session: await session(true) });
  }
}
