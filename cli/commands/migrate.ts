/**
 * `kontract migrate`: brings the database to what the app declares, and back.
 *
 * @module
 */
import { AUTH_TABLES } from "../../auth/tables.ts";
import { KontractError } from "../../_internal/errors.ts";
import type { Manifest } from "../../_internal/manifest.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import { migrateDown } from "../../storage/migrate/down.ts";
import { proposeMigration } from "../../storage/migrate/proposal.ts";
import { rebase } from "../../storage/migrate/rebase.ts";
import { type MigrationStatus, migrationStatus } from "../../storage/migrate/status.ts";
import { type Command, type CommandInput, UsageError } from "../command.ts";
import { type AppFolder, openAppFolder } from "../dev/app_folder.ts";
import { buildApp } from "../dev/build_app.ts";
import { type AppDatabase, openDatabase } from "../dev/database.ts";
import { migrateApp } from "../dev/migrate_app.ts";
import { loadSecret } from "../dev/secret.ts";
import { readMigrationFiles, writeMigrationFile } from "../migration_files.ts";

interface Situation {
  readonly app: AppFolder;
  readonly secrets: readonly Uint8Array[];
  readonly database: AppDatabase & { readonly adminUrl: string };
  readonly input: CommandInput;
}

type Action = (situation: Situation, name: string) => Promise<number>;

const ACTIONS: Readonly<Record<string, Action>> = { up, down, status, create, rebase: rebaseData };

/** The command. */
export const command: Command = {
  usage: "migrate up|down|status|create <name>|rebase [folder]",
  summary: "Migrates an app's database (DATABASE_ADMIN_URL, or the embedded one), and back.",
  options: {
    json: { type: "boolean", help: "With 'status': print JSON." },
    force: { type: "boolean", help: "With 'rebase': also where none is needed." },
  },
  positionals: 3,
  async run(input) {
    const [action = "", ...rest] = input.positionals;
    const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    const name = action === "create" ? rest.shift() : "";
    if (run === undefined || name === undefined || rest.length > 1) {
      throw new UsageError(`Say 'kontract ${command.usage}'.`);
    }
    const app = await openAppFolder(rest[0] ?? ".");
    const secrets = parseSecrets(await loadSecret(app));
    const database = await openDatabase(app);
    try {
      const { adminUrl } = database;
      if (adminUrl === null) {
        throw new KontractError(
          "CONFIG",
          "DATABASE_URL is set and DATABASE_ADMIN_URL is not: a migration needs the admin's, since " +
            "the gateway's role owns nothing.",
        );
      }
      return await run({ app, secrets, database: { ...database, adminUrl }, input }, name);
    } finally {
      await database.stop();
    }
  },
};

async function up({ app, secrets, database }: Situation): Promise<number> {
  const built = await buildApp(app, secrets, ["workers"]);
  const { steps, notes } = await migrateApp(database, built, secrets, app.root);
  console.log(steps.length === 0 ? "The database is up to date." : steps.join("\n"));
  for (const note of notes) console.log(`note: ${note}`);
  return 0;
}

async function down({ app, database }: Situation): Promise<number> {
  const { files, steps } = await migrateDown({
    adminUrl: database.adminUrl,
    gatewayRole: database.gateway.role,
    migrations: await readMigrationFiles(app.root),
  });
  const lines = [...files.map((name) => `rolled back '${name}'`), ...steps];
  console.log(lines.length === 0 ? "No migration file was ever applied here." : lines.join("\n"));
  return 0;
}

async function status({ app, secrets, database, input }: Situation): Promise<number> {
  const { manifest } = await buildApp(app, secrets, ["workers"]);
  const found = await look(app, database.adminUrl, manifest);
  console.log(input.values.json === true ? JSON.stringify(found, null, 2) : sentences(found));
  const broken = found.files.some(({ state }) => state === "changed" || state === "missing");
  const pending = found.files.some(({ state }) => state === "pending");
  return broken || found.rebase !== null || (found.problems.length > 0 && !pending) ? 1 : 0;
}

async function create({ app, secrets, database }: Situation, name: string): Promise<number> {
  const { manifest } = await buildApp(app, secrets, ["workers"]);
  const { problems, undeclared } = await look(app, database.adminUrl, manifest);
  const text = proposeMigration({
    problems,
    undeclared: undeclared.filter((table) => !table.startsWith("_")),
    tables: manifest.tables,
    types: manifest.types,
    specifier: "@kontract/kontract",
  });
  const file = await writeMigrationFile(app.root, { name, text, at: new Date() });
  const found = problems.length === 0 ? "" : `, with ${problems.length} change(s) to decide on`;
  console.log(`Wrote ${file}${found}.`);
  return 0;
}

async function rebaseData({ database, input }: Situation): Promise<number> {
  const { unneeded, steps } = await rebase({
    adminUrl: database.adminUrl,
    gatewayRole: database.gateway.role,
    force: input.values.force === true,
  });
  if (unneeded) {
    console.error(
      "Nothing was done: these data belong to this database, and a rebase ends every session, snapshot and " +
        "resume token. Where an older dump was put back into the same database: 'kontract migrate rebase --force'.",
    );
    return 1;
  }
  console.log(steps.length === 0 ? "There is nothing to rebase here." : steps.join("\n"));
  if (steps.length > 0) console.log("Now run 'kontract migrate up', which gives rights anew.");
  return 0;
}

async function look(
  app: AppFolder,
  adminUrl: string,
  manifest: Manifest,
): Promise<MigrationStatus> {
  return await migrationStatus({
    adminUrl,
    tables: [...AUTH_TABLES, ...manifest.tables],
    types: manifest.types,
    migrations: await readMigrationFiles(app.root),
  });
}

function sentences(status: MigrationStatus): string {
  const lines = status.files.map(({ name, state, at }) =>
    `${state.padEnd(8)} ${name}${at === null ? "" : `  ${at.toISOString()}`}`
  );
  if (status.rebase !== null) {
    lines.push(`'kontract migrate rebase' must come first: ${status.rebase}.`);
  }
  lines.push(...status.problems.map(({ message }) => `needs a migration: ${message}`));
  lines.push(...status.steps.map((step) => `next: ${step}`));
  lines.push(...status.lagging.map((name) => `next: bring along tenant '${name}'`));
  lines.push(...status.undeclared.map((name) => `kept: table '${name}' is not declared any more`));
  return lines.length === 0 ? "The database is up to date." : lines.join("\n");
}
