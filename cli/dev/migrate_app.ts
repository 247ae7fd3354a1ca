/**
 * Brings an app's database to what a build declares: the app's tables and Kontract's own.
 *
 * @module
 */
import { AUTH_TABLES } from "../../auth/tables.ts";
import { migrateUp } from "../../storage/migrate/mod.ts";
import { readMigrationFiles } from "../migration_files.ts";
import type { BuiltApp } from "./build_app.ts";
import type { AppDatabase } from "./database.ts";

/** Migrates, with the files in `root`'s `migrations/`; returns one sentence per change. Does nothing where no admin URL is known. */
export async function migrateApp(
  database: Pick<AppDatabase, "adminUrl" | "gateway">,
  built: Pick<BuiltApp, "manifest">,
  secrets: readonly Uint8Array[],
  root: string,
): Promise<readonly string[]> {
  if (database.adminUrl === null) return [];
  const { manifest } = built;
  const { steps } = await migrateUp({
    adminUrl: database.adminUrl,
    tables: [...AUTH_TABLES, ...manifest.tables],
    types: manifest.types,
    execs: manifest.execs,
    secrets,
    migrations: await readMigrationFiles(root),
    gatewayRole: database.gateway.role,
    appName: manifest.app,
    ...(database.gateway.password === undefined
      ? {}
      : { gatewayPassword: database.gateway.password }),
  });
  return steps;
}
