/**
 * The doctor: looks at a database and the way to it, changes nothing, and says what to do.
 *
 * @module
 */
import type postgres from "postgres";
import type { ExecDef, TableDef } from "../../../_internal/manifest.ts";
import type { ShapeTable } from "../../../_internal/shape.ts";
import { KontractError } from "../../../_internal/errors.ts";
import { withAdmin } from "../../migrate/admin.ts";
import { isInstalled } from "../../migrate/applied.ts";
import { readMeta } from "../../migrate/bootstrap.ts";
import { OWNER_ROLE } from "../../migrate/definer.ts";
import type { MigrationFile } from "../../migrate/migration.ts";
import { lookAt } from "../../migrate/status.ts";
import { type Finding, ok, trouble } from "./finding.ts";
import { checkOwnTables } from "./own_table_checks.ts";
import { judgePooler, poolerMode } from "./pooler_check.ts";
import { checkPrivileges } from "./privilege_checks.ts";
import {
  checkData,
  checkFunctions,
  checkGarbage,
  checkQueries,
  checkSchema,
} from "./schema_checks.ts";
import { checkTenants } from "./tenant_checks.ts";
import { checkClock, checkServer, checkTransactions } from "./server_checks.ts";

export type { CheckName, Finding, FindingLevel } from "./finding.ts";
export { type PoolerMode, poolerMode } from "./pooler_check.ts";

/** What an examination needs. */
export interface DoctorOptions {
  readonly adminUrl: string;
  /** The gateway's connection string; null: only the database is looked at. */
  readonly gatewayUrl: string | null;
  readonly gatewayRole: string;
  /** True where the gateway would use prepared statements. */
  readonly prepares: boolean;
  readonly tables: readonly TableDef[];
  readonly types?: ShapeTable;
  /** The queries of `env.storage.exec`; none where missing. */
  readonly execs?: readonly ExecDef[];
  readonly migrations: readonly MigrationFile[];
  /** Milliseconds since the epoch; `Date.now` where missing. */
  readonly now?: () => number;
}

/** Examines; one finding at least for each check that could be made. */
export async function examine(options: DoctorOptions): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    findings.push(
      ...await withAdmin(
        { adminUrl: options.adminUrl, name: "kontract doctor" },
        (sql) => sql.begin("read only", (tx) => inside(tx, options)) as Promise<Finding[]>,
      ),
    );
  } catch (error) {
    findings.push(unreachable("admin's", error));
  }
  if (options.gatewayUrl !== null) {
    try {
      findings.push(judgePooler(await poolerMode(options.gatewayUrl), options.prepares));
    } catch (error) {
      findings.push(unreachable("gateway's", error));
    }
  }
  return findings;
}

async function inside(
  tx: postgres.TransactionSql,
  options: DoctorOptions,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [
    ...await checkServer(tx, options.gatewayRole),
    await checkClock(tx, options.now ?? Date.now),
    ...await checkTransactions(tx),
  ];
  if (!(await isInstalled(tx))) {
    const message = "Kontract is not installed in this database.";
    return [...findings, trouble("schema", message, "Run 'kontract migrate up'.")];
  }
  findings.push(...await checkPrivileges(tx, options.gatewayRole));
  const meta = await readMeta(tx);
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  const gone = await checkData(tx);
  if (gone.length > 0) return [...findings, ...gone];
  const status = await lookAt(tx, options);
  findings.push(
    await checkFunctions(tx, meta),
    ...await checkOwnTables(tx),
    ...await checkSchema(tx, status),
    ...await checkQueries(tx, meta, options.execs ?? []),
    ...await checkTenants(tx, status),
    status.rebase === null ? ok("restore", "The data were written in this database.") : trouble(
      "restore",
      `The data are not at home: ${status.rebase}.`,
      "Run 'kontract migrate rebase'.",
    ),
    await checkGarbage(tx, options.adminUrl),
  );
  await tx.unsafe("reset role");
  return findings;
}

function unreachable(whose: string, error: unknown): Finding {
  const why = error instanceof KontractError
    ? error.message
    : `The server says: ${(error as { message?: unknown }).message ?? "nothing"}.`;
  return trouble(
    "server",
    `The ${whose} connection does not work. ${why}`,
    "Check its connection string.",
  );
}
