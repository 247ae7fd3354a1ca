/**
 * Brings an app's database to what a build declares: the app's tables and Kontract's own.
 *
 * @module
 */
import type { Manifest } from "../../_internal/manifest.ts";
import { AUTH_TABLES } from "../../auth/tables.ts";
import { reachableTypes } from "../../compiler/emit/reachable.ts";
import type { MigrationFile } from "../../storage/migrate/migration.ts";
import { migrateUp } from "../../storage/migrate/mod.ts";
import { readMigrationFiles } from "../migration_files.ts";
import type { BuiltApp } from "./build_app.ts";
import type { AppDatabase } from "./database.ts";

/** What a migration has to say. */
export interface Migrated {
  /** One sentence per change. */
  readonly steps: readonly string[];
  /**
   * After a change: what the gateway's role may do beyond what Kontract gave it, and what mends it; tables that are
   * kept though no source declares them.
   */
  readonly notes: readonly string[];
}

const LATER =
  "A later build has migrated this database: its tables, rights and indexes are left as they are. " +
  "To bring them back to what this build declares: 'kontract migrate up'.";

/**
 * Migrates, with the files in `root`'s `migrations/`. Does nothing where no admin URL is known, nor where a later
 * build has migrated and this one may not `goBack`.
 */
export async function migrateApp(
  database: Pick<AppDatabase, "adminUrl" | "gateway" | "hardening">,
  built: Pick<BuiltApp, "manifest">,
  secrets: readonly Uint8Array[],
  root: string,
  goBack = true,
): Promise<Migrated> {
  if (database.adminUrl === null) return { steps: [], notes: [] };
  const { manifest } = built;
  const { changed, later, steps, undeclared, findings } = await migrateUp({
    hardening: database.hardening,
    adminUrl: database.adminUrl,
    tables: [...AUTH_TABLES, ...manifest.tables],
    types: manifest.types,
    execs: manifest.execs,
    secrets,
    migrations: await readMigrationFiles(root),
    gatewayRole: database.gateway.role,
    appName: manifest.app,
    mayGoBack: goBack,
    ...(database.gateway.password === undefined
      ? {}
      : { gatewayPassword: database.gateway.password }),
  });
  if (later) return { steps, notes: [LATER] };
  const rights = changed ? findings.map(({ message, fix }) => `${message} To mend it: ${fix}`) : [];
  const kept = undeclared.filter((name) => !name.startsWith("_")).map(keptNote);
  return { steps, notes: [...rights, ...kept] };
}

function keptNote(table: string): string {
  return `Table '${table}' is not declared any more; its rows are kept. To drop them, or to give them to a table ` +
    "that is not there yet: 'kontract migrate create <name>'.";
}

/**
 * Equal as long as there is nothing to migrate: tables with the types that they reach, queries and files. Where they
 * stand in the sources means nothing, nor does a type that no table has.
 */
export function migrationState(
  { tables, types, execs }: Pick<Manifest, "tables" | "types" | "execs">,
  files: readonly MigrationFile[],
): string {
  const shapes = tables.flatMap(({ fields }) => fields.map(({ shape }) => shape));
  return JSON.stringify([
    tables.map((table) => ({ ...table, source: null })),
    reachableTypes(shapes, types),
    execs.map(({ id }) => id),
    files,
  ]);
}
