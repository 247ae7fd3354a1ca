/**
 * `env.storage` as an app's author sees it. The compiler declares one property per table:
 * `interface StorageRegistry { users: Table<User, { key: "id"; defaults: "role" }> }`.
 *
 * @module
 */

/** What the compiler knows of a table beside its row type. */
export interface TableMeta {
  /** Name of the primary key field. */
  readonly key: string;
  /** Names of the fields with a default, as a union; `never` where there are none. */
  readonly defaults: string;
}

/** A row as `set` takes it: key and defaulted fields may be left out. */
export type NewRow<T, M extends TableMeta> =
  & Omit<T, M["key"] | M["defaults"]>
  & Partial<Pick<T, Extract<keyof T, M["key"] | M["defaults"]>>>;

/** Values that are compared as a whole. */
export type Scalar = string | number | boolean | bigint | Date | ArrayBufferView;

/** Values that are greater or less than others: of bytes and booleans none is. */
export type Ordered<V> = V extends boolean | ArrayBufferView ? never : V;

/** Comparison of one field. */
export interface Comparison<V> {
  /** Equal to this. */
  readonly eq?: V;
  /** Another value than this; `null`: any value at all. */
  readonly ne?: V | null;
  /** Greater than this. */
  readonly gt?: Ordered<V>;
  /** This or greater. */
  readonly gte?: Ordered<V>;
  /** Less than this. */
  readonly lt?: Ordered<V>;
  /** This or less. */
  readonly lte?: Ordered<V>;
  /** One of these. */
  readonly in?: readonly V[];
  /** Text that begins with this. */
  readonly prefix?: V extends string ? string : never;
  /** Text that holds this. */
  readonly contains?: V extends string ? string : never;
}

/** What a filter may say of a field. `null` matches a missing value. */
export type FieldFilter<V> = unknown extends V ? unknown
  : [V] extends [Scalar | null | undefined] ? V | null | Comparison<NonNullable<V>>
  : NonNullable<V> extends readonly (infer E)[] | ReadonlySet<infer E> ? {
      readonly contains?: E;
      readonly eq?: V;
      readonly ne?: V | null;
    }
  : Filter<NonNullable<V>>;

/** Conditions that must all hold; objects reach into nested fields. */
export type Filter<T> = { readonly [K in keyof T]?: FieldFilter<T[K]> };

/** A field, or one in nested objects with dots between the names: `"home.city"`. `Depth`: further names at most. */
export type FieldPath<T, Depth extends number = 3> =
  | (keyof T & string)
  | (Depth extends 0 ? never : NestedPath<T, keyof T & string, [never, 0, 1, 2][Depth]>);

/** Paths that begin with a field `K`. By no mapped type: handles of more fields would be none of fewer. */
export type NestedPath<T, K extends keyof T & string, Depth extends number> = K extends string
  ? NonNullable<T[K]> extends
    | Scalar
    | readonly unknown[]
    | ReadonlySet<unknown>
    | ReadonlyMap<unknown, unknown> ? never
  : `${K}.${FieldPath<NonNullable<T[K]>, Depth>}`
  : never;

/** One page of rows. */
export interface Page<T> {
  /** Rows of this page, in the order of the query. */
  readonly rows: T[];
  /** For the next page, or null at the end. */
  readonly cursor: string | null;
}

/**
 * A query, built step by step and run when it is awaited, iterated or asked for a page. Each step gives
 * a new query.
 *
 * @example
 * ```ts ignore
 * const newest = await env.storage.entries.query({ topic: "deno" })
 *   .orderBy("createdAt", "desc").limit(20);
 * ```
 */
export interface Query<T> extends Promise<T[]>, AsyncIterable<T> {
  /**
   * Sorts by a field, after those named before; insertion order breaks ties and is the default. What has no order
   * (bytes, lists, objects) is `VALIDATION`: were it an error of types, no function over a `Table<T>` could sort.
   */
  orderBy(field: FieldPath<T>, direction?: "asc" | "desc"): Query<T>;
  /** Rows at most. Awaiting without it, more than 10,000 rows are an error: iterate instead. */
  limit(rows: number): Query<T>;
  /** Begins after the page that gave this cursor; null begins at the start. */
  after(cursor: string | null | undefined): Query<T>;
  /** One page of `limit` rows (50 where not said) and where the next one begins. */
  page(): Promise<Page<T>>;
  /** The first row, or null. */
  first(): Promise<T | null>;
  /** How many rows match; `limit` and `after` do not count. */
  count(): Promise<number>;
}

