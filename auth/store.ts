/**
 * What auth needs of storage, as a port: optimistic transactions over its own tables. The runtime
 * implements it with the storage engine under a system session; auth never sees SQL.
 *
 * @module
 */

/** A row of a system table: plain JSON, `id` included. */
export type AuthRow = Readonly<Record<string, unknown>> & { readonly id: string };

/** Reads share one snapshot, writes are applied together at the end. */
export interface AuthTransaction {
  /** One row, or null. */
  get(table: string, id: string): Promise<AuthRow | null>;
  /** Rows whose fields equal all of `filter`; the fields are indexed. */
  find(table: string, filter: Readonly<Record<string, string>>): Promise<readonly AuthRow[]>;
  /** Writes a whole row. */
  set(table: string, row: AuthRow): Promise<void>;
  /** Deletes a row, if it is there. */
  delete(table: string, id: string): Promise<void>;
}

/** The port. */
export interface AuthStore {
  /**
   * Runs `body` in one serializable transaction of `tenant`; a conflict runs it again.
   *
   * @throws {KontractError} `UNIQUE_VIOLATION`, `CONFLICT`, `DATABASE_UNAVAILABLE`
   */
  transaction<T>(tenant: string, body: (tx: AuthTransaction) => Promise<T>): Promise<T>;
  /** Ends a family's database sessions at once; `until` is when its last token expires (ms). */
  revokeFamily(tenant: string, family: string, until: number): Promise<void>;
}
