/**
 * SQLite of a Durable Object.
 *
 * @module
 */
import type { Sqlite, SqliteParam } from "../sqlite.ts";
import type { ObjectStorage } from "./platform.ts";

/** The object's database. */
export function objectSqlite(storage: ObjectStorage): Sqlite {
  return {
    all: (sql, ...params) => storage.sql.exec(sql, ...params.map(toBinding)).toArray(),
    transaction: (body) => storage.transactionSync(body),
  };
}

function toBinding(param: SqliteParam): string | number | null | ArrayBuffer {
  return param instanceof Uint8Array ? param.slice().buffer : param;
}
