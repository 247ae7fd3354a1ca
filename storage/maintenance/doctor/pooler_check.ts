/**
 * Whether the gateway's connection string goes through a pooler, and in which mode.
 *
 * A pooler makes up its own backend key, so the process id that a client was told is not the server's.
 * In transaction mode the server connection that one client has just left serves the next client.
 *
 * @module
 */
import postgres from "postgres";
import { databaseOption } from "../../database_name.ts";
import { type Finding, ok, trouble, warning } from "./finding.ts";

/** What stands between us and the server. */
export type PoolerMode = "none" | "session" | "transaction";

/** Looks at the way to the server with two clients. Throws what the driver throws. */
export async function poolerMode(url: string): Promise<PoolerMode> {
  const open = (): postgres.Sql =>
    postgres(url, {
      ...databaseOption(url),
      max: 1,
      prepare: false,
      fetch_types: false,
      connect_timeout: 10,
      onnotice: () => {},
    });
  const [first, second] = [open(), open()];
  try {
    const look = async (sql: postgres.Sql): Promise<readonly [number, number]> => {
      const rows = await sql`select pg_backend_pid() as pid`;
      return [Number(rows[0]!.pid), Number(rows.state?.pid)];
    };
    const [pid, told] = await look(first);
    if (pid === told) return "none";
    const [other] = await look(second);
    return other === pid ? "transaction" : "session";
  } finally {
    await Promise.all([first.end({ timeout: 2 }), second.end({ timeout: 2 })]);
  }
}

/** Judges the way for the gateway; `prepares` says whether it would use prepared statements. */
export function judgePooler(mode: PoolerMode, prepares: boolean): Finding {
  if (mode === "none") return ok("pooler", "The gateway's connection is direct.");
  if (prepares) {
    const message =
      `The gateway's connection goes through a pooler in ${mode} mode, with prepared statements.`;
    const fix = "Add ?prepare=false to DATABASE_URL (or set KONTRACT_DATABASE_POOLED=1).";
    return mode === "transaction"
      ? trouble("pooler", message, fix)
      : warning("pooler", message, fix);
  }
  return ok(
    "pooler",
    `The gateway's connection goes through a pooler in ${mode} mode, unprepared.`,
  );
}
