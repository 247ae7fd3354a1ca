/**
 * One migration at a time, for its whole length, and of one tenant nothing else meanwhile: session locks,
 * since index builds and copies are many transactions. It ends with the connection, so a killed migration blocks nobody.
 *
 * It is polled, never waited for in the server: a waiting statement holds a snapshot, and a concurrent
 * index build of the one at work would wait for that snapshot, each for the other. It is given up where the one at
 * work has not got on for a minute.
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
  let until = Date.now() + waitMs;
  let seen: string | null = null;
  for (;;) {
    if (await answer(sql, `${before} select pg_try_advisory_lock(${key}) as yes`)) break;
    seen ??= await holderAt(sql, before, key);
    if (Date.now() >= until) {
      const now = await holderAt(sql, before, key);
      if (now === seen || now === "") throw new KontractError("CONFIG", busy);
      seen = now;
      until = Date.now() + waitMs;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  try {
    return await work();
  } finally {
    await answer(sql, `${before} select pg_advisory_unlock(${key}) as yes`).catch(() => {});
  }
}

/**
 * Where the holder is, as a word that changes as long as it gets on: a thousand tenants take minutes. A statement
 * that runs gets on unless it waits for a lock. Empty where nothing is to be seen.
 */
async function holderAt(sql: postgres.Sql, before: string, key: string): Promise<string> {
  const results: readonly unknown[] = await sql.unsafe(`${before}
    select coalesce(string_agg(concat_ws(' ', a.pid, a.query_start, case when a.state = 'active'
             and a.wait_event_type is distinct from 'Lock' then clock_timestamp() end), ''), '') as at
      from pg_locks l join pg_database d on d.oid = l.database join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and d.datname = current_database()
       and a.query_start is not null
       and (l.classid::bigint << 32 | l.objid::bigint) = (${key})`).simple();
  const [row] = [results.at(-1)].flat() as { at?: unknown }[];
  return String(row?.at ?? "");
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
