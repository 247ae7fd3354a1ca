/**
 * The auth suite over the real store: PostgreSQL, storage engine, database tokens, tombstones.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DatabaseTokenIssuer } from "../auth/database_token.ts";
import { authServiceSuite } from "../auth/testing/service_suite.ts";
import type { StoreUnderTest } from "../auth/testing/service_suite.ts";
import { AUTH_TABLES } from "../auth/tables.ts";
import { createAuthStore } from "../runtime/auth_store.ts";
import { SessionCache } from "../runtime/session_cache.ts";
import { storageEngine } from "../storage/engine.ts";
import { postgresDatabase } from "../storage/postgres_database.ts";
import { enterTenant, suiteTenant, testDatabase } from "./postgres.ts";
import type { TestDatabase } from "./postgres.ts";

const tenant = suiteTenant(import.meta);
let shared: Promise<TestDatabase> | null = null;

/** Empties auth's tables: versions, live or closed. */
async function empty({ admin }: TestDatabase): Promise<void> {
  const tables = await admin`select n.nspname, c.relname from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join kontract.storage s on s.ptr = c.relname and s.owner = ${tenant}`;
  for (const { nspname, relname } of tables) {
    await admin`truncate ${admin(`${nspname}.${relname}`)}`;
  }
}

/** One database for the file, emptied before each test. */
async function realStore(): Promise<StoreUnderTest> {
  shared ??= testDatabase(AUTH_TABLES).then((made) => enterTenant(made, tenant));
  const database = await shared;
  await empty(database);
  const clock = { now: (): number => Date.now() };
  const tokens = new DatabaseTokenIssuer({ secrets: database.secrets, clock: clock.now });
  const connection = postgresDatabase({ url: database.gatewayUrl, max: 4 });
  const engine = storageEngine({ database: connection, tables: AUTH_TABLES });
  const sessions = new SessionCache({
    engine,
    databaseToken: (subject) => tokens.mint(subject),
    clock,
    shareOpening: true,
  });
  return {
    store: createAuthStore({ engine, sessions, clock }),
    tenant,
    isRevoked: async (family) => {
      const token = await tokens.mint({ owner: "probe", tenant, family });
      return await engine.openSession(token).then(
        () => false,
        (error: { code?: unknown }) => {
          assert.equal(error.code, "SESSION_REVOKED");
          return true;
        },
      );
    },
    close: () => connection.close(),
  };
}

authServiceSuite(`postgres, tenant ${tenant}`, realStore);

Deno.test(`postgres, tenant ${tenant}: the database of the auth suite goes away`, async () => {
  await (await shared)?.close();
});
