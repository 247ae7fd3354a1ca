/**
 * One migration at a time, for its whole length, and of one tenant nothing else meanwhile: session locks,
 * since index builds and copies are many transactions. It ends with the connection, so a killed migration blocks nobody.
 *
 * It is polled, never waited for in the server: a waiting statement holds a snapshot, and a concurrent
 * index build of the one at work would wait for that snapshot, each for the other.
 *
 * @module
 */
import type postgres from "postgres";
import { KontractError } from "../../_internal/errors.ts";
import { literal, OWNER_ROLE } from "./definer.ts";
import { tenantLock } from "./lock_keys.ts";

const KEY = "hashtextextended('kontract migration', 0)";
const POLL_MS = 50;
const BUSY =
  "Another migration of this database is running and does not end: wait for it, or end it.";

/** Runs `work` while holding the lock of migrations. `sql` must be one connection. */
export async function withMigrationLock<T>(
  sql: postgres.Sql,
  work: () => Promise<T>,
  waitMs = 60_000,
): Promise<T> {
  return await holding(sql, { key: KEY, before: "", busy: BUSY, waitMs }, async () => {
    await checkSession(sql);
    return await work();
  });
}

/** Runs `work` while the tenant is neither made nor dropped. `sql` must be one connection. */
export async function withTenantLock<T>(
  sql: postgres.Sql,
  tenant: string,
  work: () => Promise<T>,
): Promise<T> {
  const busy = `Tenant '${tenant}' is being made or dropped and that does not end.`;
  // Only the owner can make the key. Statements in one message are one transaction.
  const before = `set local role ${OWNER_ROLE};`;
  const key = tenantLock(literal(tenant));
  return await holding(sql, { key, before, busy, waitMs: 60_000 }, work);
}

interface Lock {
  /** SQL expression. */
  readonly key: string;
  /** Statements that its evaluation needs in its transaction. */
  readonly before: string;
  /** Said where it cannot be had. */
  readonly busy: string;
  readonly waitMs: number;
}

async function holding<T>(
  sql: postgres.Sql,
  { key, before, busy, waitMs }: Lock,
  work: () => Promise<T>,
): Promise<T> {
  const until = Date.now() + waitMs;
  for (;;) {
    if (await answer(sql, `${before} select pg_try_advisory_lock(${key}) as yes`)) break;
    if (Date.now() >= until) throw new KontractError("CONFIG", busy);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  try {
    return await work();
  } finally {
    await answer(sql, `${before} select pg_advisory_unlock(${key}) as yes`).catch(() => {});
  }
}

/** What the last statement says, in one round trip. */
async function answer(sql: postgres.Sql, text: string): Promise<boolean> {
  const results: readonly unknown[] = await sql.unsafe(text).simple();
  return [results.at(-1)].flat().some((row) =>
    (row as { yes?: unknown } | undefined)?.yes === true
  );
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
