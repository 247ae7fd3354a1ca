/**
 * Kontract's own work in a tenant: under a system session that is kept, and opened again once where the
 * database says that it has ended.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { StorageSession } from "../storage/contract.ts";
import { SqlError } from "../storage/database.ts";
import type { SessionCache, SessionSubject } from "./session_cache.ts";

/** Runs `work` with a system session of the tenant; where the session had ended, once more. */
export async function inSystemSession<T>(
  sessions: Pick<SessionCache, "get" | "drop">,
  tenant: string,
  work: (session: StorageSession) => Promise<T>,
): Promise<T> {
  const subject: SessionSubject = { system: true, tenant };
  const session = await sessions.get(subject);
  try {
    return await work(session);
  } catch (error) {
    // Auth's own `SESSION_REVOKED` speaks of a caller's session; the database's of ours.
    const ended = error instanceof KontractError && error.cause instanceof SqlError &&
      (error.code === "SESSION_EXPIRED" || error.code === "SESSION_REVOKED");
    if (!ended) throw error;
    sessions.drop(subject, session);
    return await work(await sessions.get(subject));
  }
}
