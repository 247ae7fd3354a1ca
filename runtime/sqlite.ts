/**
 * SQLite as both hosts have it: a Durable Object's `SqlStorage` and `node:sqlite`. Synchronous, so what
 * runs between two awaits is atomic in a Durable Object; across processes `transaction` makes it so.
 *
 * @module
 */

/** What a statement can be given. */
export type SqliteParam = string | number | null | Uint8Array;

/** A database. Statements are constants of this package; values are always parameters. */
export interface Sqlite {
  /** Runs one statement and gives its rows. */
  all(sql: string, ...params: SqliteParam[]): readonly Readonly<Record<string, unknown>>[];
  /** Runs `body` with nobody else writing; an error undoes it. */
  transaction<T>(body: () => T): T;
}
