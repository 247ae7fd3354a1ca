/**
 * The server, its clock, and whatever else runs on it.
 *
 * @module
 */
import type { Statements } from "../../migrate/statements.ts";
import { type Finding, ok, trouble, warning } from "./finding.ts";

/** A token is refused by a database whose clock is further off than this. */
const TOKEN_SKEW_SECONDS = 30;
const NOTED_SKEW_SECONDS = 5;
/** Transactions of this age keep every dead row of the cluster from being removed. */
const OLD_MINUTES = 10;

/** A slot that nobody reads and that keeps this much of the log will fill the disk. */
const LOG_KEPT_BYTES = 1024 ** 3;

/** Values of settings under which Kontract refuses to work. PostgreSQL keeps them as they were written. */
const OFF = /^(off?|fa?l?s?e?|no?|0)$/i;
const UNUSABLE: Readonly<Record<string, RegExp>> = {
  synchronous_commit: OFF,
  array_nulls: OFF,
  standard_conforming_strings: OFF,
  default_transaction_isolation: /^(?!read committed$)/i,
};

/** Settings that a promise rests on, for the gateway's role in this database. */
export async function checkServer(sql: Statements, gateway: string): Promise<readonly Finding[]> {
  const [row] = await sql`
    select current_setting('server_version') as version,
           current_setting('fsync') as fsync, current_setting('full_page_writes') as pages,
           current_setting('max_prepared_transactions')::int as prepared`;
  const findings: Finding[] = [];
  if (row!.fsync !== "on" || row!.pages !== "on") {
    findings.push(warning(
      "server",
      "fsync or full_page_writes is off: a crash may lose or damage what was acknowledged.",
      "Set fsync = on and full_page_writes = on, except on a database that can be thrown away.",
    ));
  }
  if (Number(row!.prepared) > 0) {
    findings.push(warning(
      "server",
      "max_prepared_transactions is not 0: any role may leave a transaction open for ever.",
      "Set max_prepared_transactions = 0 where nothing needs two-phase commit.",
    ));
  }
  const settings = await sql`
    select distinct on (split_part(c.setting, '=', 1)) c.setting,
           case when s.setrole = 0 then format('alter database %I', current_database())
                when s.setdatabase = 0 then format('alter role %I', ${gateway}::text)
                else format('alter role %I in database %I', ${gateway}::text, current_database()) end as place
      from pg_db_role_setting s, unnest(s.setconfig) c(setting)
     where s.setrole in (0, (select oid from pg_roles where rolname = ${gateway}))
       and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
     -- As they override each other.
     order by split_part(c.setting, '=', 1), s.setrole = 0, s.setdatabase = 0`;
  for (const { setting, place } of settings) {
    const [name, value] = String(setting).split("=") as [string, string];
    if (!UNUSABLE[name]?.test(value)) continue;
    const fails = name === "synchronous_commit" ? "every commit fails" : "nobody can sign in";
    findings.push(trouble(
      "server",
      `The gateway's sessions begin with ${setting}: ${fails}.`,
      `${place} set ${name} = ${
        name === "default_transaction_isolation" ? "'read committed'" : "on"
      }`,
    ));
  }
  return findings.length > 0 ? findings : [ok("server", `PostgreSQL ${row!.version}, a primary.`)];
}

/** The distance between this machine's clock and the database's. */
export async function checkClock(sql: Statements, now: () => number): Promise<Finding> {
  let best = { wait: Infinity, skew: 0 };
  for (let i = 0; i < 5; i++) {
    const before = now();
    const [row] = await sql`select extract(epoch from clock_timestamp())::float8 * 1000 as ms`;
    const after = now();
    // The quickest answer says most: the clock was read somewhere between.
    if (after - before < best.wait) {
      best = { wait: after - before, skew: (Number(row!.ms) - (before + after) / 2) / 1000 };
    }
  }
  const seconds = Math.abs(best.skew).toFixed(1);
  const way = best.skew > 0 ? "ahead of" : "behind";
  const message = `The database's clock is ${seconds} s ${way} this machine's.`;
  const fix = "Set both clocks by NTP: tokens and retention are judged by them.";
  if (Math.abs(best.skew) > TOKEN_SKEW_SECONDS) return trouble("clock", message, fix);
  return Math.abs(best.skew) > NOTED_SKEW_SECONDS
    ? warning("clock", message, fix)
    : ok("clock", message);
}

/** Transactions anywhere in the cluster that hold back the removal of dead rows, here too. */
export async function checkTransactions(
  sql: Statements,
  minutes = OLD_MINUTES,
  logKept = LOG_KEPT_BYTES,
): Promise<readonly Finding[]> {
  const open = await sql`
    select pid, datname, usename, state, application_name as app,
           floor(extract(epoch from now() - xact_start) / 60)::int as minutes
      from pg_stat_activity
     where xact_start < now() - make_interval(mins => ${minutes})
       and pid <> pg_backend_pid() and backend_type <> 'autovacuum worker'
     order by xact_start limit 20`;
  const prepared = await sql`
    select gid, database, owner, floor(extract(epoch from now() - prepared) / 60)::int as minutes
      from pg_prepared_xacts where prepared < now() - make_interval(mins => ${minutes})
     order by prepared limit 20`;
  const slots = await sql`
    select slot_name as name, active from pg_replication_slots
     where greatest(age(xmin), age(catalog_xmin)) > 1000000 or (not active and xmin is not null) limit 20`;
  const logs = await sql`
    select l.slot_name as name, ceil(l.kept / 1048576)::int as mib from (
        select slot_name, active, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) as kept
          from pg_replication_slots) l
     where not l.active and l.kept > ${logKept} limit 20`;
  const findings = [
    ...open.map((row) =>
      warning(
        "transactions",
        `A transaction of ${row.usename ?? "the server"} in database '${
          row.datname ?? "-"
        }' has been open for ${row.minutes} ` +
          `minutes (${row.state ?? "running"}${row.app ? `, ${row.app}` : ""}).`,
        `End it where it belongs, or: select pg_terminate_backend(${row.pid})`,
      )
    ),
    ...prepared.map((row) =>
      warning(
        "transactions",
        `A prepared transaction of ${row.owner} in database '${row.database}' has waited for ${row.minutes} minutes.`,
        `In that database: rollback prepared '${String(row.gid).replaceAll("'", "''")}'`,
      )
    ),
    ...slots.map((row) =>
      warning(
        "transactions",
        `Replication slot '${row.name}' (${
          row.active ? "active" : "unused"
        }) holds back old rows of the whole cluster.`,
        `Let its consumer catch up, or: select pg_drop_replication_slot('${
          String(row.name).replaceAll("'", "''")
        }')`,
      )
    ),
    ...logs.map((row) =>
      warning(
        "transactions",
        `Replication slot '${row.name}' is unused and keeps ${row.mib} MiB of the server's log: the disk will fill.`,
        `Start its consumer again, or: select pg_drop_replication_slot('${
          String(row.name).replaceAll("'", "''")
        }')`,
      )
    ),
  ];
  return findings.length > 0
    ? findings
    : [ok("transactions", `No transaction in the cluster is older than ${minutes} minutes.`)];
}
