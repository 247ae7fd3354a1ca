/**
 * Which migration files a database has had, by name and content.
 *
 * A file that was applied is history: changed or gone, it is refused, since nobody could say any more
 * how the database came to be what it is.
 *
 * @module
 */
import type postgres from "postgres";
import { KontractError } from "../../_internal/errors.ts";
import type { MigrationFile } from "./migration.ts";
import type { Statements } from "./statements.ts";

/** A file as the database remembers it. */
export interface AppliedFile {
  readonly name: string;
  readonly hash: string;
  readonly at: Date;
  /** The run it was part of; a run is rolled back as a whole. */
  readonly run: number;
}

/** Where a file stands. */
export type FileState = "applied" | "pending" | "changed" | "missing";

/** One line of `migrate status`. */
export interface FileStatus {
  readonly name: string;
  readonly state: FileState;
  /** Null where it was not applied. */
  readonly at: Date | null;
}

/** Compares the folder with the database; in order of names. */
export function compareFiles(
  files: readonly MigrationFile[],
  applied: readonly AppliedFile[],
): readonly FileStatus[] {
  const known = new Map(applied.map((file) => [file.name, file]));
  const here = new Map(files.map((file) => [file.name, file]));
  return [...new Set([...known.keys(), ...here.keys()])].sort().map((name) => {
    const file = here.get(name);
    const old = known.get(name);
    const state = old === undefined
      ? "pending"
      : file === undefined
      ? "missing"
      : file.hash === old.hash
      ? "applied"
      : "changed";
    return { name, state, at: old?.at ?? null };
  });
}

/**
 * The files to apply now, in order.
 *
 * @throws {KontractError} `MIGRATION_REFUSED` where history does not match.
 */
export function pendingFiles(
  files: readonly MigrationFile[],
  applied: readonly AppliedFile[],
): readonly MigrationFile[] {
  const states = compareFiles(files, applied);
  const wrong = states.filter(({ state }) => state === "changed" || state === "missing");
  if (wrong.length > 0) {
    const lines = wrong.map(({ name, state }) =>
      state === "changed"
        ? `'migrations/${name}.ts' was changed after it had been applied: restore it, and write another one.`
        : `'migrations/${name}.ts' was applied to this database and is not here: restore it.`
    );
    throw new KontractError("MIGRATION_REFUSED", lines.join("\n"), {
      data: { migrations: wrong.map(({ name }) => name) },
    });
  }
  const pending = new Set(states.flatMap(({ name, state }) => state === "pending" ? [name] : []));
  return files.filter(({ name }) => pending.has(name))
    .sort((a, b) => a.name < b.name ? -1 : 1);
}

/** What this database has had; nothing where it is new. As `kontract_owner` or admin. */
export async function readLedger(sql: Statements): Promise<readonly AppliedFile[]> {
  const [table] =
    await sql`select to_regclass('kontract_private.migration_files') is not null as yes`;
  if (table?.yes !== true) return [];
  const rows = await sql`
    select name, hash, at, run::float8 as run from kontract_private.migration_files order by name`;
  return rows.map((row) => ({
    name: String(row.name),
    hash: String(row.hash),
    at: row.at as Date,
    run: Number(row.run),
  }));
}

/** Notes a run, what it did and how to go back. */
export async function recordRun(
  tx: postgres.TransactionSql,
  steps: readonly string[],
  undo: readonly unknown[],
  files: readonly MigrationFile[],
): Promise<void> {
  if (steps.length === 0) return;
  const [run] = await tx`
    insert into kontract_private.migrations (steps, undo)
    values (${JSON.stringify(steps)}::text::jsonb, ${
    JSON.stringify(undo)
  }::text::jsonb) returning id`;
  for (const { name, hash } of files) {
    await tx`insert into kontract_private.migration_files (name, hash, run) values (${name}, ${hash}, ${
      run!.id
    })`;
  }
}
