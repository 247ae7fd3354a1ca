/**
 * Database sessions in the gateway's memory: one per (tenant, session family), opened by a database
 * token and used until shortly before its end. A sid never leaves this process.
 *
 * The cache decides nothing: the database checks the session in every operation, so an entry that was
 * revoked is refused there and dropped here.
 *
 * @module
 */
import type { AuthService, Principal } from "../auth/contract.ts";
import type { StorageEngine, StorageSession } from "../storage/contract.ts";
import type { Clock } from "./ports.ts";

/** Who a session is for: a caller, or Kontract itself in a tenant. */
export type SessionSubject = Principal | { readonly system: true; readonly tenant: string };

/** What a {@link SessionCache} is made from. */
export interface SessionCacheOptions {
  readonly engine: Pick<StorageEngine, "openSession">;
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

/** A session that ends sooner than this is not started with, in milliseconds. */
const MARGIN_MS = 5_000;

/** The cache. */
export class SessionCache {
  readonly #options: SessionCacheOptions;
  readonly #sessions = new Map<string, StorageSession>();
  readonly #opening = new Map<string, Promise<StorageSession>>();

  /** Starts empty. */
  constructor(options: SessionCacheOptions) {
    this.#options = options;
  }

  /** A session for `subject`: a kept one, or one round trip. */
  get(subject: SessionSubject): Promise<StorageSession> | StorageSession {
    const key = keyOf(subject);
    const kept = this.#sessions.get(key);
    if (kept !== undefined && kept.expiresAt - MARGIN_MS > this.#options.clock.now()) {
      this.#sessions.delete(key);
      this.#sessions.set(key, kept); // newest last
      return kept;
    }
    this.#sessions.delete(key);
    if (!this.#options.shareOpening) return this.#open(key, subject);
    const flight = this.#opening.get(key);
    if (flight !== undefined) return flight;
    const opened = this.#open(key, subject).finally(() => this.#opening.delete(key));
    this.#opening.set(key, opened);
    return opened;
  }

  /** Forgets `session` if it is still the one kept. */
  drop(subject: SessionSubject, session: StorageSession): void {
    const key = keyOf(subject);
    if (this.#sessions.get(key) === session) this.#sessions.delete(key);
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
    for (const [key, session] of this.#sessions) {
      if (session.tenant === tenant && session.owner === owner) this.#sessions.delete(key);
    }
  }

  async #open(key: string, subject: SessionSubject): Promise<StorageSession> {
    const token = await this.#options.databaseToken(subject);
    const session = await this.#options.engine.openSession(token);
    this.#sessions.set(key, session);
    if (this.#sessions.size > (this.#options.limit ?? 10_000)) {
      for (const oldest of this.#sessions.keys()) {
        this.#sessions.delete(oldest);
        break;
      }
    }
    return session;
  }
}

function keyOf(subject: SessionSubject): string {
  return "system" in subject
    ? JSON.stringify([subject.tenant])
    : JSON.stringify([subject.tenant, subject.family, subject.owner, subject.anonymous]);
}
