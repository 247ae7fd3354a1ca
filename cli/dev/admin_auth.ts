/**
 * Auth's administration from the command line, over the gateway's own connection: the same code and the
 * same rights as a running server has.
 *
 * @module
 */
import { parseSecrets } from "../../_internal/keys.ts";
import { DatabaseTokenIssuer } from "../../auth/database_token.ts";
import { createAuthService, type KontractAuth } from "../../auth/service.ts";
import { AUTH_TABLES } from "../../auth/tables.ts";
import { createAuthStore } from "../../runtime/auth_store.ts";
import { SessionCache } from "../../runtime/session_cache.ts";
import { storageEngine } from "../../storage/engine.ts";
import { postgresDatabase } from "../../storage/postgres_database.ts";
import type { AppFolder } from "./app_folder.ts";
import { presentDatabase } from "./present_database.ts";
import { loadSecret } from "./secret.ts";

/** Administration with an end. */
export interface AdminAuth {
  readonly auth: KontractAuth;
  /** Ends the connection, and the database where it was started for this. */
  close(): Promise<void>;
}

/**
 * Opens it: on the environment's database, that of a running `start` or `dev`, or the app's embedded one.
 *
 * @throws {KontractError} `CONFIG`, `DATABASE_UNAVAILABLE`
 */
export async function openAdminAuth(app: AppFolder): Promise<AdminAuth> {
  const secrets = parseSecrets(await loadSecret(app));
  const database = await presentDatabase(app);
  const connection = postgresDatabase({ url: database.url, max: 1, appName: "kontract users" });
  const clock = { now: (): number => Date.now() };
  const tokens = new DatabaseTokenIssuer({ secrets, clock: clock.now });
  const engine = storageEngine({ database: connection, tables: AUTH_TABLES });
  const sessions = new SessionCache({
    engine,
    databaseToken: (subject) => tokens.mint(subject),
    clock,
    shareOpening: true,
  });
  const auth = createAuthService({
    secrets,
    store: createAuthStore({ engine, sessions, clock }),
    limiter: () => Promise.resolve({ allowed: true, retryAfter: 0 }),
  });
  return {
    auth,
    async close(): Promise<void> {
      await connection.close();
      await database.stop();
    },
  };
}
