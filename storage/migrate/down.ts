/**
 * The way back over the last run that applied migration files.
 *
 * While nobody has written to a swapped table the old one is swapped back in an instant. After the first
 * write the rows of today are carried back by the files' `down`, in a rebuild like any other. A table
 * whose declaration has changed since, or that was dropped, has no way back but a new migration.
 *
 * Tenants go first, each in a transaction of its own, and `main` last: what is cut off in between is gone
 * on with by the next rollback, or undone by the next migration.
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
  describeTable,
  installTable,
  lockTables,
  renameTable,
  retire,
  type Undo,
} from "./data_tables.ts";
import { identifier, OWNER_ROLE } from "./definer.ts";
import { showTables } from "./exec/role.sql.ts";
import { finish, finishTenant } from "./finish.ts";
import { asOwner } from "./indexes.ts";
import { type AppliedFile, readLedger } from "./ledger.ts";
import { type MigrationFile, recordChanges } from "./migration.ts";
import { defHash } from "./plan.ts";
import { freeze, FROZEN, Rebuild } from "./rebuild.ts";
import type { Statements } from "./statements.ts";
import { withMigrationLock, withTenantLock } from "./session_lock.ts";
import { outsideSnapshot } from "./table.sql.ts";
import { writeTemplates } from "./templates.ts";
import { ofTenant, readTenant, readTenants } from "./tenant_rows.ts";
import { TENANTS_LOCK } from "./tenants.sql.ts";

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
        const tenants = await rollBackTenants(sql, run, options);
        const steps = await rollBackOne(sql, run, DEFAULT_TENANT, options);
        await finish(sql);
        return {
          files: run.files.map(({ name }) => name).reverse(),
          steps: tenants === 0
            ? steps
            : [...steps, `${tenants} tenant${tenants === 1 ? "" : "s"} as well`],
        };
      }),
  );
}

/** Every tenant that had the run; answers with how many. */
async function rollBackTenants(
  sql: postgres.Sql,
  run: Run,
  options: MigrateDownOptions,
): Promise<number> {
  const { tenants, notes } = await asOwner(sql, async () => ({
    tenants: await readTenants(sql),
    notes: await readNotes(sql, run),
  }));
  const had = tenants.filter((tenant) => tenant.run >= run.id).map(({ name }) => name);
  // One that was made since has no note of its own: it goes first, by what is known of the others.
  had.sort((a, b) => Number(notes.has(a)) - Number(notes.has(b)));
  let count = 0;
  for (const name of had) {
    try {
      await withTenantLock(sql, name, async () => {
        const tenant = await asOwner(sql, () => readTenant(sql, name));
        if (tenant === null) return; // dropped meanwhile
        const undo = notes.get(name) ?? commonUndo(run, notes);
        await rollBackOne(sql, { ...run, undo }, name, options);
        await finishTenant(sql, name);
        count++;
      });
    } catch (error) {
      throw ofTenant(error, name);
    }
  }
  return count;
}

/** How the tenants that had the run go back, by name. */
async function readNotes(
  sql: Statements,
  { id }: Run,
): Promise<ReadonlyMap<string, readonly Undo[]>> {
  const rows = await sql`select tenant, undo from kontract_private.tenant_runs where run = ${id}`;
  return new Map(rows.map((row) => [String(row.tenant), row.undo as readonly Undo[]]));
}

/** What the run did to a table anywhere: where one had no row, nothing was noted for it. */
function commonUndo(
  run: Run,
  notes: ReadonlyMap<string, readonly Undo[]>,
): readonly Undo[] {
  const all = [...notes.values(), run.undo].flat();
  return [...new Map(all.map((entry) => [entry.table, entry])).values()];
}

