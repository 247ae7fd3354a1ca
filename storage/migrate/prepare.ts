/**
 * Everything of a migration that takes long, done beside the running app before the one transaction:
 * problems found, tables copied, indexes built; for the tables of one tenant. Whatever is interrupted here
 * leaves the schema as it was, and what was half made is dropped by the next run.
 *
 * @module
 */
import type postgres from "postgres";
import type { TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { KontractError } from "../../_internal/errors.ts";
import { describeApplied, liveRows, ptrsOf, type StoredTable } from "./applied.ts";
import { dropOtherChecks, tableCheck } from "./checks.ts";
import type { Prepared } from "./data_tables.ts";
import { buildIndexes, type ExpressionSource, wantedIndexes } from "./indexes.ts";
import { type Changes, type MigrationFile, recordChanges } from "./migration.ts";
import { type MigrationProblem, planTable, refusal, type TablePlan } from "./plan.ts";
import { Rebuild } from "./rebuild.ts";

/** What a run wants. */
export interface Wanted {
  readonly tables: readonly TableDef[];
  readonly types: ShapeTable;
  readonly files: readonly MigrationFile[];
}

interface Planned {
  readonly table: TableDef;
  readonly row: StoredTable;
  readonly empty: boolean;
  readonly plan: TablePlan;
}

/** What the tables of one tenant are to become, and what they are. */
export interface Preparation {
  readonly wanted: Wanted;
  readonly stored: readonly StoredTable[];
  readonly expressions: ExpressionSource;
  /** Tables that need nothing unless a file changes their rows. */
  readonly unchanged: ReadonlySet<string>;
}

/**
 * Prepares the tables of one tenant. As the owner.
 *
 * @throws {KontractError} `MIGRATION_REFUSED`
 */
export async function prepareTables(
  sql: postgres.Sql,
  { wanted, stored, expressions, unchanged: same }: Preparation,
): Promise<Prepared> {
  const changes = await hear(sql, wanted.files, stored);
  const unchanged = new Set([...same].filter((name) => !changes.transforms.has(name)));
  const planned = await plan(sql, wanted, stored, changes, unchanged);
  const problems: MigrationProblem[] = [
    ...planned.flatMap(({ table, plan }) =>
      changes.transforms.has(table.name) ? [] : plan.problems
    ),
  ];
  if (problems.length > 0) throw refusal(problems);
  const rebuilds = new Map<string, Rebuild>();
  try {
    for (const { table, row, empty } of planned) {
      const transforms = changes.transforms.get(table.name);
      if (transforms === undefined || empty) continue;
      const rebuild = new Rebuild(sql, row, { table, types: wanted.types }, transforms);
      rebuilds.set(table.name, rebuild);
      await rebuild.copy(expressions);
    }
    for (const { table, row, empty, plan } of planned) {
      if (empty || rebuilds.has(table.name)) continue;
      await prepareInPlace(sql, { table, row, plan }, wanted.types, expressions);
    }
  } catch (error) {
    for (const rebuild of rebuilds.values()) await rebuild.drop().catch(() => {});
    throw error;
  }
  return { changes, rebuilds, unchanged, ptrs: ptrsOf(stored) };
}

/** Loads files and hears what they ask for. */
export async function hear(
  sql: postgres.Sql,
  files: readonly MigrationFile[],
  stored: readonly StoredTable[],
): Promise<Changes> {
  return await recordChanges(files, "up", async function* (table) {
    const row = stored.find(({ id }) => id === table);
    if (row !== undefined) yield* liveRows(sql, row);
  });
}

async function plan(
  sql: postgres.Sql,
  { tables, types }: Wanted,
  stored: readonly StoredTable[],
  changes: Changes,
  unchanged: ReadonlySet<string>,
): Promise<readonly Planned[]> {
  checkNames(tables, stored, changes);
  const planned: Planned[] = [];
  for (const table of tables) {
    if (unchanged.has(table.name)) continue;
    const name = changes.renames.get(table.name) ?? table.name;
    const row = stored.find(({ id }) => id === name);
    if (row === undefined) continue;
    const applied = await describeApplied(sql, row);
    planned.push({ table, row, empty: applied.empty, plan: planTable(table, types, applied) });
  }
  return planned;
}

function checkNames(
  tables: readonly TableDef[],
  stored: readonly StoredTable[],
  changes: Changes,
): void {
  const declared = new Set(tables.map(({ name }) => name));
  const here = new Set(stored.map(({ id }) => id));
  const refuse = (message: string): never => {
    throw new KontractError("MIGRATION_REFUSED", message);
  };
  for (const name of changes.transforms.keys()) {
    if (!declared.has(name)) {
      refuse(`A migration changes the rows of table '${name}', which the source does not declare.`);
    }
  }
  for (const name of changes.drops) {
    if (declared.has(name)) refuse(`A migration drops table '${name}', which the source declares.`);
  }
  for (const [to, from] of changes.renames) {
    if (!declared.has(to)) {
      refuse(`A migration renames table '${from}' to '${to}', which the source does not declare.`);
    }
    if (here.has(from) && here.has(to)) {
      refuse(`A migration renames table '${from}' to '${to}', which exists already.`);
    }
  }
}

/** Indexes, without blocking a writer; and the old check goes, since new rows may break it. */
async function prepareInPlace(
  sql: postgres.Sql,
  { table, row, plan: { lazy } }: Pick<Planned, "table" | "row" | "plan">,
  types: ShapeTable,
  expressions: ExpressionSource,
): Promise<void> {
  const wanted = await wantedIndexes(sql, table, types, { ptr: row.ptr, lazy }, expressions);
  await buildIndexes(sql, table, row.ptr, wanted, "concurrently");
  if (!(await dropOtherChecks(sql, row.ptr, tableCheck(table, types, lazy).name))) {
    throw new KontractError(
      "CONFIG",
      `Table '${table.name}' is held by a long transaction: end it, or run the migration again later.`,
    );
  }
}
