/**
 * Brings every tenant along after `main`: each in a transaction of its own, so that no lock lasts longer
 * than for one tenant's tables and a run that is cut off goes on where it stopped.
 *
 * What takes long was done before anything changed (`prepare_run.ts`), so a tenant whose rows do not fit refuses
 * the whole run. A tenant that was made meanwhile, or is behind since an earlier run, is made ready here.
 *
 * @module
 */
import type postgres from "postgres";
import { repeatRace } from "./admin.ts";
import { type Applied, applyTables, type Prepared } from "./data_tables.ts";
import { OWNER_ROLE } from "./definer.ts";
import { showTables } from "./exec/role.sql.ts";
import { finishTenant } from "./finish.ts";
import { asOwner } from "./indexes.ts";
import { type AppliedFile, readLedger } from "./ledger.ts";
import type { Wanted } from "./prepare.ts";
import {
  dropPrepared,
  filesOf,
  isCurrent,
  isWhole,
  prepareTenant,
  type TenantGoal,
} from "./prepare_run.ts";
import { freeze } from "./rebuild.ts";
import { withTenantLock } from "./session_lock.ts";
import { Survey } from "./survey.ts";
import { laggingTenants, ofTenant, readTenant, type TenantRow } from "./tenant_rows.ts";

/** Longest wait for a lock on a table in use. */
const LOCK_TIMEOUT = "2s";
const NAMED = 10;

/**
 * Brings along who lags. One tenant that cannot be brought along keeps none of the others.
 *
 * @throws {KontractError} `MIGRATION_REFUSED`, `CONFIG`: the first failure, naming the tenant
 */
export async function bringTenants(
  sql: postgres.Sql,
  wanted: Wanted,
  goal: TenantGoal,
  ready: ReadonlyMap<string, Prepared>,
): Promise<readonly string[]> {
  const brought: string[] = [];
  const waits: string[] = [];
  const failures: unknown[] = [];
  const unused = new Map(ready);
  const survey = new Survey(wanted, "installed");
  const { lagging, ledger } = await asOwner(sql, async () => ({
    lagging: await laggingTenants(sql),
    ledger: await readLedger(sql),
  }));
  for (const { name } of lagging) {
    try {
      await withTenantLock(sql, name, async () => {
        const tenant = await asOwner(sql, () => readTenant(sql, name));
        if (tenant === null) return; // dropped meanwhile
        const prepared = await usable(sql, tenant, {
          wanted,
          goal,
          ledger,
          survey,
          ready: ready.get(name),
        });
        unused.delete(name);
        await bring(sql, tenant, { wanted, goal, ledger, prepared });
        brought.push(name);
        if (isWhole(wanted, prepared)) return;
        const left = await finishTenant(sql, name, prepared.unchanged);
        waits.push(...left.map((wait) => `tenant '${name}': ${wait}`));
      });
    } catch (error) {
      failures.push(ofTenant(error, name));
    }
  }
  await dropPrepared(unused.values());
  if (failures.length > 0) throw failures[0];
  if (brought.length === 0) return [];
  const names = brought.slice(0, NAMED).join(", ") + (brought.length > NAMED ? ", …" : "");
  return [
    `bring along ${brought.length} tenant${brought.length === 1 ? "" : "s"}: ${names}`,
    ...waits,
  ];
}

/** What was made ready where it still fits, or made now. */
async function usable(
  sql: postgres.Sql,
  tenant: TenantRow,
  { wanted, goal, ledger, survey, ready }: {
    readonly wanted: Wanted;
    readonly goal: TenantGoal;
    readonly ledger: readonly AppliedFile[];
    readonly survey: Survey;
    readonly ready: Prepared | undefined;
  },
): Promise<Prepared> {
  return await asOwner(sql, async () => {
    if (ready !== undefined && await isCurrent(sql, tenant.name, ready)) return ready;
    const files = filesOf(ledger, tenant, goal.files, []);
    const work = { wanted: { ...wanted, files }, expressions: "installed", survey } as const;
    return await prepareTenant(sql, tenant, work);
  });
}

async function bring(
  sql: postgres.Sql,
  tenant: TenantRow,
  { wanted, goal, ledger, prepared }: {
    readonly wanted: Wanted;
    readonly goal: TenantGoal;
    readonly ledger: readonly AppliedFile[];
    readonly prepared: Prepared;
  },
): Promise<void> {
  try {
    await repeatRace(() =>
      sql.begin(async (tx) => {
        await tx.unsafe(
          `set local role ${OWNER_ROLE}; set local lock_timeout = '${LOCK_TIMEOUT}';
           set local search_path = pg_catalog, kontract, kontract_private, pg_temp`,
        ).simple();
        const { tables, types } = wanted;
        const applied = await applyTables(tx, tenant.name, tables, types, prepared);
        await showTables(tx, tenant.name);
        await note(tx, tenant, applied, { goal, ledger });
        for (const ptr of applied.freeze) await freeze(tx, ptr);
      })
    );
  } catch (error) {
    await dropPrepared([prepared]);
    throw error;
  }
}

async function note(
  tx: postgres.TransactionSql,
  { name, run: before }: TenantRow,
  { undo }: Applied,
  { goal: { state, files }, ledger }: {
    readonly goal: TenantGoal;
    readonly ledger: readonly AppliedFile[];
  },
): Promise<void> {
  const runs = files === undefined ? [] : ledger.map(({ run }) => run);
  const run = Math.max(before, ...runs);
  await tx`update kontract_private.tenants set state = ${state}, run = ${run} where name = ${name}`;
  if (run === before || undo.length === 0) return;
  await tx`insert into kontract_private.tenant_runs (tenant, run, undo)
    values (${name}, ${run}, ${JSON.stringify(undo)}::text::jsonb)`;
}
