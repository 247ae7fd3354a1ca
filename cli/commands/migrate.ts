/**
 * `kontract migrate up`: brings the database to what the app declares.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import { type Command, UsageError } from "../command.ts";
import { openAppFolder } from "../dev/app_folder.ts";
import { buildApp } from "../dev/build_app.ts";
import { openDatabase } from "../dev/database.ts";
import { migrateApp } from "../dev/migrate_app.ts";
import { loadSecret } from "../dev/secret.ts";

/** The command. */
export const command: Command = {
  usage: "migrate up [folder]",
  summary: "Builds an app and migrates its database (DATABASE_ADMIN_URL, or the embedded one).",
  options: {},
  positionals: 2,
  async run(input) {
    const [action, folder] = input.positionals;
    if (action !== "up") throw new UsageError("Say 'kontract migrate up [folder]'.");
    const app = await openAppFolder(folder ?? ".");
    const secrets = parseSecrets(await loadSecret(app));
    const built = await buildApp(app, secrets, ["workers"]);
    const database = await openDatabase(app);
    try {
      if (database.adminUrl === null) {
        throw new KontractError(
          "CONFIG",
          "DATABASE_URL is set and DATABASE_ADMIN_URL is not: a migration needs the admin's, since " +
            "the gateway's role owns nothing.",
        );
      }
      const steps = await migrateApp(database, built, secrets);
      console.log(steps.length === 0 ? "The database is up to date." : steps.join("\n"));
      return 0;
    } finally {
      await database.stop();
    }
  },
};
