/**
 * Garbage collection, driven from outside: a run is a sequence of short autocommit statements with a
 * budget, so it fits a Worker's cron as well as a command. What it may remove is the database's
 * decision (`collect.sql.ts`); a run that stops anywhere leaves nothing half done.
 *
 * @module
 */
import { ValidationError } from "../../_internal/error_classes.ts";
import { KontractError } from "../../_internal/errors.ts";
import type { StorageSession } from "../contract.ts";
import type { Database, SqlRow } from "../database.ts";
import { FIRST_TABLE } from "../sql/collect.sql.ts";
import { translateFailure } from "../failure.ts";

/** Bounds and defaults of a run. */
export const GARBAGE_LIMITS = {
  /** Snapshots and resume tokens younger than this are served; also how long a closed version stays. */
  retentionMs: 60 * 60 * 1000,
  /** A call's deadline is shorter than this. */
  shortestRetentionMs: 5 * 60 * 1000,
  longestRetentionMs: 365 * 24 * 60 * 60 * 1000,
  /** Versions removed by one statement: the size of its transaction. */
  batch: 2_000,
  mostBatch: 100_000,
  /** Versions removed by one run. */
  rows: 100_000,
  /** Time after which a run begins no further statement; a cron fires once a minute. */
  budgetMs: 20_000,
} as const;

/** What a run needs. */
export interface GarbageOptions {
  /** A system session, of any tenant: the run covers all of them. */
  readonly session: StorageSession;
  readonly retentionMs?: number;
  /** Versions removed by one statement. */
  readonly batch?: number;
  /** Versions removed by the run at most, give or take one batch. */
  readonly rows?: number;
  /** Milliseconds. */
  readonly budgetMs?: number;
  /** Milliseconds since the epoch; `Date.now` where missing. */
  readonly now?: () => number;
}

/** What a run did. */
export interface GarbageReport {
  /** Closed versions removed. */
  readonly removed: number;
  /** Effects, sessions, token ids and tombstones removed. */
  readonly swept: number;
  /** Transaction id below which closed versions may go; null while no marker is older than retention. */
  readonly horizon: string | null;
  /** False where the budget ended the run: the next one goes on. */
  readonly finished: boolean;
  /** True where another run was under way, which is left to its work. */
  readonly busy: boolean;
  /** Statements sent. */
  readonly statements: number;
}

/**
 * Writes the minute's marker and removes what nobody can see any more, within bounds. Call it once a
 * minute: a run that comes later removes later, never too much.
 *
 * @throws {KontractError} `VALIDATION` for bounds, `FORBIDDEN` without a system session,
 *   `SESSION_EXPIRED`, `DATABASE_UNAVAILABLE`
 */
export async function collectGarbage(
  database: Database,
  options: GarbageOptions,
): Promise<GarbageReport> {
  const now = options.now ?? Date.now;
  const { retentionMs, batch, rows, budgetMs } = bounds(options);
  const stop = now() + budgetMs;
  let removed = 0;
  let swept = 0;
  let statements = 0;
  let horizon: string | null = null;
  // A run that begins where the one before stopped goes on to the last table, then to the first.
  let rounds = 1;
  for (let after: string | null = null;;) {
    const row = await one(database, [options.session.sid, retentionMs, batch, after]);
    statements++;
    removed += Number(row.removed);
    swept += Number(row.swept);
    horizon = row.horizon === null ? horizon : String(row.horizon);
    const busy = row.busy === true;
    const next = row.after === null ? null : String(row.after);
    if (after === null && next !== null && next !== FIRST_TABLE) rounds = 2;
    const finished = row.done === true && --rounds === 0;
    if (busy || finished || removed >= rows || now() >= stop) {
      return { removed, swept, horizon, finished, busy, statements };
    }
    after = row.done === true ? FIRST_TABLE : next;
  }
}

function bounds(
  options: GarbageOptions,
): Required<Pick<GarbageOptions, "retentionMs" | "batch" | "rows" | "budgetMs">> {
  const limits = GARBAGE_LIMITS;
  const checked = (name: string, value: number, least: number, most: number): number => {
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
    throw new ValidationError(
      `'${name}' of a garbage collection must be a whole number from ${least} to ${most}: it is ${value}.`,
    );
  };
  return {
    retentionMs: checked(
      "retentionMs",
      options.retentionMs ?? limits.retentionMs,
      limits.shortestRetentionMs,
      limits.longestRetentionMs,
    ),
    batch: checked("batch", options.batch ?? limits.batch, 1, limits.mostBatch),
    rows: checked("rows", options.rows ?? limits.rows, 1, Number.MAX_SAFE_INTEGER),
    budgetMs: checked("budgetMs", options.budgetMs ?? limits.budgetMs, 1, 24 * 60 * 60 * 1000),
  };
}

async function one(
  database: Database,
  params: Parameters<Database["execute"]>[1],
): Promise<SqlRow> {
  let rows: readonly SqlRow[];
  try {
    rows = await database.execute("collect", params);
  } catch (error) {
    throw translateFailure(error);
  }
  if (rows[0] === undefined) throw new KontractError("INTERNAL");
  return rows[0];
}
