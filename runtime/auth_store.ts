/**
 * Auth's store over the storage engine: its system tables under a system session of the tenant.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuthRow, AuthStore, AuthTransaction } from "../auth/store.ts";
import type { CallOptions, StorageEngine, Transaction } from "../storage/contract.ts";
import type { Table } from "../storage/types.ts";
import type { Clock } from "./ports.ts";
import type { SessionCache } from "./session_cache.ts";
import { inSystemSession } from "./system_session.ts";

/** What {@link createAuthStore} is made from. */
export interface AuthStoreParts {
  readonly engine: StorageEngine;
  readonly sessions: SessionCache;
  readonly clock: Clock;
}

const TIMEOUT_MS = 10_000;
/** Sign-ins of one account collide; anything else does not. */
const RETRY = 8;

const NOTHING = new Uint8Array(0);

/** The store. */
export function createAuthStore({ engine, sessions, clock }: AuthStoreParts): AuthStore {
  return {
    transaction: (tenant, body) =>
      inSystemSession(sessions, tenant, async (session) => {
        const options: CallOptions = {
          session,
          perm: 7,
          grants: {},
          ugroup: null,
          readOnly: false,
          retry: RETRY,
          deadline: clock.now() + TIMEOUT_MS,
          effect: null,
        };
        let result: { readonly value: Awaited<ReturnType<typeof body>> } | null = null;
        await engine.run(options, async (transaction) => {
          result = { value: await body(authTransaction(transaction)) };
          return NOTHING;
        });
        if (result === null) throw new KontractError("INTERNAL");
        return (result as { readonly value: Awaited<ReturnType<typeof body>> }).value;
      }),
    revokeFamily: async (tenant, family, until) => {
      await inSystemSession(
        sessions,
        tenant,
        (session) => engine.revokeFamily(session, family, until),
      );
      sessions.dropFamily(tenant, family);
    },
  };
}

/** Whether the database has a tenant: one without auth's tables was never provisioned. */
export async function hasTenant(store: AuthStore, tenant: string): Promise<boolean> {
  try {
    await store.transaction(tenant, (tx) => tx.get("_users", "none"));
    return true;
  } catch (error) {
    if (error instanceof KontractError && error.code === "SCHEMA_MISMATCH") return false;
    throw error;
  }
}

function authTransaction(transaction: Transaction): AuthTransaction {
  const table = (name: string): Table<AuthRow> => transaction.storage[name] as Table<AuthRow>;
  return {
    get: (name, id) => table(name).get(id),
    find: async (name, filter) => await table(name).query(filter),
    set: async (name, row) => {
      await table(name).set(row.id, row);
    },
    delete: (name, id) => table(name).delete(id),
  };
}
