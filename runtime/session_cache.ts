/**
 * Database sessions in the gateway's memory: one per (tenant, session family), opened by a database
 * token and used until shortly before its end. A sid never leaves this process.
 *
 * The cache decides nothing: the database checks the session in every operation, so an entry that was
 * revoked is refused there and dropped here. For work that reaches no table, and for the groups that code
 * is told, it knows when the database described a session last, and asks again
 * ({@link SessionCache.trusted}, {@link SessionCache.check}). A storage operation finds a session alive and
 * says nothing of its groups, so it does not count.
 *
 * @module
 */
import type { AuthService, Principal } from "../auth/contract.ts";
import { KontractError } from "../_internal/errors.ts";
import type { StorageEngine, StorageSession } from "../storage/contract.ts";
import { SqlError } from "../storage/database.ts";
import { DEFAULT_TENANT } from "../storage/tenant_name.ts";
import type { Clock } from "./ports.ts";

/** Who a session is for: a caller, or Kontract itself in a tenant. */
export type SessionSubject = Principal | { readonly system: true; readonly tenant: string };

/** What a {@link SessionCache} is made from. */
export interface SessionCacheOptions {
  readonly engine: Pick<StorageEngine, "openSession" | "checkSession">;
  databaseToken(subject: SessionSubject): ReturnType<AuthService["databaseToken"]>;
  readonly clock: Clock;
  /**
   * True: callers that need the same session at the same moment share one opening. False on hosts
   * where a promise of one request must not be awaited by another (Workers).
   */
  readonly shareOpening: boolean;
  /** Entries at most; the longest unused goes first. 10,000 where missing. */
  readonly limit?: number;
}

/** A session is left that ends sooner than this after what it is wanted for, in milliseconds. */
const MARGIN_MS = 5_000;

/**
 * How long a session is believed without the database's word, in milliseconds: what ended it on another
 * gateway is known here that much later at most.
 */
export const TRUST_MS = 5_000;

interface Kept {
  readonly session: StorageSession;
  /** When the statement was sent that described it. */
  readonly askedAt: number;
}

/** The cache. */
export class SessionCache {
  readonly #options: SessionCacheOptions;
  readonly #sessions = new Map<string, Kept>();
  readonly #opening = new Map<string, Promise<StorageSession>>();

  /** Starts empty. */
  constructor(options: SessionCacheOptions) {
    this.#options = options;
  }

