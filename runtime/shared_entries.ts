/**
 * Where entries of the shared state lie: in memory, or in SQLite. Both forget an entry at its `expires`.
 *
 * @module
 */
import type { Sqlite } from "./sqlite.ts";

/** One entry. */
export interface Entry {
  /** JSON text. */
  readonly value: string;
  /** Milliseconds since the epoch, or null for ever. */
  readonly expires: number | null;
}

/** A place for entries. Synchronous: no other caller comes between a read and a write. */
export interface Entries {
  read(key: string, now: number): Entry | null;
  write(key: string, entry: Entry, now: number): void;
  /** True where there was one. */
  remove(key: string, now: number): boolean;
}

/** In memory, bounded: beyond `limit` the entry written longest ago is forgotten. */
export class MemoryEntries implements Entries {
  readonly #entries = new Map<string, Entry>();
  readonly #limit: number;

  /** Starts empty. */
  constructor(limit = 100_000) {
    this.#limit = limit;
  }

  /** As in {@link Entries}. */
  read(key: string, now: number): Entry | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    if (entry.expires === null || entry.expires > now) return entry;
    this.#entries.delete(key);
    return null;
  }

  /** As in {@link Entries}. */
  write(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size <= this.#limit) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }

  /** As in {@link Entries}. */
  remove(key: string, now: number): boolean {
    const found = this.read(key, now) !== null;
    this.#entries.delete(key);
    return found;
  }
}

const TABLE = `create table if not exists shared_entries (
  key text primary key, value text not null, expires integer) without rowid`;
const EXPIRY = `create index if not exists shared_entries_expires
  on shared_entries (expires) where expires is not null`;
const READ = "select value, expires from shared_entries where key = ?";
const WRITE = `insert into shared_entries (key, value, expires) values (?, ?, ?)
  on conflict (key) do update set value = excluded.value, expires = excluded.expires`;
const REMOVE = "delete from shared_entries where key = ? returning expires";
const SWEEP = "delete from shared_entries where expires is not null and expires <= ?";

/** Writes between two sweeps of what has expired. */
const SWEEP_EVERY = 256;

/** In SQLite. */
export class SqliteEntries implements Entries {
  readonly #sqlite: Sqlite;
  #writes = 0;

  /** Makes the table where it is missing. */
  constructor(sqlite: Sqlite) {
    this.#sqlite = sqlite;
    sqlite.all(TABLE);
    sqlite.all(EXPIRY);
  }

  /** As in {@link Entries}. */
  read(key: string, now: number): Entry | null {
    const row = this.#sqlite.all(READ, key)[0];
    if (row === undefined) return null;
    const expires = row.expires === null ? null : Number(row.expires);
    return expires === null || expires > now ? { value: String(row.value), expires } : null;
  }

  /** As in {@link Entries}. */
  write(key: string, entry: Entry, now: number): void {
    this.#sqlite.all(WRITE, key, entry.value, entry.expires);
    if (++this.#writes % SWEEP_EVERY === 0) this.#sqlite.all(SWEEP, now);
  }

  /** As in {@link Entries}. */
  remove(key: string, now: number): boolean {
    const row = this.#sqlite.all(REMOVE, key)[0];
    return row !== undefined && (row.expires === null || Number(row.expires) > now);
  }
}
