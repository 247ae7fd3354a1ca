/**
 * Migration: brings a database to what this build declares. Idempotent; concurrent runs take turns.
 *
 * What takes long (copies, indexes) happens beside the running app first; then one transaction changes
 * everything at once; then what is left over is tidied up. A crash before the transaction's end leaves
 * the old schema, and the next run drops or completes what was half made.
 *
 * @module
 */
import type postgres from "postgres";
import type { ExecDef, TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { KontractError } from "../../_internal/errors.ts";
import { isStorableText } from "../../_internal/storable_text.ts";
import { tableKey } from "../table_key.ts";
import { repeatRace, withAdmin } from "./admin.ts";
import { readStored, undeclaredTables } from "./applied.ts";
import {
  BUILD_NOTE,
  dropFunctions,
  functionsDigest,
  grantFunctions,
  installKeys,
  noteBuild,
  readMeta,
  writeMeta,
} from "./bootstrap.ts";
import { bringTenants } from "./bring_tenants.ts";
import { CHANGE_FUNCTIONS } from "./changes.sql.ts";
import { COMMIT_FUNCTIONS } from "./commit.sql.ts";
import { applyTables, DEFAULT_TENANT, type Prepared, SAMPLE_FUNCTIONS } from "./data_tables.ts";
import { OWNER_ROLE } from "./definer.ts";
import { EXEC_FUNCTIONS, EXEC_TABLES } from "./exec/exec.sql.ts";
import { execsDigest, installExecs } from "./exec/install.ts";
import { installKept } from "./exec/kept.ts";
import { installRun, RUN_FUNCTION, showTables } from "./exec/role.sql.ts";
import { FILTER_HELPERS } from "./filter.sql.ts";
import { finish } from "./finish.ts";
import { IDENTITY_FUNCTIONS } from "./identity.sql.ts";
import {
  databaseIdentity,
  foreignReason,
  IDENTITY_NOTE,
  isDisowned,
  needsRebase,
} from "./identity.ts";
import { pendingFiles, readLedger, recordRun } from "./ledger.ts";
import type { MigrationFile } from "./migration.ts";
import { dropPrepared, prepareRun } from "./prepare_run.ts";
import { READ_FUNCTIONS } from "./read.sql.ts";
import { freeze } from "./rebuild.ts";
import {
  hardenDatabase,
  type Hardening,
  hardeningFindings,
  isAlone,
  makeSchemas,
  type MigrationFinding,
} from "./hardening.ts";
import { RETIRED_FUNCTIONS } from "./retired.sql.ts";
import { ensureRoles, gatewayGrants } from "./roles.ts";
import { COLLECT_FUNCTIONS, COLLECT_HELPERS } from "../maintenance/collect.sql.ts";
import { TABLES } from "./schema.sql.ts";
import { SESSION_FUNCTIONS, SESSION_HELPERS } from "./session.sql.ts";
import { asOwner } from "./indexes.ts";
import { withMigrationLock } from "./session_lock.ts";
import { writeTemplates } from "./templates.ts";
import { TENANT_COMMIT_FUNCTIONS } from "./tenant_commit.sql.ts";
import { TENANT_PUT_FUNCTIONS } from "./tenant_put.sql.ts";
import { TENANT_PUT_MANY_FUNCTIONS } from "./tenant_put_many.sql.ts";
import { TENANT_READ_FUNCTIONS, TENANT_READ_HELPERS } from "./tenant_read.sql.ts";
import { TENANT_FUNCTIONS, TENANT_HELPERS, TENANTS_LOCK } from "./tenants.sql.ts";
import { type VerificationKey, verificationKey } from "./verification_keys.ts";

/** What a migration needs. */
export interface MigrateOptions {
  /** A role that may create roles and schemas; used for nothing else. */
  readonly adminUrl: string;
  /** The app's tables and Kontract's own (names that start with `_`). */
  readonly tables: readonly TableDef[];
  /** Named shapes the tables refer to. */
  readonly types?: ShapeTable;
  /** The queries of `env.storage.exec`; none where missing. */
  readonly execs?: readonly ExecDef[];
  /** `KONTRACT_SECRET`, decoded, newest first. */
  readonly secrets: readonly Uint8Array[];
  /** Login role of the gateway; `kontract_gateway` where missing. One per database of a cluster. */
  readonly gatewayRole?: string;
  /** New password of that role; left as it is where missing. ASCII. */
  readonly gatewayPassword?: string;
  /** For the server's list of connections. */
  readonly appName?: string;
  /** The app's migration files. Missing: the ledger is not looked at. */
  readonly migrations?: readonly MigrationFile[];
  /** Whether rights that others may rely on are taken away; `auto` where missing. */
  readonly hardening?: Hardening;
  /**
   * Whether a build from before the one that migrated last may bring the database back to what it declares; true
   * where missing. A server that starts says false: in a rolling deploy it may be one of the old ones.
   */
  readonly mayGoBack?: boolean;
}

/** What a migration did. */
export interface MigrationReport {
  /** False where the database was up to date. */
  readonly changed: boolean;
  /** True where a later build has migrated the database and it was left as it is. */
  readonly later: boolean;
  /** One sentence per change of a table. */
  readonly steps: readonly string[];
  /** After a change: tables that the source does not declare any more; they are kept. */
  readonly undeclared: readonly string[];
  readonly gatewayRole: string;
  /** What the gateway role still may do because the database gives it to everyone. */
  readonly findings: readonly MigrationFinding[];
}

export { gatewayUrl } from "./admin.ts";
export type { FindingCode, Hardening, MigrationFinding } from "./hardening.ts";

/** Default name of the gateway's login role. */
export const DEFAULT_GATEWAY_ROLE = "kontract_gateway";

const UNCHANGED = { changed: false, later: false, steps: [], undeclared: [] };

const GENERIC_FUNCTIONS: readonly string[] = [
  ...SESSION_HELPERS,
  ...FILTER_HELPERS,
  ...SESSION_FUNCTIONS,
  ...RETIRED_FUNCTIONS,
  ...IDENTITY_FUNCTIONS,
  ...READ_FUNCTIONS,
  ...EXEC_FUNCTIONS,
  ...CHANGE_FUNCTIONS,
  ...COMMIT_FUNCTIONS,
  ...TENANT_READ_HELPERS,
  ...TENANT_READ_FUNCTIONS,
  ...TENANT_PUT_FUNCTIONS,
  ...TENANT_PUT_MANY_FUNCTIONS,
  ...TENANT_COMMIT_FUNCTIONS,
  ...TENANT_HELPERS,
  ...TENANT_FUNCTIONS,
  ...COLLECT_HELPERS,
  ...COLLECT_FUNCTIONS,
];

/** Identity of everything that is installed as functions. */
export const FUNCTIONS_VERSION: string = tableKey(
  JSON.stringify([GENERIC_FUNCTIONS, RUN_FUNCTION, TABLES, EXEC_TABLES, SAMPLE_FUNCTIONS]),
);

/** Longest wait for a lock on a table in use: whoever comes after waits as long. */
const LOCK_TIMEOUT = "2s";

/**
 * Creates or updates roles, schemas, functions and tables.
 *
 * @throws {KontractError} `MIGRATION_REFUSED`, `CONFIG`, `DATABASE_UNAVAILABLE`
 */
export async function migrateUp(options: MigrateOptions): Promise<MigrationReport> {
  demandStorable(options);
  const gateway = options.gatewayRole ?? DEFAULT_GATEWAY_ROLE;
  const name = `kontract migrate ${options.appName ?? ""}`.trim();
  return await withAdmin({ adminUrl: options.adminUrl, name }, async (sql) => {
    await repeatRace(() => ensureRoles(sql, { name: gateway, password: options.gatewayPassword }));
    const keys = await Promise.all(options.secrets.map(verificationKey));
    return await withMigrationLock(sql, () => run(sql, options, gateway, keys));
  });
}

/** A name or a literal may be text that PostgreSQL cannot hold. */
function demandStorable({ tables, types = {} }: MigrateOptions): void {
  const check = (what: string, value: unknown): void => {
    JSON.stringify(value, (key, inner) => {
      const texts = typeof inner === "string" ? [key, inner] : [key];
      if (texts.every(isStorableText)) return inner;
      throw new KontractError(
        "MIGRATION_REFUSED",
        `${what} has a name or a value with a NUL or half of a surrogate pair, which PostgreSQL cannot store.`,
      );
    });
  };
  for (const table of tables) {
    check(`Table '${table.name}' (${table.source.file}:${table.source.line})`, table);
  }
  for (const [name, shape] of Object.entries(types)) check(`Type '${name}'`, shape);
}

async function run(
  sql: postgres.Sql,
  options: MigrateOptions,
  gateway: string,
  keys: readonly VerificationKey[],
): Promise<MigrationReport> {
  if (await isDisowned(sql)) throw needsRebase("they were restored without their roles");
  const files = options.migrations === undefined
    ? []
    : pendingFiles(options.migrations, await asOwner(sql, () => readLedger(sql)));
  if (options.mayGoBack === false && await isEarlier(sql, options)) {
    return { ...UNCHANGED, later: true, gatewayRole: gateway, findings: [] };
  }
  const { tables, types = {} } = options;
  const wanted = { tables, types, files };
  const goal = { state: tenantState(options), files: options.migrations };
  const prepared = await prepareRun(sql, wanted, goal);
  let report: MigrationReport;
  try {
    report = await repeatRace(() =>
      sql.begin((tx) =>
        migrate(tx, options, gateway, { keys, files, prepared: prepared.main })
      ) as Promise<
        MigrationReport
      >
    );
  } catch (error) {
    await dropPrepared([prepared.main, ...prepared.tenants.values()]);
    throw error;
  }
  const more = [
    ...await finish(sql),
    ...await bringTenants(sql, wanted, goal, prepared.tenants),
  ];
  return more.length === 0
    ? report
    : { ...report, changed: true, steps: [...report.steps, ...more] };
}

/** What tenants are brought to: see `bring_tenants.ts`. */
function tenantState({ tables, types = {}, execs = [] }: MigrateOptions): string {
  const queries = execs.map(({ id }) => id);
  return `${FUNCTIONS_VERSION}.${tableKey(JSON.stringify([tables, types, queries]))}`;
}

/** Whether the database has been what this build declares, and a build after it has migrated since. */
async function isEarlier(sql: postgres.Sql, options: MigrateOptions): Promise<boolean> {
  const notes = await sql.begin(readMeta) as ReadonlyMap<string, string>;
  const last = notes.get("tenants") ?? "";
  const state = tenantState(options);
  // Empty after a rollback, which has named no build to be the last.
  return last !== "" && last !== state && notes.has(`${BUILD_NOTE}${state}`);
}

interface Run {
  readonly keys: readonly VerificationKey[];
  readonly files: readonly MigrationFile[];
  readonly prepared: Prepared;
}

async function migrate(
  tx: postgres.TransactionSql,
  options: MigrateOptions,
  gateway: string,
  { keys, files, prepared }: Run,
): Promise<MigrationReport> {
  const { types = {}, execs = [] } = options;
  const state = tableKey(
    JSON.stringify([FUNCTIONS_VERSION, options.tables, types, execs, gateway]),
  );
  const previous = await readMeta(tx);
  const identity = await databaseIdentity(tx);
  const foreign = foreignReason(previous.get(IDENTITY_NOTE), identity);
  if (foreign !== null) throw needsRebase(foreign);
  const current = previous.get(`state ${gateway}`) === state && previous.get("state") === state;
  if (current && files.length === 0) {
    await tx.unsafe(`set local role ${OWNER_ROLE}`);
    await installKeys(tx, keys);
    await tx.unsafe("reset role");
    if (options.hardening === "database") await hardenDatabase(tx, gateway);
    const findings = await hardeningFindings(tx, gateway);
    return { ...UNCHANGED, gatewayRole: gateway, findings };
  }
  await tx.unsafe(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
  await tx.unsafe(`select pg_advisory_xact_lock(${TENANTS_LOCK})`);
  // Only a database that is empty now is taken for Kontract's; once shared or in use, it is asked for.
  const hardening = options.hardening ?? "auto";
  const alone = hardening === "auto" && previous.size === 0 && await isAlone(tx, gateway);
  await makeSchemas(tx, gateway);
  if (alone || hardening === "database") await hardenDatabase(tx, gateway);
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  await tx.unsafe(`set local search_path = pg_catalog, kontract, kontract_private, pg_temp`);
  if (previous.get("generic") !== FUNCTIONS_VERSION) await dropFunctions(tx);
  for (const statement of [...TABLES, ...EXEC_TABLES]) await tx.unsafe(statement);
  for (const statement of GENERIC_FUNCTIONS) await tx.unsafe(statement);
  await installRun(tx);
  await installKeys(tx, keys);
  const applied = await applyTables(tx, DEFAULT_TENANT, options.tables, types, prepared);
  await writeTemplates(tx, options.tables.map((table) => ({ table, types })));
  await installExecs(tx, execs, options.tables, types);
  await showTables(tx, DEFAULT_TENANT);
  await installKept(tx, execs);
  for (const statement of gatewayGrants(gateway)) await tx.unsafe(statement);
  await grantFunctions(tx, gateway);
  await writeMeta(tx, {
    generic: FUNCTIONS_VERSION,
    state,
    [`state ${gateway}`]: state,
    tenants: tenantState(options),
    [IDENTITY_NOTE]: identity,
    functions: await functionsDigest(tx),
    execs: await execsDigest(tx),
  });
  await noteBuild(tx, tenantState(options));
  const steps = [...files.map(({ name }) => `migration '${name}'`), ...applied.steps];
  await recordRun(tx, steps, applied.undo, files);
  const undeclared = undeclaredTables(await readStored(tx), options.tables);
  await tx.unsafe("reset role");
  const findings = await hardeningFindings(tx, gateway);
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  for (const ptr of applied.freeze) await freeze(tx, ptr);
  return { changed: true, later: false, steps, undeclared, gatewayRole: gateway, findings };
}
