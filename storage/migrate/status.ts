/**
 * Where a database stands, without changing it.
 *
 * @module
 */
import type postgres from "postgres";
import type { TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { withAdmin } from "./admin.ts";
import { describeApplied, readStored, undeclaredTables } from "./applied.ts";
import { readMeta } from "./bootstrap.ts";
import { OWNER_ROLE } from "./definer.ts";
import { IDENTITY_NOTE, rebaseReason } from "./identity.ts";
import { compareFiles, type FileStatus, readLedger } from "./ledger.ts";
import type { MigrationFile } from "./migration.ts";
import { type MigrationProblem, planTable } from "./plan.ts";
import { laggingTenants } from "./tenant_rows.ts";

/** What a status needs. */
export interface StatusOptions {
  readonly adminUrl: string;
  readonly tables: readonly TableDef[];
  readonly types?: ShapeTable;
  readonly migrations: readonly MigrationFile[];
}

/** Where a database stands. */
export interface MigrationStatus {
  /** False where Kontract was never installed here. */
  readonly installed: boolean;
  readonly files: readonly FileStatus[];
  /** What the next `up` changes by itself. */
  readonly steps: readonly string[];
  /** What it would refuse; a pending file may be the answer. */
  readonly problems: readonly MigrationProblem[];
  /** Tables that the source does not declare any more; they are kept. */
  readonly undeclared: readonly string[];
  /** Tenants that the last migration has not reached; the next `up` brings them along. */
  readonly lagging: readonly string[];
  /** Why `migrate rebase` must come first, or null. */
  readonly rebase: string | null;
}

/** Looks, in one transaction that cannot write. */
export async function migrationStatus(options: StatusOptions): Promise<MigrationStatus> {
  return await withAdmin(
    { adminUrl: options.adminUrl, name: "kontract migrate status" },
    (sql) => sql.begin("read only", (tx) => lookAt(tx, options)) as Promise<MigrationStatus>,
  );
}

/** As {@link migrationStatus}, in a transaction of the admin. */
export async function lookAt(
  tx: postgres.TransactionSql,
  { adminUrl, tables, types = {}, migrations }: StatusOptions,
): Promise<MigrationStatus> {
  const meta = await readMeta(tx);
  if (meta.size === 0) {
    return {
      installed: false,
      files: compareFiles(migrations, []),
      steps: tables.map(({ name }) => `create table '${name}'`),
      problems: [],
      undeclared: [],
      lagging: [],
      rebase: null,
    };
  }
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  const files = compareFiles(migrations, await readLedger(tx));
  const stored = await readStored(tx);
  const steps: string[] = [];
  const problems: MigrationProblem[] = [];
  for (const table of tables) {
    const row = stored.find(({ id }) => id === table.name);
    const plan = planTable(table, types, row === undefined ? null : await describeApplied(tx, row));
    steps.push(...plan.steps);
    problems.push(...plan.problems);
  }
  return {
    installed: true,
    files,
    steps,
    problems,
    undeclared: undeclaredTables(stored, tables),
    lagging: (await laggingTenants(tx)).map(({ name }) => name),
    rebase: await rebaseReason(tx, adminUrl, meta.get(IDENTITY_NOTE)),
  };
}