  /** A session for `subject` that lasts for so many milliseconds: a kept one, or one round trip. */
  get(subject: SessionSubject, forMs = 0): Promise<StorageSession> | StorageSession {
    const key = keyOf(subject);
    const kept = this.#sessions.get(key);
    const until = this.#options.clock.now() + forMs + MARGIN_MS;
    if (kept !== undefined && kept.session.expiresAt > until) {
      this.#sessions.delete(key);
      this.#sessions.set(key, kept); // newest last
      return kept.session;
    }
    this.#sessions.delete(key);
    if (!this.#options.shareOpening) return this.#open(key, subject);
    const flight = this.#opening.get(key);
    if (flight !== undefined) return flight;
    const opened = this.#open(key, subject).finally(() => this.#opening.delete(key));
    this.#opening.set(key, opened);
    return opened;
  }

  /**
   * A session as the database described it at most `trustMs` ago; with 0, after this was called. It lasts for
   * `forMs`.
   *
   * @throws {KontractError} `SESSION_REVOKED`, and as opening a session
   */
  async trusted(subject: SessionSubject, trustMs: number, forMs = 0): Promise<StorageSession> {
    const key = keyOf(subject);
    const elsewhere = this.#sessions.has(key) || this.#opening.has(key);
    const session = await this.get(subject, forMs);
    if (!elsewhere) return session; // opened here and now
    const age = this.#options.clock.now() - (this.#sessions.get(key)?.askedAt ?? -Infinity);
    if (age < trustMs) return session;
    try {
      return await this.check(subject, session);
    } catch (error) {
      if (endOf(error) !== "SESSION_EXPIRED") throw error;
      return await this.get(subject, forMs);
    }
  }

  /** Asks the database about `session`: as it is now. @throws {KontractError} where it has ended */
  async check(subject: SessionSubject, session: StorageSession): Promise<StorageSession> {
    const at = this.#options.clock.now();
    try {
      const checked = await this.#options.engine.checkSession(session);
      this.#keep(subject, checked, at);
      return checked;
    } catch (error) {
      if (endOf(error) !== null) this.drop(subject, session);
      throw error;
    }
  }

  /** Forgets `session` if it is still the one kept. */
  drop(subject: SessionSubject, session: StorageSession): void {
    const key = keyOf(subject);
    if (this.#sessions.get(key)?.session.sid === session.sid) this.#sessions.delete(key);
  }

  /** Forgets all sessions of a family. */
  dropFamily(tenant: string, family: string): void {
    const start = JSON.stringify([tenant, family]).slice(0, -1) + ",";
    for (const key of this.#sessions.keys()) {
      if (key.startsWith(start)) this.#sessions.delete(key);
    }
  }

  /** Forgets all sessions of an owner: the next ones know the owner's groups of then. */
  dropOwner(tenant: string, owner: string): void {
    for (const [key, { session }] of this.#sessions) {
      if (session.tenant === tenant && session.owner === owner) this.#sessions.delete(key);
    }
  }

  #keep(subject: SessionSubject, session: StorageSession, at: number): void {
    const key = keyOf(subject);
    const kept = this.#sessions.get(key);
    if (kept?.session.sid !== session.sid || kept.askedAt > at) return;
    this.#sessions.set(key, { session, askedAt: at });
  }

  async #open(key: string, subject: SessionSubject): Promise<StorageSession> {
    const token = await this.#options.databaseToken(subject);
    const at = this.#options.clock.now();
    const session = await this.#options.engine.openSession(token).catch(async (error: unknown) => {
      throw await this.#refusal(error, subject.tenant);
    });
    this.#sessions.set(key, { session, askedAt: at });
    if (this.#sessions.size > (this.#options.limit ?? 10_000)) {
      for (const oldest of this.#sessions.keys()) {
        this.#sessions.delete(oldest);
        break;
      }
    }
    return session;
  }

  /**
   * Why a session cannot be opened. A tenant that was made anew a moment ago refuses a token of before, which is
   * the caller's; who is refused in the main tenant too is a gateway that no caller can mend.
   */
  async #refusal(error: unknown, tenant: string): Promise<unknown> {
    if (tenant === DEFAULT_TENANT || !isRefused(error)) return refusedGateway(error) ?? error;
    const main: SessionSubject = { system: true, tenant: DEFAULT_TENANT };
    try {
      await this.get(main);
    } catch (cause) {
      if (cause instanceof KontractError && cause.code === "CONFIG") return cause;
    }
    return error;
  }
}

/** What it means that the database refuses a token of the main tenant that this gateway has just made, or null. */
export function refusedGateway(error: unknown): KontractError | null {
  if (!isRefused(error)) return null;
  return new KontractError(
    "CONFIG",
    "The database refuses this server's tokens: it does not know this KONTRACT_SECRET ('kontract migrate " +
      "up' or 'deploy' with it makes it known), or the clocks are more than 30 s apart ('kontract doctor' " +
      "compares them).",
    { cause: error },
  );
}

function isRefused(error: unknown): error is KontractError {
  return error instanceof KontractError && error.code === "UNAUTHORIZED" &&
    error.cause instanceof SqlError;
}

/** The database's word that a session has ended, or null: a function may throw these codes as well. */
export function endOf(error: unknown): "SESSION_EXPIRED" | "SESSION_REVOKED" | null {
  if (!(error instanceof KontractError && error.cause instanceof SqlError)) return null;
  const { code } = error;
  return code === "SESSION_EXPIRED" || code === "SESSION_REVOKED" ? code : null;
}

function keyOf(subject: SessionSubject): string {
  return "system" in subject
    ? JSON.stringify([subject.tenant])
    : JSON.stringify([subject.tenant, subject.family, subject.owner, subject.anonymous]);
}
