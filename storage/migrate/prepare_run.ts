/**
 * A run made ready for `main` and every tenant before anything changes, so that what one tenant's rows stand
 * in the way of is refused while all is as it was.
 *
 * @module
 */
import type postgres from "postgres";
import { DEFAULT_TENANT, isInstalled, readPtrs, readStored } from "./applied.ts";
import type { Prepared } from "./data_tables.ts";
import { OWNER_ROLE } from "./definer.ts";
import {
  asOwner,
  dropBuildExpressions,
  type ExpressionSource,
  installBuildExpressions,
} from "./indexes.ts";
import { type AppliedFile, readLedger } from "./ledger.ts";
import { type MigrationFile, NO_CHANGES } from "./migration.ts";
import { hear, prepareTables, type Wanted } from "./prepare.ts";
import { dropPhysical } from "./rebuild.ts";
import { LEDGER_TABLES } from "./schema.sql.ts";
import type { Statements } from "./statements.ts";
import { withTenantLock } from "./session_lock.ts";
import { Survey, type Surveyed } from "./survey.ts";
import { ofTenant, readTenant, readTenants, type TenantRow } from "./tenant_rows.ts";

/** Everything of a run, ready. */
export interface PreparedRun {
  readonly main: Prepared;
  /** Tenants that lag, by name. */
  readonly tenants: ReadonlyMap<string, Prepared>;
}

/** What tenants are brought to. */
export interface TenantGoal {
  /** Begins with the version of the functions and a dot. */
  readonly state: string;
  /** All files of the app; missing where the ledger is not looked at. */
  readonly files: readonly MigrationFile[] | undefined;
}

/**
 * Prepares a run. `sql` must be one connection that holds the migration lock.
 *
 * @throws {KontractError} `MIGRATION_REFUSED`
 */
export async function prepareRun(
  sql: postgres.Sql,
  wanted: Wanted,
  goal: TenantGoal,
): Promise<PreparedRun> {
  const made = new Map<string, Prepared>();
  const unchanged = new Set<string>();
  if (!(await isInstalled(sql))) {
    await hear(sql, wanted.files, []);
    return {
      main: { changes: NO_CHANGES, rebuilds: new Map(), unchanged, ptrs: "" },
      tenants: made,
    };
  }
  return await asOwner(sql, async () => {
    await openLedger(sql);
    await installBuildExpressions(sql);
    try {
      const stored = await readStored(sql);
      const main = await prepareTables(sql, { wanted, stored, expressions: "build", unchanged });
      made.set(DEFAULT_TENANT, main);
      const survey = new Survey(wanted, "build");
      const ledger = await readLedger(sql);
      for (const seen of await readTenants(sql)) {
        const { name } = seen;
        const files = filesOf(ledger, seen, goal.files, wanted.files);
        if (seen.state === goal.state && files.length === 0) continue;
        // Nothing to be made ready, nothing to be locked: that it is the same still is asked again later.
        const surveyed = await survey.look(sql, name);
        if (files.length === 0 && isWhole(wanted, surveyed)) {
          made.set(name, { changes: NO_CHANGES, rebuilds: new Map(), ...surveyed });
          continue;
        }
        await withTenantLock(sql, name, async () => {
          const tenant = await readTenant(sql, name);
          if (tenant === null) return; // dropped meanwhile
          const work = { wanted: { ...wanted, files }, expressions: "build", survey } as const;
          made.set(name, await prepareTenant(sql, tenant, work));
        });
      }
      made.delete(DEFAULT_TENANT);
      return { main, tenants: made };
    } catch (error) {
      await dropPrepared(made.values());
      throw error;
    } finally {
      await dropBuildExpressions(sql).catch(() => {});
    }
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

/** Whether all tables are as they should be. */
export function isWhole({ tables }: Wanted, { unchanged }: Pick<Surveyed, "unchanged">): boolean {
  return tables.every(({ name }) => unchanged.has(name));
}

/**
 * Prepares one tenant beside `main`. Tables that are as they should be are left alone. As the owner.
 *
 * @throws {KontractError} `MIGRATION_REFUSED`, naming the tenant
 */
export async function prepareTenant(
  sql: postgres.Sql,
  { name }: TenantRow,
  { wanted, expressions, survey }: {
    readonly wanted: Wanted;
    readonly expressions: ExpressionSource;
    readonly survey: Survey;
  },
): Promise<Prepared> {
  const { unchanged } = await survey.look(sql, name);
  const stored = await readStored(sql, name);
  try {
    return await prepareTables(sql, { wanted, stored, expressions, unchanged });
  } catch (error) {
    throw ofTenant(error, name);
  }
}

/** The files that a tenant has not had: those of runs it missed, and `pending`, in order. */
export function filesOf(
  ledger: readonly AppliedFile[],
  tenant: TenantRow,
  all: readonly MigrationFile[] | undefined,
  pending: readonly MigrationFile[],
): readonly MigrationFile[] {
  if (all === undefined) return [];
  const missed = ledger.filter(({ run }) => run > tenant.run);
  const names = new Set([...missed, ...pending].map(({ name }) => name));
  return all.filter(({ name }) => names.has(name)).sort((a, b) => a.name < b.name ? -1 : 1);
}

/** Removes what was made ready and will not be used. */
export async function dropPrepared(prepared: Iterable<Prepared>): Promise<void> {
  for (const { rebuilds } of prepared) {
    for (const rebuild of rebuilds.values()) await rebuild.drop().catch(() => {});
  }
}

/** Whether the tenant's tables are still those that were looked at. As the owner. */
export async function isCurrent(
  sql: Statements,
  tenant: string,
  { ptrs }: Prepared,
): Promise<boolean> {
  return await readPtrs(sql, tenant) === ptrs;
}
