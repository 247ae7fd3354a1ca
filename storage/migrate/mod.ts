/**
 * Migration: brings a database to what this build declares. Idempotent; concurrent runs take turns; all
 * in one transaction but for the cluster-wide roles, so a crash leaves the old schema.
 *
 * @module
 */
import postgres from "postgres";
import type { TableDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import { KontractError } from "../../_internal/errors.ts";
import { tableKey } from "../table_key.ts";
import { CHANGE_FUNCTIONS } from "./changes.sql.ts";
import { COMMIT_FUNCTIONS } from "./commit.sql.ts";
import { applyTables } from "./data_tables.ts";
import { identifier, OWNER_ROLE } from "./definer.ts";
import { FILTER_HELPERS } from "./filter.sql.ts";
import { READ_FUNCTIONS } from "./read.sql.ts";
import {
  hardenDatabase,
  type Hardening,
  hardeningFindings,
  isAlone,
  makeSchemas,
  type MigrationFinding,
} from "./hardening.ts";
import { ensureRoles, gatewayGrants } from "./roles.ts";
import { COLLECT_FUNCTIONS } from "../maintenance/collect.sql.ts";
import { TABLES } from "./schema.sql.ts";
import { SESSION_FUNCTIONS, SESSION_HELPERS } from "./session.sql.ts";
import { type VerificationKey, verificationKey } from "./verification_keys.ts";

/** What a migration needs. */
export interface MigrateOptions {
  /** A role that may create roles and schemas; used for nothing else. */
  readonly adminUrl: string;
  /** The app's tables and Kontract's own (names that start with `_`). */
  readonly tables: readonly TableDef[];
  /** Named shapes the tables refer to. */
  readonly types?: ShapeTable;
  /** `KONTRACT_SECRET`, decoded, newest first. */
  readonly secrets: readonly Uint8Array[];
  /** Login role of the gateway; `kontract_gateway` where missing. One per database of a cluster. */
  readonly gatewayRole?: string;
  /** New password of that role; left as it is where missing. ASCII. */
  readonly gatewayPassword?: string;
  /** For the server's list of connections. */
  readonly appName?: string;
  /** Whether rights that others may rely on are taken away; `auto` where missing. */
  readonly hardening?: Hardening;
}

/** What a migration did. */
export interface MigrationReport {
  /** False where the database was up to date. */
  readonly changed: boolean;
  /** One sentence per change of a table. */
  readonly steps: readonly string[];
  readonly gatewayRole: string;
  /** What the gateway role still may do because the database gives it to everyone. */
  readonly findings: readonly MigrationFinding[];
}

export type { FindingCode, Hardening, MigrationFinding } from "./hardening.ts";

/** Default name of the gateway's login role. */
export const DEFAULT_GATEWAY_ROLE = "kontract_gateway";

const GENERIC_FUNCTIONS: readonly string[] = [
  ...SESSION_HELPERS,
  ...FILTER_HELPERS,
  ...SESSION_FUNCTIONS,
  ...READ_FUNCTIONS,
  ...CHANGE_FUNCTIONS,
  ...COMMIT_FUNCTIONS,
  ...COLLECT_FUNCTIONS,
];

/** Oldest server version that has everything used here. */
const OLDEST_SERVER = 140000;
const ROLE_RACE_ATTEMPTS = 5;

/**
 * Creates or updates roles, schemas, functions and tables.
 *
 * @throws {KontractError} `MIGRATION_REFUSED`, `CONFIG`, `DATABASE_UNAVAILABLE`
 */
export async function migrateUp(options: MigrateOptions): Promise<MigrationReport> {
  const gateway = options.gatewayRole ?? DEFAULT_GATEWAY_ROLE;
  const sql = postgres(options.adminUrl, {
    max: 1,
    prepare: false,
    onnotice: () => {},
    connect_timeout: 10,
    connection: { application_name: `kontract migrate ${options.appName ?? ""}`.trim() },
  });
  try {
    await checkServer(sql);
    await repeatRoleRace(() =>
      ensureRoles(sql, { name: gateway, password: options.gatewayPassword })
    );
    const keys = await Promise.all(options.secrets.map(verificationKey));
    return await repeatRoleRace(() =>
      sql.begin((tx) => migrate(tx, options, gateway, keys)) as Promise<MigrationReport>
    );
  } catch (cause) {
    throw translate(cause);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function checkServer(sql: postgres.Sql): Promise<void> {
  const [row] = await sql`
    select current_setting('server_version_num')::int as version, pg_is_in_recovery() as standby,
           current_setting('server_encoding') as encoding`;
  if (Number(row!.version) < OLDEST_SERVER) {
    throw new KontractError("CONFIG", "The server is too old: PostgreSQL 14 or later is needed.");
  }
  if (row!.standby === true) {
    throw new KontractError("CONFIG", "The server is a standby: connect to the primary.");
  }
  if (row!.encoding !== "UTF8") {
    throw new KontractError("CONFIG", "The database must have encoding UTF8.");
  }
}

/** Two databases of one cluster may alter the same role at the same moment (XX000, 23505). */
async function repeatRoleRace<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await work();
    } catch (error) {
      const { code, message } = error as { code?: unknown; message?: unknown };
      const raced = code === "XX000" && String(message).includes("concurrently updated");
      if (!raced || attempt >= ROLE_RACE_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20 * attempt));
    }
  }
}

