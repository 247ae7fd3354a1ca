/**
 * One migration at a time, for its whole length: a session lock, since index builds and copies are many
 * transactions. It ends with the connection, so a killed migration blocks nobody.
 *
 * It is polled, never waited for in the server: a waiting statement holds a snapshot, and a concurrent
 * index build of the one at work would wait for that snapshot, each for the other.
 *
 * @module
 */
import type postgres from "postgres";
import { KontractError } from "../../_internal/errors.ts";

const KEY = "hashtextextended('kontract migration', 0)";
const POLL_MS = 50;

/** Runs `work` while holding the lock. `sql` must be one connection. */
export async function withMigrationLock<T>(
  sql: postgres.Sql,
  work: () => Promise<T>,
  waitMs = 60_000,
): Promise<T> {
  const until = Date.now() + waitMs;
  for (;;) {
    const [row] = await sql.unsafe(`select pg_try_advisory_lock(${KEY}) as got`);
    if (row?.got === true) break;
    if (Date.now() >= until) {
      throw new KontractError(
        "CONFIG",
        "Another migration of this database is running and does not end: wait for it, or end it.",
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  try {
    await checkSession(sql);
    return await work();
  } finally {
    await sql.unsafe(`select pg_advisory_unlock(${KEY})`).catch(() => {});
  }
}

/** A pooler in transaction mode would give the next statement to another session, without the lock. */
async function checkSession(sql: postgres.Sql): Promise<void> {
  const [row] = await sql.unsafe(`
    select exists (select 1 from pg_locks l where l.locktype = 'advisory' and l.pid = pg_backend_pid()
       and (l.classid::bigint << 32 | l.objid::bigint) = ${KEY} and l.objsubid = 1 and l.granted) as held`);
  if (row?.held === true) return;
  throw new KontractError(
    "CONFIG",
    "The admin connection goes through a pooler in transaction mode: a migration needs a direct one.",
  );
}
