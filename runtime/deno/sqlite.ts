/**
 * SQLite on Deno: `node:sqlite` in WAL mode, so that several processes may share one file.
 *
 * @module
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Sqlite, SqliteParam } from "../sqlite.ts";

/** A database that can be closed. */
export interface OpenSqlite extends Sqlite {
  /** Ends it; later statements throw. */
  close(): void;
}

/** How long another process's write is waited for, in milliseconds. */
const BUSY_MS = 5_000;

/** Opens `path`, or a database in memory for `:memory:`. */
export function openSqlite(path: string): OpenSqlite {
  const database = new DatabaseSync(path);
  const statements = new Map<string, StatementSync>();
  database.exec(`pragma busy_timeout = ${BUSY_MS}`);
  database.exec("pragma journal_mode = wal");
  database.exec("pragma synchronous = normal");
  // Randoms of ended epochs must be gone from the file, too.
  database.exec("pragma secure_delete = on");
  const prepare = (sql: string): StatementSync => {
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = database.prepare(sql);
      statements.set(sql, statement);
    }
    return statement;
  };
  return {
    all(sql: string, ...params: SqliteParam[]): readonly Readonly<Record<string, unknown>>[] {
      return prepare(sql).all(...params) as Record<string, unknown>[];
    },
    transaction<T>(body: () => T): T {
      database.exec("begin immediate");
      try {
        const result = body();
        database.exec("commit");
        return result;
      } catch (error) {
        database.exec("rollback");
        throw error;
      }
    },
    close(): void {
      statements.clear();
      database.close();
    },
  };
}
