/**
 * The database port over `npm:postgres`, in process. Used by the Deno adapter, and on Workers by
 * whoever owns a connection there (`max: 1`).
 *
 * A connection is taken from the pool per statement; nothing is ever left open on it, and no two
 * statements are on one connection at the same time. Statements that are ready together may be one: see `groups.ts` and
 * `feed_groups.ts`.
 *
 * @module
 */
import type postgres from "postgres";
import { Alarms } from "./alarms.ts";
import { ConnectionPool } from "./connection_pool.ts";
import {
  type Database,
  NO_ROOM,
  SqlError,
  type SqlFailure,
  type SqlParam,
  type SqlRow,
} from "./database.ts";
import { databaseOption } from "./database_name.ts";
import { groupedFeeds } from "./feed_groups.ts";
import { groupedDatabase } from "./groups.ts";
import { bind } from "./sql/bind.ts";
import { TABLES_PROBED } from "./sql/collect.sql.ts";
import { statementText } from "./sql/registry.ts";
import { TENANT_PREFIX } from "./tenant_name.ts";

/** Options of {@link postgresDatabase}. */
export interface PostgresDatabaseOptions {
  /** Connection string of the gateway role. */
  readonly url: string;
  /** Connections at most; 10 where missing. */
  readonly max?: number;
  /**
   * False for connection strings that go through a pooler. True where missing; `?prepare=false` in the
   * string itself says no, whatever stands here.
   */
  readonly prepare?: boolean;
  /** Seconds to wait for a connection; 10 where missing. */
  readonly connectTimeout?: number;
  /** Seconds after which an idle connection is closed; 60 where missing. */
  readonly idleTimeout?: number;
  /**
   * Tables of tenants after which a connection is replaced: PostgreSQL remembers each that a connection has used,
   * at some 40 KiB, until it ends. Counted per statement, whichever the table; 4,000 where missing.
   */
  readonly tablesPerConnection?: number;
  /** For the server's list of connections. */
  readonly appName?: string;
}

/** The pool's own refusal. */
const CLOSED = "POOL_CLOSED";
/**
 * Failures of connecting. Every other one of the socket may come after the statement: a reset or a
 * broken pipe says that the server's end is gone, not that it had read nothing.
 */
const NOT_CONNECTED = new Set([
  CLOSED,
  "CONNECT_TIMEOUT",
  "EAI_AGAIN",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
]);
const NOT_REGISTERED: SqlFailure = {
  sqlstate: "26000",
  message: "The statement is not registered.",
  notSent: true,
};
const CONNECTION_STATES = /^(08|57P0)/;

let driver: typeof postgres | undefined;

/** Loads the driver, and with it half of Node's modules; the first statement does it where nobody has. */
export async function loadDriver(): Promise<typeof postgres> {
  return driver ??= (await import("postgres")).default;
}

/** Opens a pool; loads the driver and connects on first use. */
export function postgresDatabase(options: PostgresDatabaseOptions): Database {
  const prepare = (options.prepare ?? true) && !saysUnprepared(options.url);
  const open = (): postgres.Sql => {
    if (driver === undefined) throw new Error("Invariant: a client is opened by a loaded driver.");
    return driver(options.url, {
      ...databaseOption(options.url),
      max: 1,
      prepare,
      fetch_types: false,
      connect_timeout: options.connectTimeout ?? 10,
      idle_timeout: 0,
      backoff: false,
      onnotice: () => {},
      connection: { application_name: options.appName ?? "kontract" },
    });
  };
  const pool = new ConnectionPool(open, {
    max: options.max ?? 10,
    idleMs: (options.idleTimeout ?? 60) * 1000,
    tables: options.tablesPerConnection ?? 4_000,
    fullMs: (options.connectTimeout ?? 10) * 1000,
  });
  const alarms = new Alarms();
  return groupedDatabase(groupedFeeds({
    execute(statement, params): Promise<readonly SqlRow[]> {
      const registered = statementText(statement);
      if (registered === null) return Promise.reject(new SqlError(NOT_REGISTERED));
      const [text, values] = bind(registered, params);
      const encoded = values.map(encodeParam) as postgres.ParameterOrJSON<never>[];
      const use = { isBroken, isFull, tables: tablesMet(statement) };
      const run = (): PromiseLike<readonly SqlRow[]> =>
        pool.use((sql) => sql.unsafe(text, encoded, { prepare }), use);
      const rows = driver === undefined ? loadDriver().then(run) : run();
      return rows.then(decodeRows, fail) as Promise<readonly SqlRow[]>;
    },
    alarm: alarms.set,
    async close(): Promise<void> {
      alarms.clear();
      await pool.close(() => Object.assign(new Error("The pool is closed."), { code: CLOSED }));
    },
  }));
}

