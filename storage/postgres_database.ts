/**
 * The database port over `npm:postgres`, in process. Used by the Deno adapter, and on Workers by
 * whoever owns a connection there (`max: 1`).
 *
 * A connection is taken from the pool per statement; nothing is ever left open on it.
 *
 * @module
 */
import postgres from "postgres";
import {
  type Database,
  SqlError,
  type SqlFailure,
  type SqlParam,
  type SqlRow,
} from "./database.ts";
import { statementText } from "./sql/registry.ts";

/** Options of {@link postgresDatabase}. */
export interface PostgresDatabaseOptions {
  /** Connection string of the gateway role. */
  readonly url: string;
  /** Connections at most; 10 where missing. */
  readonly max?: number;
  /** False for connection strings that go through a pooler. True where missing. */
  readonly prepare?: boolean;
  /** Seconds to wait for a connection; 10 where missing. */
  readonly connectTimeout?: number;
  /** Seconds after which an idle connection is closed; 60 where missing. */
  readonly idleTimeout?: number;
  /** For the server's list of connections. */
  readonly appName?: string;
}

/**
 * Failures of connecting. Every other one of the socket may come after the statement: a reset or a
 * broken pipe says that the server's end is gone, not that it had read nothing.
 */
const NOT_CONNECTED = new Set([
  "CONNECT_TIMEOUT",
  "EAI_AGAIN",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
]);
/** Seconds before connecting again: the driver's own 20 would keep a pool away from a server that is back. */
const RECONNECT_MOST_S = 0.5;
const CONNECTION_STATES = /^(08|57P0)/;

/** Opens a pool; connects on first use. */
export function postgresDatabase(options: PostgresDatabaseOptions): Database {
  const sql = postgres(options.url, {
    max: options.max ?? 10,
    prepare: options.prepare ?? true,
    fetch_types: false,
    connect_timeout: options.connectTimeout ?? 10,
    idle_timeout: options.idleTimeout ?? 60,
    backoff: (failures: number) =>
      Math.random() * Math.min(0.01 * 2 ** Math.min(failures, 10), RECONNECT_MOST_S),
    onnotice: () => {},
    connection: { application_name: options.appName ?? "kontract" },
  });
  return {
    async execute(statement, params): Promise<readonly SqlRow[]> {
      const text = statementText(statement);
      if (text === null) {
        throw new SqlError({
          sqlstate: "26000",
          message: "The statement is not registered.",
          notSent: true,
        });
      }
      try {
        const rows = await sql.unsafe(
          text,
          params.map(encodeParam) as postgres.ParameterOrJSON<never>[],
          {
            prepare: options.prepare ?? true,
          },
        );
        // A connection that ended inside a result leaves its row counter to the next result of the
        // driver, which then begins with holes: `filter` passes over them.
        return rows.filter(() => true).map(decodeRow);
      } catch (cause) {
        throw new SqlError(describeFailure(cause), cause);
      }
    },
    async close(): Promise<void> {
      await sql.end({ timeout: 5 });
    },
  };
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

/** Own bytes in place of the driver's, which share a buffer. */
function decodeRow(row: SqlRow): SqlRow {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(row)) {
    result[name] = value instanceof Uint8Array ? Uint8Array.from(value) : value;
  }
  return result;
}

/** What happened, from the driver's error; unknown kinds count as a lost connection after sending. */
export function describeFailure(cause: unknown): SqlFailure {
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
      notSent: code === "53300" || code === "57P03" || code.startsWith("28") && !isOurs(message),
    };
  }
  if (/^(UNDEFINED_VALUE|MAX_PARAMETERS_EXCEEDED|NOT_TAGGED_CALL)$/.test(code)) {
    return { sqlstate: "22023", message, notSent: true };
  }
  return { sqlstate: "08006", message, notSent: NOT_CONNECTED.has(code) };
}

/** 28000 raised by our own functions has one of these words as its message. */
function isOurs(message: string): boolean {
  return message === "token" || message === "revoked" || message === "expired";
}
