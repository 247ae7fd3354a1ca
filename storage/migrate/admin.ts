/**
 * The admin's connection: one, checked, and with failures that a person can act on.
 *
 * @module
 */
import postgres from "postgres";
import { databaseOption } from "../database_name.ts";
import { ADMIN_SETTINGS, NO_TRANSACTION_TIMEOUT } from "./definer.ts";
import { KontractError } from "../../_internal/errors.ts";

/** Oldest server version that has everything used here. */
const OLDEST_SERVER = 140000;
const RACE_ATTEMPTS = 5;

/**
 * Opens one connection, runs `work`, closes it. One that is lost stays lost: the driver would open another, which
 * has neither the locks nor the role of the first. Throws `CONFIG` and `DATABASE_UNAVAILABLE` beside its own.
 */
export async function withAdmin<T>(
  options: { readonly adminUrl: string; readonly name: string },
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  let lost = false;
  const sql: postgres.Sql = postgres(options.adminUrl, {
    ...databaseOption(options.adminUrl),
    max: 1,
    prepare: false,
    fetch_types: true,
    idle_timeout: 0,
    max_lifetime: null,
    onnotice: () => {},
    connect_timeout: 10,
    connection: { application_name: options.name },
    onclose: () => {
      lost = true;
      void sql.end({ timeout: 0 });
    },
  });
  neverRollBackNothing(sql, () => lost);
  try {
    const version = await checkServer(sql);
    // PL/pgSQL has to be loaded before a function may name its settings.
    await sql.unsafe("do $do$ begin end $do$");
    const settings = [...ADMIN_SETTINGS, ...(version >= 170000 ? [NO_TRANSACTION_TIMEOUT] : [])];
    await sql.unsafe(settings.map((setting) => `set ${setting}`).join("; ")).simple();
    return await work(sql);
  } catch (cause) {
    throw translate(cause);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/**
 * A transaction that fails is rolled back by the driver, by a timer and also on a connection that is gone: that
 * throws where nobody can catch it. So a transaction whose connection is lost is not told of its failure, and
 * fails by the loss itself.
 */
function neverRollBackNothing(sql: postgres.Sql, isLost: () => boolean): void {
  type Work = (tx: postgres.TransactionSql) => unknown;
  const begin = sql.begin.bind(sql) as (options: string, work: Work) => Promise<unknown>;
  const guarded = (options: string | Work, work?: Work): Promise<unknown> => {
    const inside = work ?? options as Work;
    return begin(work === undefined ? "" : options as string, async (tx) => {
      try {
        return await inside(tx);
      } catch (error) {
        if (isLost()) await new Promise(() => {});
        throw error;
      }
    });
  };
  sql.begin = guarded as typeof sql.begin;
}

/** Gives the server's version, as a number. */
async function checkServer(sql: postgres.Sql): Promise<number> {
  const [row] = await sql`
    select current_setting('server_version_num')::int as version, pg_is_in_recovery() as standby,
           current_setting('server_encoding') as encoding`;
  if (Number(row!.version) < OLDEST_SERVER) {
    throw new KontractError("CONFIG", "The server is too old: PostgreSQL 14 or later is needed.");
  }
  if (row!.standby === true) {
    throw new KontractError("CONFIG", "The server is a standby: connect to the primary.");
  }
  if (row!.encoding !== "UTF8") {
    throw new KontractError("CONFIG", "The database must have encoding UTF8.");
  }
  return Number(row!.version);
}

/**
 * Runs again what lost a race: two databases of one cluster may alter the same role at the same moment
 * (XX000), a lock may be held for longer than is polite to wait (55P03), or taken in the other order (40P01).
 */
export async function repeatRace<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await work();
    } catch (error) {
      const { code, message } = error as { code?: unknown; message?: unknown };
      const raced = code === "55P03" || code === "40P01" ||
        (code === "XX000" && String(message).includes("concurrently updated"));
      if (!raced || attempt >= RACE_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20 * attempt));
    }
  }
}

function translate(cause: unknown): unknown {
  if (cause instanceof KontractError) return cause;
  const code = String((cause as { code?: unknown }).code ?? "");
  if (/^(08...|57P0.|E[A-Z]+|CONN.*)$/.test(code)) {
    return new KontractError("DATABASE_UNAVAILABLE", undefined, { cause });
  }
  if (code.startsWith("53")) {
    return new KontractError(
      "DATABASE_UNAVAILABLE",
      "The database has no connection, memory or disk space left.",
      { cause },
    );
  }
  if (code === "42501") {
    return new KontractError(
      "CONFIG",
      "The admin connection may not do this: it must be able to create roles and schemas.",
      { cause },
    );
  }
  if (code.startsWith("28") || code === "3D000") {
    return new KontractError("CONFIG", "The admin connection string is not accepted.", { cause });
  }
  if (code === "55P03") {
    return new KontractError(
      "CONFIG",
      "A long transaction holds what the migration needs: end it, or run the migration again later.",
      { cause },
    );
  }
  return cause;
}

/** The connection string of the gateway, made from the admin's. */
export function gatewayUrl(adminUrl: string, role: string, password?: string): string {
  const url = new URL(adminUrl);
  url.username = encodeURIComponent(role);
  url.password = encodeURIComponent(password ?? "");
  return url.href;
}
