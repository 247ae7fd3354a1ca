/**
 * Brings every tenant along after `main`: each in a transaction of its own, so that no lock lasts longer
 * than for one tenant's tables and a run that is cut off goes on where it stopped.
 *
 * A tenant has had the migration files of all runs up to its own `run`; what came later is carried out on
 * its rows now, whether it lags by one run or by several.
 *
 * @module
 */
import type postgres from "postgres";
import { repeatRace } from "./admin.ts";
import { type Applied, applyTables } from "./data_tables.ts";
import { OWNER_ROLE } from "./definer.ts";
import { finishTenant } from "./finish.ts";
import { asOwner } from "./indexes.ts";
import { readLedger } from "./ledger.ts";
import type { MigrationFile } from "./migration.ts";
import { prepareTenant, type Wanted } from "./prepare.ts";
import { freeze } from "./rebuild.ts";
import { withTenantLock } from "./session_lock.ts";
import { laggingTenants, ofTenant, readTenants, type TenantRow } from "./tenant_rows.ts";

/** Longest wait for a lock on a table in use. */
const LOCK_TIMEOUT = "2s";
const NAMED = 10;

/**
 * Brings along who lags; `state` is what `main` was brought to and begins with the version of the
 * functions. Without `files` the ledger is not looked at. One tenant that cannot be brought along keeps
 * none of the others.
 *
 * @throws {KontractError} `MIGRATION_REFUSED`, naming the first tenant that stays behind
 */
export async function bringTenants(
  sql: postgres.Sql,
  wanted: Omit<Wanted, "files"> & { readonly files: readonly MigrationFile[] | undefined },
  state: string,
): Promise<readonly string[]> {
  const brought: string[] = [];
  const waits: string[] = [];
  const failures: unknown[] = [];
  for (const { name } of await asOwner(sql, () => laggingTenants(sql))) {
    try {
      await withTenantLock(sql, name, async () => {
        const tenant = await asOwner(sql, () => find(sql, name));
        if (tenant === null) return; // dropped meanwhile
        await bringTenant(sql, tenant, wanted, state);
        brought.push(name);
        waits.push(...(await finishTenant(sql, name)).map((wait) => `tenant '${name}': ${wait}`));
      });
    } catch (error) {
      failures.push(ofTenant(error, name));
    }
  }
  if (failures.length > 0) throw failures[0];
  if (brought.length === 0) return [];
  const more = brought.length > NAMED ? ", …" : "";
  return [
    `${brought.length} tenants brought along: ${brought.slice(0, NAMED).join(", ")}${more}`,
    ...waits,
  ];
}

async function find(sql: postgres.Sql, name: string): Promise<TenantRow | null> {
  return (await readTenants(sql)).find((tenant) => tenant.name === name) ?? null;
}

async function bringTenant(
  sql: postgres.Sql,
  tenant: TenantRow,
  { tables, types, files: given }: Parameters<typeof bringTenants>[1],
  state: string,
): Promise<void> {
  const version = (text: string): string => text.slice(0, text.indexOf("."));
  const sameBuild = version(tenant.state) === version(state);
  const { prepared, run } = await asOwner(sql, async () => {
    const late = given === undefined
      ? []
      : (await readLedger(sql)).filter((file) => file.run > tenant.run);
    const files = (given ?? []).filter(({ name }) => late.some((file) => file.name === name));
    return {
      prepared: await prepareTenant(sql, tenant.name, { tables, types, files }, sameBuild),
      run: Math.max(tenant.run, ...late.map((file) => file.run)),
    };
  });
  try {
    await repeatRace(() =>
      sql.begin(async (tx) => {
        await tx.unsafe(`set local role ${OWNER_ROLE}`);
        await tx.unsafe(`set local search_path = pg_catalog, kontract, kontract_private, pg_temp`);
        await tx.unsafe(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
        const applied = await applyTables(tx, tenant.name, tables, types, prepared);
        await note(tx, tenant, applied, { state, run });
        for (const ptr of applied.freeze) await freeze(tx, ptr);
      })
    );
  } catch (error) {
    for (const rebuild of prepared.rebuilds.values()) await rebuild.drop().catch(() => {});
    throw error;
  }
}

async function note(
  tx: postgres.TransactionSql,
  { name, run: before }: TenantRow,
  { undo }: Applied,
  { state, run }: { readonly state: string; readonly run: number },
): Promise<void> {
  await tx`update kontract_private.tenants set state = ${state}, run = ${run} where name = ${name}`;
  if (run === before || undo.length === 0) return;
  await tx`insert into kontract_private.tenant_runs (tenant, run, undo)
    values (${name}, ${run}, ${JSON.stringify(undo)}::text::jsonb)`;
}
