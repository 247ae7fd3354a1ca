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
import { OWNER_ROLE } from "./definer.ts";
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
  return await holding(sql, { key: KEY, busy: BUSY, waitMs }, async () => {
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
  const key = await sql.begin(async (tx) => {
    await tx.unsafe(`set local role ${OWNER_ROLE}`);
    const [row] = await tx.unsafe(`select ${tenantLock("$1")}::text as key`, [tenant]);
    return String(row!.key);
  });
  return await holding(sql, { key: `'${key}'::bigint`, busy, waitMs: 60_000 }, work);
}

interface Lock {
  /** SQL expression. */
  readonly key: string;
  /** Said where it cannot be had. */
  readonly busy: string;
  readonly waitMs: number;
}

async function holding<T>(
  sql: postgres.Sql,
  { key, busy, waitMs }: Lock,
  work: () => Promise<T>,
): Promise<T> {
  const until = Date.now() + waitMs;
  for (;;) {
    const [row] = await sql.unsafe(`select pg_try_advisory_lock(${key}) as got`);
    if (row?.got === true) break;
    if (Date.now() >= until) throw new KontractError("CONFIG", busy);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  try {
    return await work();
  } finally {
    await sql.unsafe(`select pg_advisory_unlock(${key})`).catch(() => {});
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
