/**
 * `kontract gc`: removes what no snapshot and no resume token can see any more, on demand. A deployed
 * app does the same once a minute.
 *
 * Runs as the gateway, under a system session: it needs `DATABASE_URL` and `KONTRACT_SECRET`, no admin.
 *
 * @module
 */
import { DatabaseTokenIssuer } from "../../auth/database_token.ts";
import { parseSecrets } from "../../_internal/keys.ts";
import { storageEngine } from "../../storage/engine.ts";
import {
  collectGarbage,
  GARBAGE_LIMITS,
  type GarbageReport,
} from "../../storage/maintenance/garbage.ts";
import { refusedGateway } from "../../runtime/session_cache.ts";
import { DEFAULT_TENANT } from "../../storage/migrate/data_tables.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import { type Command, type CommandInput, folderOf, UsageError } from "../command.ts";
import { openAppFolder } from "../dev/app_folder.ts";
import { openDatabase } from "../dev/database.ts";
import { loadSecret } from "../dev/secret.ts";

const MINUTE = 60_000;

/** The command. */
export const command: Command = {
  usage: "gc [folder]",
  summary: "Removes old versions of rows that nobody can see any more, and what else has expired.",
  options: {
    retention: {
      type: "string",
      value: "MINUTES",
      help: "Keep what was closed within this time: 60 where missing, at least 5.",
    },
    json: { type: "boolean", help: "Print the report as JSON." },
  },
  positionals: 1,
  async run(input) {
    const retentionMs = retentionOf(input);
    const app = await openAppFolder(folderOf(input));
    const secrets = parseSecrets(await loadSecret(app));
    const database = await openDatabase(app);
    try {
      const report = await collect(database.url, secrets, retentionMs);
      console.log(input.values.json === true ? JSON.stringify(report) : sentence(report));
      return report.busy ? 1 : 0;
    } finally {
      await database.stop();
    }
  },
};

async function collect(
  url: string,
  secrets: readonly Uint8Array[],
  retentionMs: number,
): Promise<GarbageReport> {
  const database = postgresDatabase({ url, max: 1, prepare: false, appName: "kontract gc" });
  try {
    const issuer = new DatabaseTokenIssuer({ secrets, clock: Date.now });
    const token = await issuer.mint({ system: true, tenant: DEFAULT_TENANT });
    const session = await storageEngine({ database, tables: [] }).openSession(token).catch(
      (error: unknown) => {
        throw refusedGateway(error) ?? error;
      },
    );
    return await collectGarbage(database, {
      session,
      retentionMs,
      rows: Number.MAX_SAFE_INTEGER,
      budgetMs: 10 * MINUTE,
    });
  } finally {
    await database.close();
  }
}

function retentionOf(input: CommandInput): number {
  const text = input.values.retention;
  if (typeof text !== "string") return GARBAGE_LIMITS.retentionMs;
  const minutes = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
  const [least, most] = [GARBAGE_LIMITS.shortestRetentionMs, GARBAGE_LIMITS.longestRetentionMs];
  if (minutes * MINUTE >= least && minutes * MINUTE <= most) return minutes * MINUTE;
  throw new UsageError(
    `--retention must be from ${least / MINUTE} to ${most / MINUTE} minutes: it is '${text}'.`,
  );
}

function sentence(report: GarbageReport): string {
  if (report.busy) return "Another run is under way.";
  if (report.horizon === null) {
    return `Nothing is old enough yet: the first marker is younger than the retention. ` +
      `Expired entries removed: ${report.swept}.`;
  }
  const rest = report.finished ? "" : " More is left for the next run.";
  return `Old versions removed: ${report.removed}. Expired entries removed: ${report.swept}.${rest}`;
}
