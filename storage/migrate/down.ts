/**
 * The way back over the last run that applied migration files.
 *
 * While nobody has written to a swapped table the old one is swapped back in an instant. After the first
 * write the rows of today are carried back by the files' `down`, in a rebuild like any other. A table
 * whose declaration has changed since, or that was dropped, has no way back but a new migration.
 *
 * @module
 */
import type postgres from "postgres";
import { KontractError } from "../../_internal/errors.ts";
import { repeatRace, withAdmin } from "./admin.ts";
import { DEFAULT_TENANT, liveRows, readStored, type StoredTable } from "./applied.ts";
import { functionsDigest, grantFunctions, writeMeta } from "./bootstrap.ts";
import {
  applyTable,
  defHash,
  describeTable,
  installTable,
  lockTables,
  renameTable,
  retire,
  type Undo,
} from "./data_tables.ts";
import { identifier, OWNER_ROLE } from "./definer.ts";
import { finish } from "./finish.ts";
import { asOwner } from "./indexes.ts";
import { type AppliedFile, readLedger } from "./ledger.ts";
import { type MigrationFile, recordChanges } from "./migration.ts";
import { freeze, FROZEN, Rebuild } from "./rebuild.ts";
import type { Statements } from "./statements.ts";
import { withMigrationLock } from "./session_lock.ts";

/** What a rollback needs. */
export interface MigrateDownOptions {
  readonly adminUrl: string;
  /** The app's files; their `down` is needed once rows were written. */
  readonly migrations: readonly MigrationFile[];
  readonly gatewayRole: string;
}

/** What a rollback did. */
export interface DownReport {
  /** Files rolled back, newest first; empty where there is nothing to go back over. */
  readonly files: readonly string[];
  readonly steps: readonly string[];
}

interface Run {
  readonly id: number;
  readonly files: readonly AppliedFile[];
  readonly undo: readonly Undo[];
}

/** False for a database where Kontract never was; its owner's role may not even exist. */
async function isMigrated(sql: postgres.Sql): Promise<boolean> {
  const [row] = await sql`select to_regnamespace('kontract') is not null as here`;
  return row?.here === true;
}

/**
 * Rolls back the last run that applied files, as a whole.
 *
 * @throws {KontractError} `MIGRATION_REFUSED`
 */
export async function migrateDown(options: MigrateDownOptions): Promise<DownReport> {
  return await withAdmin(
    { adminUrl: options.adminUrl, name: "kontract migrate down" },
    (sql) =>
      withMigrationLock(sql, async () => {
        if (!await isMigrated(sql)) return { files: [], steps: [] };
        const run = await asOwner(sql, () => lastRun(sql));
        if (run === null) return { files: [], steps: [] };
        const rebuilds = new Map<string, Rebuild>();
        try {
          const instant = await asOwner(sql, () => isUnwritten(sql, run.undo));
          if (!instant) await asOwner(sql, () => carryBack(sql, run, options.migrations, rebuilds));
          const steps = await repeatRace(() =>
            sql.begin((tx) => rollBack(tx, run, rebuilds, options.gatewayRole)) as Promise<
              readonly string[]
            >
          );
          await finish(sql);
          return { files: run.files.map(({ name }) => name).reverse(), steps };
        } catch (error) {
          for (const rebuild of rebuilds.values()) await rebuild.drop().catch(() => {});
          throw error;
        }
      }),
  );
}

async function lastRun(sql: postgres.Sql): Promise<Run | null> {
  const files = await readLedger(sql);
  if (files.length === 0) return null;
  const id = Math.max(...files.map(({ run }) => run));
  const [row] = await sql`select undo from kontract_private.migrations where id = ${id}`;
  return {
    id,
    files: files.filter(({ run }) => run === id),
    undo: (row?.undo ?? []) as readonly Undo[],
  };
}

/** The stored tables a run touched, checked to be as it left them. */
async function touched(
  sql: Statements,
  undo: readonly Undo[],
): Promise<ReadonlyMap<Undo, StoredTable>> {
  const stored = await readStored(sql);
  return new Map(undo.map((entry) => {
    const row = stored.find(({ id }) => id === entry.table);
    if (row === undefined || defHash(row.def) !== entry.after) {
      throw new KontractError(
        "MIGRATION_REFUSED",
        `Table '${entry.table}' has changed since: write a migration that changes it back.`,
        { data: { table: entry.table } },
      );
    }
    return [entry, row];
  }));
}

/** True where every swapped table can be swapped back: no version was made or closed since. */
async function isUnwritten(sql: Statements, undo: readonly Undo[]): Promise<boolean> {
  for (const [entry, row] of await touched(sql, undo)) {
    if (entry.ptr === null) continue;
    if (row.ptr !== entry.ptr || row.retiredPtr === null || row.swapSnapshot === null) return false;
    const written = (column: string): string =>
      `exists (select 1 from kontract_private.${identifier(row.ptr)} u
         where u.${column} >= pg_snapshot_xmax($1::pg_snapshot)
            or u.${column} = any (array(select pg_snapshot_xip($1::pg_snapshot))))`;
    const [answer] = await sql.unsafe(
      `select to_regclass($2) is null or ${written("_txid")} or ${written("_deleted_txid")} as yes`,
      [row.swapSnapshot, `kontract_private.${identifier(row.retiredPtr)}`],
    );
    if (answer?.yes !== false) return false;
  }
  return true;
}

