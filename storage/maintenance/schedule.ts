/**
 * Garbage collection by the clock: one function for a Worker's `scheduled` handler, one for a process
 * that stays. Any number of gateways may do it side by side; the database lets one work at a time.
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

/** The cron expression a deployment should have: markers are a minute apart. */
export const GARBAGE_CRON = "* * * * *";

const MINUTE = 60_000;

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

/** A timer under way. */
export interface GarbageTimer {
  /** Starts no further run and waits for the one under way. */
  stop(): Promise<void>;
}

/**
 * Runs once a minute until stopped; a run that fails is told to `onError` and the next one comes.
 */
export function startGarbageTimer(
  options: ScheduleOptions & {
    onError(error: unknown): void;
    /** Milliseconds between runs; a minute where missing. */
    readonly everyMs?: number;
  },
): GarbageTimer {
  const { onError, everyMs = MINUTE, ...rest } = options;
  let running: Promise<void> | null = null;
  const timer = setInterval(() => {
    running ??= runScheduledGarbage(rest).then(() => {}, onError).finally(() => {
      running = null;
    });
  }, everyMs);
  return {
    async stop(): Promise<void> {
      clearInterval(timer);
      await running;
    },
  };
}
