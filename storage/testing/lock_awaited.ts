/**
 * Waiting for a commit that waits.
 *
 * @module
 */
import type postgres from "postgres";
import { until } from "../../tests/until.ts";

/** Resolves when somebody waits for an advisory lock in this database. */
export function untilLockAwaited(sql: postgres.Sql): Promise<void> {
  return until(async () =>
    (await sql`select from pg_locks
      where locktype = 'advisory' and not granted and database = (
        select oid from pg_database where datname = current_database())`).length > 0
  );
}