/** Copies today's rows through the files' `down`, newest file first. */
async function carryBack(
  sql: postgres.Sql,
  run: Run,
  given: readonly MigrationFile[],
  rebuilds: Map<string, Rebuild>,
): Promise<void> {
  const files = run.files.map((applied) => {
    const file = given.find(({ name }) => name === applied.name);
    if (file?.hash === applied.hash) return file;
    throw new KontractError(
      "MIGRATION_REFUSED",
      `'migrations/${applied.name}.ts' is not here as it was applied, and rows have been written since: ` +
        "restore it to go back.",
    );
  }).reverse();
  const stored = await readStored(sql);
  const changes = await recordChanges(files, "down", async function* (table) {
    const row = stored.find(({ id }) => id === table);
    if (row !== undefined) yield* liveRows(sql, row);
  });
  for (const [entry, row] of await touched(sql, run.undo)) {
    if (entry.ptr === null) continue;
    const transforms = changes.transforms.get(entry.table) ?? changes.transforms.get(entry.from);
    const rebuild = new Rebuild(sql, row, entry.before, transforms ?? []);
    rebuilds.set(entry.table, rebuild);
    await rebuild.copy("installed");
  }
}

async function rollBack(
  tx: postgres.TransactionSql,
  run: Run,
  rebuilds: ReadonlyMap<string, Rebuild>,
  gateway: string,
): Promise<readonly string[]> {
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  await tx.unsafe(`set local search_path = pg_catalog, kontract, kontract_private, pg_temp`);
  await tx.unsafe(`set local lock_timeout = '2s'`);
  const steps: string[] = [];
  const frozen: string[] = [];
  await lockTables(tx, run.undo.flatMap(({ table, from }) => [table, from]));
  const [known] = await tx<{ epoch: string }[]>`select min(epoch) as epoch from kontract.storage`;
  for (const [entry, row] of await touched(tx, run.undo)) {
    const rebuild = rebuilds.get(entry.table) ?? null;
    if (rebuild === null && !(await isUnwritten(tx, [entry]))) {
      throw new KontractError("CONFLICT", "Rows were written meanwhile: run the rollback again.");
    }
    await rebuild?.finish(tx);
    if (entry.from !== entry.table) {
      steps.push(...await renameTable(tx, [row], entry.table, entry.from));
    }
    if (rebuild !== null) {
      await applyTable(tx, entry.before, { ...row, id: entry.from }, rebuild, known!.epoch);
      steps.push(`rebuild table '${entry.from}' as it was (${rebuild.copied} rows copied)`);
    } else if (entry.ptr !== null) {
      await swapBack(tx, entry.from, row.retiredPtr!);
      steps.push(`table '${entry.from}' is the old one again`);
    } else await reinstall(tx, entry.from);
    if (entry.ptr !== null) frozen.push(row.ptr);
  }
  await tx`delete from kontract_private.migration_files where run = ${run.id}`;
  await tx`update kontract_private.meta set value = '' where name = 'state' or name like 'state %'`;
  const names = run.files.map(({ name }) => `roll back '${name}'`).reverse();
  await tx`insert into kontract_private.migrations (steps) values (${
    JSON.stringify([...names, ...steps])
  }::text::jsonb)`;
  await grantFunctions(tx, gateway);
  await writeMeta(tx, { functions: await functionsDigest(tx) });
  for (const ptr of frozen) await freeze(tx, ptr);
  return steps;
}

/** The row of `storage` from before the swap; the new table becomes the retired one. */
async function swapBack(tx: postgres.TransactionSql, name: string, old: string): Promise<void> {
  const [kept] = await tx<{ retired: Record<string, unknown> }[]>`
    select retired from kontract.storage where owner = ${DEFAULT_TENANT} and id = ${name}`;
  await tx.unsafe(
    `alter table kontract_private.${identifier(old)} drop constraint if exists ${FROZEN}`,
  );
  await retire(tx, name, "keep");
  await tx`
    update kontract.storage st set ptr = r.ptr, permissions = r.permissions, owned = r.owned,
           fields = r.fields, bits = r.bits, lazy = r.lazy, defaults = r.defaults, indexes = r.indexes,
           def = r.def
      from jsonb_populate_record(null::kontract.storage, ${
    JSON.stringify(kept!.retired)
  }::text::jsonb) r
     where st.owner = ${DEFAULT_TENANT} and st.id = ${name}`;
  await reinstall(tx, name);
}

/** The functions of a table as `storage` describes it. */
async function reinstall(tx: postgres.TransactionSql, name: string): Promise<void> {
  const row = (await readStored(tx)).find(({ id }) => id === name)!;
  const { table, types } = row.def;
  await tx`update kontract.storage set def = jsonb_set(def, '{table,name}', to_jsonb(${name}::text))
    where owner = ${DEFAULT_TENANT} and id = ${name}`;
  await installTable(tx, describeTable({ ...table, name }, types, { ...row, swap: row.swapTxid }));
}
