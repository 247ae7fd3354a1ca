/**
 * What every contender of `bench/peers.ts` offers its callers.
 *
 * @module
 */

/** A row. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly email: string;
}

/** The client's side: every function is one call to a server of its own process. */
export interface Peer {
  readonly name: string;
  noop(a: number, b: string): Promise<{ a: number; b: string }>;
  getUser(id: string): Promise<Person | null>;
  createUser(name: string, email: string): Promise<string>;
  /** Serializable, and retried where that fails; returns what is left. */
  transfer(from: string, to: string, amount: number): Promise<number>;
  close(): Promise<void>;
}

/** Rows that each contender's tables hold before the first call. */
export const ROWS = 10_000;

/** Runs `work` again where PostgreSQL says that it could not be serialized. */
export async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 0;; attempt++) {
    try {
      return await work();
    } catch (error) {
      const code = (error as { code?: string }).code ??
        (error as { cause?: { code?: string } }).cause?.code;
      if (attempt === 50 || (code !== "40001" && code !== "40P01")) throw error;
    }
  }
}

/** The tables of the contenders that write SQL; `$1` is the number of rows. */
export const PLAIN_TABLES: readonly string[] = [
  "create table people (id text primary key, name text not null, email text not null)",
  "create table accounts (id text primary key, balance double precision not null)",
  `insert into people select n::text, 'User ' || n, 'user' || n || '@example.com'
     from generate_series(1, ${ROWS}) n`,
  `insert into accounts select n::text, 1000 from generate_series(1, ${ROWS}) n`,
  "vacuum analyze people",
  "vacuum analyze accounts",
];