async function migrate(
  tx: postgres.TransactionSql,
  options: MigrateOptions,
  gateway: string,
  keys: readonly VerificationKey[],
): Promise<MigrationReport> {
  await tx`select pg_advisory_xact_lock(hashtextextended('kontract migration', 0))`;
  const types = options.types ?? {};
  const generic = tableKey(JSON.stringify([GENERIC_FUNCTIONS, TABLES]));
  const state = tableKey(JSON.stringify([generic, options.tables, types, gateway]));
  const previous = await readMeta(tx);
  if (previous.get(`state ${gateway}`) === state && previous.get("state") === state) {
    await tx.unsafe(`set local role ${OWNER_ROLE}`);
    await installKeys(tx, keys);
    await tx.unsafe("reset role");
    if (options.hardening === "database") await hardenDatabase(tx, gateway);
    const findings = await hardeningFindings(tx, gateway);
    return { changed: false, steps: [], gatewayRole: gateway, findings };
  }
  // Only a database that is empty now is taken for Kontract's; once shared or in use, it is asked for.
  const hardening = options.hardening ?? "auto";
  const alone = hardening === "auto" && previous.size === 0 && await isAlone(tx, gateway);
  await makeSchemas(tx, gateway);
  if (alone || hardening === "database") await hardenDatabase(tx, gateway);
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  await tx.unsafe(`set local search_path = pg_catalog, kontract, kontract_private, pg_temp`);
  // PL/pgSQL has to be loaded before a function may name its settings.
  await tx.unsafe("do $do$ begin end $do$");
  if (previous.get("generic") !== generic) await dropFunctions(tx);
  for (const statement of TABLES) await tx.unsafe(statement);
  for (const statement of GENERIC_FUNCTIONS) await tx.unsafe(statement);
  await installKeys(tx, keys);
  const steps = await applyTables(tx, options.tables, types);
  for (const statement of gatewayGrants(gateway)) await tx.unsafe(statement);
  await grantFunctions(tx, gateway);
  await writeMeta(tx, { generic, state, [`state ${gateway}`]: state });
  if (steps.length > 0) {
    await tx`insert into kontract_private.migrations (steps) values (${
      JSON.stringify(steps)
    }::text::jsonb)`;
  }
  await tx.unsafe("reset role");
  const findings = await hardeningFindings(tx, gateway);
  return { changed: true, steps, gatewayRole: gateway, findings };
}

async function readMeta(tx: postgres.TransactionSql): Promise<ReadonlyMap<string, string>> {
  const [found] = await tx`select to_regclass('kontract_private.meta') is not null as yes`;
  if (found?.yes !== true) return new Map();
  await tx.unsafe(`set local role ${OWNER_ROLE}`);
  const rows = await tx`select name, value from kontract_private.meta`;
  await tx.unsafe("reset role");
  return new Map(rows.map((row) => [String(row.name), String(row.value)]));
}

async function writeMeta(
  tx: postgres.TransactionSql,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    await tx`insert into kontract_private.meta (name, value) values (${name}, ${value})
      on conflict (name) do update set value = excluded.value`;
  }
}

/** Another version of Kontract made them: signatures may differ, so all are made anew. */
async function dropFunctions(tx: postgres.TransactionSql): Promise<void> {
  await tx.unsafe(`do $do$ declare f regprocedure; begin
    for f in select p.oid from pg_proc p where p.pronamespace in
        (select n.oid from pg_namespace n where n.nspname in ('kontract', 'kontract_private')) loop
      execute format('drop function if exists %s cascade', f);
    end loop; end $do$`);
}

/** Replaces all verification keys: a secret that is gone verifies nothing any more. */
async function installKeys(
  tx: postgres.TransactionSql,
  keys: readonly VerificationKey[],
): Promise<void> {
  await tx`delete from kontract_private.keys
    where kid <> all (array(select jsonb_array_elements_text(${
    JSON.stringify(keys.map((key) => key.kid))
  }::text::jsonb)))`;
  for (const key of keys) {
    await tx`insert into kontract_private.keys (kid, header, ipad, opad)
      values (${key.kid}, ${key.header}, decode(${key.ipad.toHex()}, 'hex'), decode(${key.opad.toHex()}, 'hex'))
      on conflict (kid) do nothing`;
  }
}

/** EXECUTE one by one: on what the gateway calls and nothing else. */
async function grantFunctions(tx: postgres.TransactionSql, gateway: string): Promise<void> {
  const rows = await tx`
    select p.oid::regprocedure::text as signature from pg_proc p
     where p.pronamespace = 'kontract'::regnamespace order by 1`;
  for (const row of rows) {
    await tx.unsafe(`revoke all on function ${row.signature} from public`);
    await tx.unsafe(`grant execute on function ${row.signature} to ${identifier(gateway)}`);
  }
}

function translate(cause: unknown): unknown {
  if (cause instanceof KontractError) return cause;
  const code = String((cause as { code?: unknown }).code ?? "");
  if (/^(08...|57P0.|E[A-Z]+|CONN.*)$/.test(code)) {
    return new KontractError("DATABASE_UNAVAILABLE", undefined, { cause });
  }
  if (code === "42501") {
    return new KontractError(
      "CONFIG",
      "The admin connection may not do this: it must be able to create roles and schemas.",
      { cause },
    );
  }
  if (code.startsWith("28") || code === "3D000") {
    return new KontractError("CONFIG", "The admin connection string is not accepted.", { cause });
  }
  return cause;
}

/** The connection string of the gateway, made from the admin's. */
export function gatewayUrl(adminUrl: string, role: string, password?: string): string {
  const url = new URL(adminUrl);
  url.username = encodeURIComponent(role);
  url.password = encodeURIComponent(password ?? "");
  return url.href;
}
