/**
 * Everything of a migration that takes long, done beside the running app before the one transaction:
 * migrations are read, problems found, tables copied, indexes built. Whatever is interrupted here leaves
 * the schema as it was, and what was half made is dropped by the next run.
 *
 * @module
 */
import type postgres from "postgres";
import type { TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { KontractError } from "../../_internal/errors.ts";
import { describeApplied, isInstalled, liveRows, readStored, type StoredTable } from "./applied.ts";
import { dropOtherChecks, tableCheck } from "./checks.ts";
import type { Prepared } from "./data_tables.ts";
import { OWNER_ROLE } from "./definer.ts";
import {
  asOwner,
  buildIndexes,
  dropBuildExpressions,
  installBuildExpressions,
  wantedIndexes,
} from "./indexes.ts";
import { type Changes, type MigrationFile, NO_CHANGES, recordChanges } from "./migration.ts";
import { type MigrationProblem, planTable, refusal, type TablePlan } from "./plan.ts";
import { dropPhysical, Rebuild } from "./rebuild.ts";
import { LEDGER_TABLES } from "./schema.sql.ts";

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

/**
 * Prepares a run. `sql` must be one connection that holds the migration lock.
 *
 * @throws {KontractError} `MIGRATION_REFUSED`
 */
export async function prepare(sql: postgres.Sql, wanted: Wanted): Promise<Prepared> {
  if (!(await isInstalled(sql))) {
    await hear(sql, wanted.files, []);
    return { changes: NO_CHANGES, rebuilds: new Map() };
  }
  return await asOwner(sql, async () => {
    await openLedger(sql);
    return await prepareTables(sql, wanted);
  });
}

/** Tables of the ledger, and what an earlier run left behind. */
async function openLedger(sql: postgres.Sql): Promise<void> {
  for (const statement of LEDGER_TABLES) await sql.unsafe(statement);
  for (const { ptr } of await sql`select ptr from kontract_private.rebuilds`) {
    await sql.begin(async (tx) => {
      await tx.unsafe(`set local role ${OWNER_ROLE}`);
      await dropPhysical(tx, String(ptr));
    });
  }
}

async function prepareTables(sql: postgres.Sql, wanted: Wanted): Promise<Prepared> {
  const stored = await readStored(sql);
  const changes = await hear(sql, wanted.files, stored);
  const planned = await plan(sql, wanted, stored, changes);
  const problems: MigrationProblem[] = [
    ...planned.flatMap(({ table, plan }) =>
      changes.transforms.has(table.name) ? [] : plan.problems
    ),
  ];
  if (problems.length > 0) throw refusal(problems);
  const rebuilds = new Map<string, Rebuild>();
  await installBuildExpressions(sql);
  try {
    for (const { table, row, empty } of planned) {
      const transforms = changes.transforms.get(table.name);
      if (transforms === undefined || empty) continue;
      const rebuild = new Rebuild(sql, row, { table, types: wanted.types }, transforms);
      rebuilds.set(table.name, rebuild);
      await rebuild.copy("build");
    }
    for (const { table, row, empty, plan } of planned) {
      if (empty || rebuilds.has(table.name)) continue;
      await prepareInPlace(sql, table, wanted.types, row, plan);
    }
  } catch (error) {
    for (const rebuild of rebuilds.values()) await rebuild.drop().catch(() => {});
    throw error;
  } finally {
    await dropBuildExpressions(sql).catch(() => {});
  }
  return { changes, rebuilds };
}

async function hear(
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
): Promise<readonly Planned[]> {
  checkNames(tables, stored, changes);
  const planned: Planned[] = [];
  for (const table of tables) {
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
  table: TableDef,
  types: ShapeTable,
  row: StoredTable,
  plan: TablePlan,
): Promise<void> {
  const { lazy } = plan;
  const wanted = await wantedIndexes(sql, table, types, { ptr: row.ptr, lazy }, "build");
  await buildIndexes(sql, table, row.ptr, wanted, "concurrently");
  if (!(await dropOtherChecks(sql, row.ptr, tableCheck(table, types, lazy).name))) {
    throw new KontractError(
      "CONFIG",
      `Table '${table.name}' is held by a long transaction: end it, or run the migration again later.`,
    );
  }
}
