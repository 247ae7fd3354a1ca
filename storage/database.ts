/**
 * The database port: statements by name.
 *
 * Every statement the gateway ever sends is registered in `storage/sql` under a name; the port sends
 * name and parameters, never text made at run time. So a pool that lives elsewhere (DbPoolDO) needs no
 * SQL from its callers, and a test can count round trips exactly.
 *
 * One `execute` is one autocommit statement and one round trip; under load several may share one (`groups.ts`).
 * Implementations: a `postgres` client in process (Deno, direct, Hyperdrive) and the DbPoolDO stub; both in workerd:
 * `tests/workers_ports_test.ts`.
 *
 * @module
 */
import type { SetAlarm } from "./alarms.ts";

/** What a statement can be given. Arrays are arrays of the same; JSON travels as text. */
export type SqlParam =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly (string | number | bigint | boolean | null | Uint8Array)[];

/** One row: column name → value as the driver gives it (JSON columns parsed, bytea as Uint8Array). */
export type SqlRow = Readonly<Record<string, unknown>>;

/** Error of the server, stripped to what may be used for decisions. Never sent to a client. */
export interface SqlFailure {
  /** SQLSTATE, five characters; `08006` for a lost connection, whatever the driver called it. */
  readonly sqlstate: string;
  /** The message text raised by our own functions, or the server's. */
  readonly message: string;
  /** DETAIL where our own functions set one (JSON). */
  readonly detail?: string;
  /** True where the statement certainly did not reach the server. */
  readonly notSent: boolean;
}

/** SQLSTATE of a server that takes no further connection. */
export const NO_ROOM = "53300";

/** Thrown by {@link Database.execute}. */
export class SqlError extends Error {
  /** What happened. */
  readonly failure: SqlFailure;
  /** Wraps a failure; `cause` is for the log. */
  constructor(failure: SqlFailure, cause?: unknown) {
    super(failure.message, { cause });
    this.name = "SqlError";
    this.failure = failure;
  }
}

/** The port. */
export interface Database {
  /**
   * Runs one registered statement.
   *
   * @throws {SqlError} for everything that goes wrong, a lost connection included.
   */
  execute(statement: string, params: readonly SqlParam[]): Promise<readonly SqlRow[]>;
  /** Sets an alarm at less cost than a timer; missing where whoever waits has to use timers. */
  readonly alarm?: SetAlarm;
  /** Ends all connections; later calls reject. */
  close(): Promise<void>;
}