async function rollBackOne(
  sql: postgres.Sql,
  run: Run,
  tenant: string,
  options: MigrateDownOptions,
): Promise<readonly string[]> {
  const rebuilds = new Map<string, Rebuild>();
  try {
    await asOwner(sql, async () => {
      if (await isUnwritten(sql, tenant, run.undo)) return;
      await carryBack(sql, { run, tenant, given: options.migrations }, rebuilds);
    });
    return await repeatRace(() =>
      sql.begin((tx) =>
        rollBack(tx, { run, tenant, rebuilds, gateway: options.gatewayRole })
      ) as Promise<readonly string[]>
    );
  } catch (error) {
    for (const rebuild of rebuilds.values()) await rebuild.drop().catch(() => {});
    throw error;
  }
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
  tenant: string,
  undo: readonly Undo[],
): Promise<ReadonlyMap<Undo, StoredTable>> {
  const stored = await readStored(sql, tenant);
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

/**
 * True where every swapped table can be swapped back: no version was made or closed since, nor was one
 * removed, since an update leaves no other trace than the version it closed.
 */
async function isUnwritten(
  sql: Statements,
  tenant: string,
  undo: readonly Undo[],
): Promise<boolean> {
  for (const [entry, row] of await touched(sql, tenant, undo)) {
    if (entry.ptr === null) continue;
    // What is kept may be a newer table as well, which a rollback has left.
    if (row.ptr !== entry.ptr || row.retiredPtr === null || row.retiredPtr !== entry.source) {
      return false;
    }
    const name = `kontract_private.${identifier(row.ptr)}`;
    const outside = {
      xmax: "pg_snapshot_xmax($1::pg_snapshot)",
      xips: "array(select pg_snapshot_xip($1::pg_snapshot))",
    };
    const [answer] = await sql.unsafe(
      `select to_regclass($2) is null or exists (${
        outsideSnapshot(name, "_deleted_txid", outside)
      }) or exists (${outsideSnapshot(name, "_born", outside)})
         or exists (select 1 from kontract.storage st
                     where st.ptr = $3 and st.horizon > pg_snapshot_xmin($1::pg_snapshot)) as yes`,
      [row.swapSnapshot!, `kontract_private.${identifier(row.retiredPtr)}`, row.ptr],
    );
    if (answer?.yes !== false) return false;
  }
  return true;
}

/** Copies today's rows through the files' `down`, newest file first. */
async function carryBack(
  sql: postgres.Sql,
  { run, tenant, given }: {
    readonly run: Run;
    readonly tenant: string;
    readonly given: readonly MigrationFile[];
  },
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
  const stored = await readStored(sql, tenant);
  const changes = await recordChanges(files, "down", async function* (table) {
    const row = stored.find(({ id }) => id === table);
    if (row !== undefined) yield* liveRows(sql, row);
  });
  for (const [entry, row] of await touched(sql, tenant, run.undo)) {
    if (entry.ptr === null) continue;
    const transforms = changes.transforms.get(entry.table) ?? changes.transforms.get(entry.from);
    const rebuild = new Rebuild(sql, row, entry.before, transforms ?? []);
    rebuilds.set(entry.table, rebuild);
    await rebuild.copy("installed");
  }
}

async function rollBack(
  tx: postgres.TransactionSql,
  { run, tenant, rebuilds, gateway }: {
    readonly run: Run;
    readonly tenant: string;
    readonly rebuilds: ReadonlyMap<string, Rebuild>;
    readonly gateway: string;
  },
): Promise<readonly string[]> {
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  await tx.unsafe(`set local search_path = pg_catalog, kontract, kontract_private, pg_temp`);
  await tx.unsafe(`set local lock_timeout = '2s'`);
  const steps: string[] = [];
  const frozen: string[] = [];
  if (tenant === DEFAULT_TENANT) await tx.unsafe(`select pg_advisory_xact_lock(${TENANTS_LOCK})`);
  await lockTables(tx, tenant, run.undo.flatMap(({ table, from }) => [table, from]));
  const [known] = await tx<{ epoch: string }[]>`select min(epoch) as epoch from kontract.storage`;
  for (const [entry, row] of await touched(tx, tenant, run.undo)) {
    const rebuild = rebuilds.get(entry.table) ?? null;
    if (rebuild === null && !(await isUnwritten(tx, tenant, [entry]))) {
      throw new KontractError("CONFLICT", "Rows were written meanwhile: run the rollback again.");
    }
    await rebuild?.finish(tx);
    if (entry.from !== entry.table) {
      steps.push(...await renameTable(tx, [row], entry.table, entry.from));
    }
    if (rebuild !== null) {
      const place = { tenant, epoch: known!.epoch };
      await applyTable(tx, place, entry.before, { ...row, id: entry.from }, rebuild);
      steps.push(`rebuild table '${entry.from}' as it was (${rebuild.copied} rows copied)`);
    } else if (entry.ptr !== null) {
      await swapBack(tx, tenant, entry.from, row.retiredPtr!);
      steps.push(`table '${entry.from}' is the old one again`);
    } else await reinstall(tx, tenant, entry.from);
    if (entry.ptr !== null) frozen.push(row.ptr);
  }
  await showTables(tx, tenant);
  if (tenant === DEFAULT_TENANT) await noteRollBack(tx, run, steps, gateway);
  else {
    await tx`update kontract_private.tenants set state = '', run = ${
      run.id - 1
    } where name = ${tenant}`;
    await tx`delete from kontract_private.tenant_runs where tenant = ${tenant} and run = ${run.id}`;
  }
  for (const ptr of frozen) await freeze(tx, ptr);
  return steps;
}

/** `main` is back: the files were never applied, and new tenants are made as its tables are now. */
async function noteRollBack(
  tx: postgres.TransactionSql,
  run: Run,
  steps: readonly string[],
  gateway: string,
): Promise<void> {
  await tx`delete from kontract_private.migration_files where run = ${run.id}`;
  await tx`update kontract_private.meta set value = '' where name = 'state' or name like 'state %'`;
  const names = run.files.map(({ name }) => `roll back '${name}'`).reverse();
  await tx`insert into kontract_private.migrations (steps) values (${
    JSON.stringify([...names, ...steps])
  }::text::jsonb)`;
  await grantFunctions(tx, gateway);
  await writeTemplates(tx, (await readStored(tx)).map(({ def }) => def));
  await writeMeta(tx, { tenants: "", functions: await functionsDigest(tx) });
}

/** The row of `storage` from before the swap; the new table becomes the retired one. */
async function swapBack(
  tx: postgres.TransactionSql,
  tenant: string,
  name: string,
  old: string,
): Promise<void> {
  const [kept] = await tx<{ retired: Record<string, unknown> }[]>`
    select retired from kontract.storage where owner = ${tenant} and id = ${name}`;
  await tx.unsafe(
    `alter table kontract_private.${identifier(old)} drop constraint if exists ${FROZEN}`,
  );
  await retire(tx, tenant, name, "keep");
  await tx`
    update kontract.storage st set ptr = r.ptr, permissions = r.permissions, owned = r.owned,
           fields = r.fields, bits = r.bits, lazy = r.lazy, defaults = r.defaults, indexes = r.indexes,
           def = r.def
      from jsonb_populate_record(null::kontract.storage, ${
    JSON.stringify(kept!.retired)
  }::text::jsonb) r
     where st.owner = ${tenant} and st.id = ${name}`;
  await reinstall(tx, tenant, name);
}

/** The functions of a table as `storage` describes it. */
async function reinstall(
  tx: postgres.TransactionSql,
  tenant: string,
  name: string,
): Promise<void> {
  const row = (await readStored(tx, tenant)).find(({ id }) => id === name)!;
  const { table, types } = row.def;
  await tx`update kontract.storage set def = jsonb_set(def, '{table,name}', to_jsonb(${name}::text))
    where owner = ${tenant} and id = ${name}`;
  await installTable(
    tx,
    tenant,
    describeTable({ ...table, name }, types, { ...row, swap: row.swapTxid }),
  );
}
