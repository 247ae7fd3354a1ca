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
import {
  DEFAULT_TENANT,
  describeApplied,
  isInstalled,
  liveRows,
  readStored,
  type StoredTable,
} from "./applied.ts";
import { dropOtherChecks, tableCheck } from "./checks.ts";
import { defHash, type Prepared } from "./data_tables.ts";
import { OWNER_ROLE } from "./definer.ts";
import {
  asOwner,
  buildIndexes,
  dropBuildExpressions,
  type ExpressionSource,
  installBuildExpressions,
  wantedIndexes,
} from "./indexes.ts";
import { type Changes, type MigrationFile, NO_CHANGES, recordChanges } from "./migration.ts";
import { type MigrationProblem, planTable, refusal, type TablePlan } from "./plan.ts";
import { dropPhysical, Rebuild } from "./rebuild.ts";
import { LEDGER_TABLES } from "./schema.sql.ts";
import { hasTenants, ofTenant } from "./tenant_rows.ts";

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
    return { changes: NO_CHANGES, rebuilds: new Map(), unchanged: new Set() };
  }
  return await asOwner(sql, async () => {
    await openLedger(sql);
    const stored = await readStored(sql);
    await installBuildExpressions(sql);
    try {
      return await prepareTables(sql, {
        wanted,
        stored,
        expressions: "build",
        unchanged: new Set(),
      });
    } finally {
      await dropBuildExpressions(sql).catch(() => {});
    }
  });
}

/**
 * Prepares one tenant beside `main`, after `main`. Tables that are as declared are left alone where
 * `sameBuild` says that nothing but the declarations can have changed. As the owner.
 *
 * @throws {KontractError} `MIGRATION_REFUSED`
 */
export async function prepareTenant(
  sql: postgres.Sql,
  tenant: string,
  wanted: Wanted,
  sameBuild: boolean,
): Promise<Prepared> {
  const stored = await readStored(sql, tenant);
  const unchanged = new Set(wanted.tables.flatMap((table) => {
    const row = sameBuild ? stored.find(({ id }) => id === table.name) : undefined;
    const same = row !== undefined && defHash(row.def) === defHash({ table, types: wanted.types });
    return same ? [table.name] : [];
  }));
  return await prepareTables(sql, { wanted, stored, expressions: "installed", unchanged });
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

interface Preparation {
  readonly wanted: Wanted;
  readonly stored: readonly StoredTable[];
  readonly expressions: ExpressionSource;
  /** Tables that need nothing unless a file changes their rows. */
  readonly unchanged: ReadonlySet<string>;
}

async function prepareTables(
  sql: postgres.Sql,
  { wanted, stored, expressions, unchanged: same }: Preparation,
): Promise<Prepared> {
  const changes = await hear(sql, wanted.files, stored);
  const unchanged = new Set([...same].filter((name) => !changes.transforms.has(name)));
  const planned = await plan(sql, wanted, stored, changes, unchanged);
  if (expressions === "build") await checkTenants(sql, wanted, changes);
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
  return { changes, rebuilds, unchanged };
}

/** What would be refused of a tenant is refused before anything of `main` has changed. */
async function checkTenants(
  sql: postgres.Sql,
  { tables, types }: Wanted,
  changes: Changes,
): Promise<void> {
  if (!(await hasTenants(sql))) return;
  for (const table of tables) {
    if (changes.transforms.has(table.name)) continue;
    const def = JSON.stringify({ table, types });
    const rows = await sql`
      select owner from kontract.storage
       where id = ${changes.renames.get(table.name) ?? table.name} and owner <> ${DEFAULT_TENANT}
         and def <> ${def}::text::jsonb order by owner`;
    for (const { owner } of rows) {
      const stored = await readStored(sql, String(owner));
      const [planned] = await plan(sql, { tables: [table], types, files: [] }, stored, {
        ...NO_CHANGES,
        renames: changes.renames,
      }, new Set());
      const problems = planned?.plan.problems ?? [];
      if (problems.length > 0) throw ofTenant(refusal(problems), String(owner));
    }
  }
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
