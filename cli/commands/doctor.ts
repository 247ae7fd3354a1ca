/**
 * `kontract doctor`: looks at an app's database and the way to it, and says what to do.
 *
 * Exit code: 0 where nothing is wrong (warnings included), 1 where something is.
 *
 * @module
 */
import { AUTH_TABLES } from "../../auth/tables.ts";
import { KontractError } from "../../_internal/errors.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import { examine, type Finding } from "../../storage/maintenance/doctor/mod.ts";
import { type Command, folderOf } from "../command.ts";
import { openAppFolder } from "../dev/app_folder.ts";
import { buildApp } from "../dev/build_app.ts";
import { openDatabase } from "../dev/database.ts";
import { loadSecret } from "../dev/secret.ts";
import { readMigrationFiles } from "../migration_files.ts";

const MARKS: Readonly<Record<Finding["level"], string>> = {
  ok: "ok     ",
  warning: "warning",
  problem: "PROBLEM",
};

/** The command. */
export const command: Command = {
  usage: "doctor [folder]",
  summary: "Examines an app's database: rights, functions, schema, clocks, pooler, garbage.",
  options: { json: { type: "boolean", help: "Print the findings as JSON." } },
  positionals: 1,
  async run(input) {
    const app = await openAppFolder(folderOf(input));
    const secrets = parseSecrets(await loadSecret(app));
    const { manifest } = await buildApp(app, secrets, ["workers"]);
    const database = await openDatabase(app);
    try {
      if (database.adminUrl === null) {
        throw new KontractError(
          "CONFIG",
          "DATABASE_URL is set and DATABASE_ADMIN_URL is not: the gateway's role sees too little to examine " +
            "anything.",
        );
      }
      const findings = await examine({
        adminUrl: database.adminUrl,
        gatewayUrl: database.url,
        gatewayRole: database.gateway.role,
        prepares: !database.url.includes("prepare=false") &&
          Deno.env.get("KONTRACT_DATABASE_POOLED") !== "1",
        tables: [...AUTH_TABLES, ...manifest.tables],
        types: manifest.types,
        execs: manifest.execs,
        migrations: await readMigrationFiles(app.root),
      });
      console.log(input.values.json === true ? JSON.stringify(findings, null, 2) : text(findings));
      return findings.some(({ level }) => level === "problem") ? 1 : 0;
    } finally {
      await database.stop();
    }
  },
};

function text(findings: readonly Finding[]): string {
  return findings.map(({ level, check, message, fix }) =>
    `${MARKS[level]}  ${check.padEnd(12)}  ${message}${
      fix === null ? "" : `\n${" ".repeat(23)}→ ${fix}`
    }`
  ).join("\n");
}
