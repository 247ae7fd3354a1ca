/**
 * An {@link AuthStore} in memory, for tests: a model of what the real one promises, kept small enough to
 * be read.
 *
 * Optimistic and serializable: reads note the version of each row (or its absence) and of each filter;
 * the commit compares them and runs the body again where one has changed. Every operation yields to the
 * event loop first, so calls that run at the same time do interleave.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { AuthRow, AuthStore, AuthTransaction } from "../store.ts";

interface Versioned {
  readonly version: number;
  readonly row: AuthRow | null;
}

/** Tables in memory. */
export class MemoryAuthStore implements AuthStore {
  /** How often a body was run again. */
  conflicts = 0;
  /** Families that were revoked, with the time until when. */
  readonly revoked: Map<string, number> = new Map();
  readonly #rows = new Map<string, Versioned>();
  #version = 0;

  /** Runs a body until its reads still hold at commit. */
  async transaction<T>(tenant: string, body: (tx: AuthTransaction) => Promise<T>): Promise<T> {
    for (let attempt = 0; attempt < 50; attempt++) {
      const run = new Run(tenant, this.#rows);
      const result = await body(run);
      if (run.holds()) {
        this.#version++;
        for (const [key, row] of run.writes) this.#rows.set(key, { version: this.#version, row });
        return result;
      }
      this.conflicts++;
    }
    throw new KontractError("CONFLICT");
  }

  /** Notes the revocation. */
  revokeFamily(tenant: string, family: string, until: number): Promise<void> {
    this.revoked.set(`${tenant}/${family}`, until);
    return Promise.resolve();
  }

  /** Live rows of a table, for assertions. */
  rowsOf(tenant: string, table: string): AuthRow[] {
    const prefix = keyOf(tenant, table, "");
    return [...this.#rows].filter(([key]) => key.startsWith(prefix)).map(([, v]) => v.row)
      .filter((row) => row !== null);
  }
}

class Run implements AuthTransaction {
  readonly writes = new Map<string, AuthRow | null>();
  readonly #tenant: string;
  readonly #rows: Map<string, Versioned>;
  readonly #snapshot: Map<string, Versioned>;
  readonly #reads = new Map<string, number>();
  readonly #finds: {
    readonly prefix: string;
    readonly filter: Readonly<Record<string, string>>;
  }[] = [];

  constructor(tenant: string, rows: Map<string, Versioned>) {
    this.#tenant = tenant;
    this.#rows = rows;
    this.#snapshot = new Map(rows);
  }

  async get(table: string, id: string): Promise<AuthRow | null> {
    await nextTurn();
    const key = keyOf(this.#tenant, table, id);
    const written = this.writes.get(key);
    if (written !== undefined) return copy(written);
    const found = this.#snapshot.get(key);
    this.#reads.set(key, found?.version ?? 0);
    return copy(found?.row ?? null);
  }

  async find(table: string, filter: Readonly<Record<string, string>>): Promise<readonly AuthRow[]> {
    await nextTurn();
    const prefix = keyOf(this.#tenant, table, "");
    this.#finds.push({ prefix, filter });
    const merged = new Map<string, AuthRow | null>();
    for (const [key, { row }] of this.#snapshot) if (key.startsWith(prefix)) merged.set(key, row);
    for (const [key, row] of this.writes) if (key.startsWith(prefix)) merged.set(key, row);
    return [...merged.values()].filter((row) => row !== null && fits(row, filter))
      .map((row) => copy(row)).filter((row) => row !== null);
  }

  async set(table: string, row: AuthRow): Promise<void> {
    await nextTurn();
    this.writes.set(keyOf(this.#tenant, table, row.id), copy(row));
  }

  async delete(table: string, id: string): Promise<void> {
    await nextTurn();
    this.writes.set(keyOf(this.#tenant, table, id), null);
  }

  /** True where everything that was read is still so. Synchronous: this is the commit point. */
  holds(): boolean {
    for (const [key, version] of this.#reads) {
      if ((this.#rows.get(key)?.version ?? 0) !== version) return false;
    }
    return this.#finds.every(({ prefix, filter }) => {
      const seen = matching(this.#snapshot, prefix, filter);
      const now = matching(this.#rows, prefix, filter);
      return seen === now;
    });
  }
}

function matching(
  rows: Map<string, Versioned>,
  prefix: string,
  filter: Readonly<Record<string, string>>,
): string {
  const found: string[] = [];
  for (const [key, { row, version }] of rows) {
    if (key.startsWith(prefix) && row !== null && fits(row, filter)) {
      found.push(`${key}@${version}`);
    }
  }
  return found.sort().join("\n");
}

function fits(row: AuthRow, filter: Readonly<Record<string, string>>): boolean {
  return Object.entries(filter).every(([name, value]) => row[name] === value);
}

function keyOf(tenant: string, table: string, id: string): string {
  return `${tenant}\0${table}\0${id}`;
}

function copy(row: AuthRow | null): AuthRow | null {
  return row === null ? null : JSON.parse(JSON.stringify(row)) as AuthRow;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
