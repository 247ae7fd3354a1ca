/**
 * What the author of a migration writes, and how it is heard.
 *
 * A migration says what becomes of rows; the schema itself is always the one in the source. `up` does
 * nothing by itself: it registers changes, and all pending migrations are carried out as one: every
 * touched table is rebuilt beside the old one and swapped in one transaction. So a change is a function
 * of one row, may run more than once for a row, and must not have effects of its own.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";

/** A row as the app knows it: dates are `Date`, bigints `bigint`. */
export type MigrationRow = Record<string, unknown>;

/** The row after a change; null removes it. */
export type RowChange = (
  row: MigrationRow,
) => MigrationRow | null | Promise<MigrationRow | null>;

/** What a migration can do. */
export interface MigrationContext {
  /**
   * Changes every row of a table. The result must have the type that the source declares (after `down`:
   * the type before the migration); fields left out get their default. The key stays.
   */
  transform(table: string, change: RowChange): void;
  /** The table of this name in the database becomes the one the source calls `to`. */
  renameTable(from: string, to: string): void;
  /** Removes a table that the source does not declare any more, with all its rows. */
  dropTable(table: string): void;
  /** The rows as they are before this migration, for looking things up; ordered by key. */
  rows(table: string): AsyncIterable<MigrationRow>;
}

/** One file in `migrations/`: its default export. */
export interface Migration {
  /** From the schema before to the one in the source. */
  up(migration: MigrationContext): void | Promise<void>;
  /** The way back. Without it a rollback is possible only until the first write. */
  down?(migration: MigrationContext): void | Promise<void>;
}

/** A migration file, not loaded yet. */
export interface MigrationFile {
  /** File name without `.ts`; migrations run in the order of their names. */
  readonly name: string;
  /** SHA-256 of the content, hex. */
  readonly hash: string;
  /** Its default export. */
  load(): Promise<Migration>;
}

/** Everything that pending migrations asked for. */
export interface Changes {
  /** By name in the source; in the order of the files. */
  readonly transforms: ReadonlyMap<string, readonly RowChange[]>;
  /** New name → name in the database. */
  readonly renames: ReadonlyMap<string, string>;
  readonly drops: ReadonlySet<string>;
}

/** No migration at all. */
export const NO_CHANGES: Changes = { transforms: new Map(), renames: new Map(), drops: new Set() };

/** Reads the rows of a table as they are now. */
export type RowReader = (table: string) => AsyncIterable<MigrationRow>;

/**
 * Listens to migrations, in order.
 *
 * @throws {KontractError} `MIGRATION_REFUSED` naming the file that failed or is none.
 */
export async function recordChanges(
  files: readonly MigrationFile[],
  direction: "up" | "down",
  rows: RowReader,
): Promise<Changes> {
  const transforms = new Map<string, RowChange[]>();
  const renames = new Map<string, string>();
  const drops = new Set<string>();
  let current = "";
  const context: MigrationContext = {
    transform(table, change) {
      if (typeof change !== "function") throw new Error(`transform("${table}") needs a function`);
      const list = transforms.get(table) ?? [];
      list.push(named(change, current));
      transforms.set(table, list);
    },
    renameTable(from, to) {
      const earlier = renames.get(from) ?? from;
      renames.delete(from);
      renames.set(to, earlier);
      const list = transforms.get(from);
      if (list === undefined) return;
      transforms.delete(from);
      transforms.set(to, list);
    },
    dropTable: (table) => void drops.add(table),
    rows,
  };
  for (const file of files) {
    current = file.name;
    const migration = await loadMigration(file);
    const step = migration[direction];
    if (step === undefined) {
      throw new KontractError(
        "MIGRATION_REFUSED",
        `Migration '${file.name}' has no 'down', and rows have been written since: there is no way back.`,
      );
    }
    try {
      await step.call(migration, context);
    } catch (cause) {
      throw failed(file.name, direction, cause);
    }
  }
  return { transforms, renames, drops };
}

/** Loads a file and checks that it is a migration. */
async function loadMigration(file: MigrationFile): Promise<Migration> {
  let found: Migration;
  try {
    found = await file.load();
  } catch (cause) {
    throw failed(file.name, "loading", cause);
  }
  if (
    typeof found !== "object" || found === null || typeof found.up !== "function" ||
    (found.down !== undefined && typeof found.down !== "function")
  ) {
    throw new KontractError(
      "MIGRATION_REFUSED",
      `'migrations/${file.name}.ts' is not a migration: its default export must have a function 'up'.`,
    );
  }
  return found;
}

/** A change that says whose it is where it fails. */
function named(change: RowChange, name: string): RowChange {
  return async (row) => {
    try {
      return await change(row);
    } catch (cause) {
      throw new Error(`'migrations/${name}.ts' failed: ${words(cause)}`, { cause });
    }
  };
}

function words(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** The author's own failure, with the place. Shown to the person at the command line only. */
function failed(name: string, doing: string, cause: unknown): KontractError {
  if (cause instanceof KontractError) return cause;
  return new KontractError(
    "MIGRATION_REFUSED",
    `Migration '${name}' failed (${doing}): ${words(cause)}`,
    { cause },
  );
}
