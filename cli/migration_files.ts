/**
 * An app's migration files: `migrations/<name>.ts`, in the order of their names.
 *
 * @module
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { KontractError } from "../_internal/errors.ts";
import type { Migration, MigrationFile } from "../storage/migrate/migration.ts";

/** Folder in the app's root. */
export const MIGRATIONS_FOLDER = "migrations";

/** All files of an app; none where the folder is missing. Nothing is run before it is asked for. */
export async function readMigrationFiles(root: string): Promise<readonly MigrationFile[]> {
  const folder = join(root, MIGRATIONS_FOLDER);
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (entry.isFile && entry.name.endsWith(".ts")) names.push(entry.name.slice(0, -3));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return await Promise.all(names.sort().map((name) => describeFile(folder, name)));
}

async function describeFile(folder: string, name: string): Promise<MigrationFile> {
  const path = join(folder, `${name}.ts`);
  // A checkout may change line ends; that is no other migration.
  const text = (await Deno.readTextFile(path)).replaceAll("\r\n", "\n");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const hash = new Uint8Array(digest).toHex();
  return {
    name,
    hash,
    load: async () => {
      const module = await import(`${pathToFileURL(path).href}?${hash}`) as { default?: Migration };
      return module.default as Migration;
    },
  };
}

/**
 * Writes a new file and answers with its path relative to `root`.
 *
 * @throws {KontractError} `CONFIG` for a name that cannot be one.
 */
export async function writeMigrationFile(
  root: string,
  options: { readonly name: string; readonly text: string; readonly at: Date },
): Promise<string> {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$/.test(options.name)) {
    throw new KontractError(
      "CONFIG",
      `'${options.name}' cannot be a migration's name: letters, digits, '-' and '_', at most 80.`,
    );
  }
  const stamp = options.at.toISOString().replace(/[-:T]/g, "").slice(0, 14);
  const file = `${stamp}_${options.name}.ts`;
  await Deno.mkdir(join(root, MIGRATIONS_FOLDER), { recursive: true });
  await Deno.writeTextFile(join(root, MIGRATIONS_FOLDER, file), options.text, { createNew: true });
  return `${MIGRATIONS_FOLDER}/${file}`;
}