/** Tables of other tenants than `main`, whose own are few. */
function tablesMet(statement: string): number {
  if (statement.startsWith(TENANT_PREFIX)) return 1;
  return statement === "collect" || statement === "create_tenant" ? TABLES_PROBED : 0;
}

/** Everything but an error that the server reported and survived. */
function isBroken(error: unknown): boolean {
  const { severity } = error as { severity?: unknown };
  return severity !== "ERROR";
}

/** The server, or the role, has all the connections it may have. */
function isFull(error: unknown): boolean {
  return (error as { code?: unknown }).code === NO_ROOM;
}

/** True for a connection string that ends in `?prepare=false`. */
function saysUnprepared(url: string): boolean {
  return URL.canParse(url) && new URL(url).searchParams.get("prepare") === "false";
}

/** An array becomes PostgreSQL's array text: the driver is told no types, so it does not do it. */
function encodeParam(param: SqlParam): unknown {
  return Array.isArray(param) ? `{${param.map(encodeElement).join(",")}}` : param;
}

function encodeElement(value: string | number | bigint | boolean | null | Uint8Array): string {
  if (value === null) return "null";
  const text = value instanceof Uint8Array ? `\\x${value.toHex()}` : String(value);
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function fail(cause: unknown): never {
  throw new SqlError(describeFailure(cause), cause);
}

/** A plain list, without what the driver's has beside its rows. */
function decodeRows(rows: readonly SqlRow[]): readonly SqlRow[] {
  return rows.length === 1 ? [decodeRow(rows[0]!)] : Array.from(rows, decodeRow);
}

/** Own bytes in place of the driver's, which share a buffer. */
function decodeRow(row: SqlRow): SqlRow {
  let result: Record<string, unknown> | null = null;
  for (const name in row) {
    const value = row[name];
    if (value instanceof Uint8Array) (result ??= { ...row })[name] = Uint8Array.from(value);
  }
  return result ?? row;
}

/** What happened, from the driver's error; unknown kinds count as a lost connection after sending. */
function describeFailure(cause: unknown): SqlFailure {
  const error = cause as {
    code?: unknown;
    message?: unknown;
    detail?: unknown;
    severity?: unknown;
  };
  const code = typeof error.code === "string" ? error.code : "";
  const message = typeof error.message === "string" ? error.message : "unknown";
  if (error.severity !== undefined && /^[0-9A-Z]{5}$/.test(code)) {
    return {
      sqlstate: CONNECTION_STATES.test(code) ? "08006" : code,
      message,
      ...(typeof error.detail === "string" ? { detail: error.detail } : {}),
      // The server refused to connect us: nothing ran. 57P01 can also end a running statement.
      notSent: code === NO_ROOM || code === "57P03" || code.startsWith("28") && !isOurs(message),
    };
  }
  if (/^(UNDEFINED_VALUE|MAX_PARAMETERS_EXCEEDED|NOT_TAGGED_CALL)$/.test(code)) {
    return { sqlstate: "22023", message, notSent: true };
  }
  return { sqlstate: "08006", message, notSent: NOT_CONNECTED.has(code) };
}

/** 28000 raised by our own functions has one of these words as its message. */
function isOurs(message: string): boolean {
  return /^(token|revoked|expired|tenant)$/.test(message);
}