/**
 * One table. Reads of a call share one snapshot and see the call's own writes; writes are applied
 * together when the call returns. Iterating goes through all rows in insertion order, in pieces.
 */
export interface Table<T extends object, M extends TableMeta = TableMeta> extends AsyncIterable<T> {
  /** The row, or null. */
  get(id: string): Promise<T | null>;
  /** The rows in the order of `ids`, null for each that is missing. One round trip. */
  getMany(ids: readonly string[]): Promise<(T | null)[]>;
  /** Does the row exist? */
  has(id: string): Promise<boolean>;
  /** Owner of the session that first stored the row, or null where there is no row. */
  ownerOf(id: string): Promise<string | null>;
  /** Stores a whole row; answers with it, defaults filled in. */
  set(id: string, row: NewRow<T, M>): Promise<T>;
  /** Changes some fields; `undefined` removes an optional one. Throws `NOT_FOUND`. */
  update(id: string, patch: Partial<T>): Promise<T>;
  /** Removes the row; no error where there is none. */
  delete(id: string): Promise<void>;
  /** The rows that match; all of them without a filter. */
  query(filter?: Filter<T> | null): Query<T>;
  /** The first row that matches, in insertion order, or null. */
  first(filter?: Filter<T> | null): Promise<T | null>;
  /** How many rows match. */
  count(filter?: Filter<T> | null): Promise<number>;
  /** Adds a row at the end under a new id (or the one it has). */
  push(row: NewRow<T, M>): Promise<T>;
  /** Takes the last row out, or null. */
  pop(): Promise<T | null>;
  /** Takes the first row out, or null. */
  shift(): Promise<T | null>;
}

/** What a query takes as a parameter. */
export type ExecValue = Scalar | null | undefined | readonly Scalar[];

/** What `env.storage` has beside its tables. */
export interface StorageOperations {
  /**
   * Runs a query whose text is fixed when the app is built; what stands in `${…}` travels as parameters. One round
   * trip, in the call's snapshot and with its own writes. Tables are those of the app, columns their fields, and
   * the caller's rights hold as everywhere: own rows only where a table says so, no field without R.
   *
   * The type argument says what a row has. It is compared with what PostgreSQL makes of the text at migration, and
   * every row is checked. Text and bytes are `text`, numbers and bigints `numeric`, dates `timestamptz`, the rest
   * `jsonb`; an array of plain values is an SQL array: `where id = any (${ids})`.
   *
   * A call that writes conflicts with whoever changes one of the tables that its queries read.
   *
   * @throws {KontractError} `PERMISSION_DENIED`, `VALIDATION` (a parameter, or a value the text cannot work with),
   *   `TOO_LARGE` (more than 10,000 rows, more than 4 MiB of parameters), `SCHEMA_MISMATCH` (a row that is not of its type), `CONFLICT`
   * @example
   * ```ts ignore
   * const top = await env.storage.exec<{ author: string; total: number }>`
   *   select author, count(*) as total from entries
   *    where topic = ${topic} group by author order by total desc limit 10`;
   * ```
   */
  exec<Row extends object>(
    text: TemplateStringsArray,
    ...values: readonly ExecValue[]
  ): Promise<Row[]>;
  /**
   * Runs a part of a long call as a transaction of its own: its own snapshot, its own commit, which is final
   * whatever the call does afterwards, and its own retries. Inside `body`, `env.storage` is the part's; what the
   * call itself has written so far is not seen there.
   *
   * The n-th part of a request is applied once, also where the request is sent again or the call is run again: then
   * it gives the stored result without running. So the result is plain data, and parts begin in the same order in
   * every run. Not to be nested.
   *
   * @throws {KontractError} what `body` throws; `CONFLICT` after its retries; `REPLAY` where another function or
   *   other arguments came under the identity of a request that had run this part
   * @example
   * ```ts ignore
   * for (const chunk of chunks) {
   *   await env.storage.transaction(async () => {
   *     for (const item of chunk) await env.storage.items.set(item.id, item);
   *   });
   * }
   * ```
   */
  transaction<T>(body: () => T | Promise<T>): Promise<T>;
}
