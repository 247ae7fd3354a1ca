/**
 * The client's session: anonymous from the first call on, renewed before it ends, shared by all tabs.
 *
 * - One renewal at a time, in this tab (one flight) and across tabs (a lock); whoever waited finds the
 *   winner's tokens in storage, so a refresh token is never used twice.
 * - The local clock decides only *when to renew early*, by the lifetime counted from the moment of
 *   receipt. A clock that is wrong costs nothing: the server says `SESSION_EXPIRED`, and one renewal
 *   follows. An early renewal that takes long is not waited for: the token at hand is still good.
 * - In cookie mode (`cookie_session.ts`) the tokens are the browser's: here is only whose session it is.
 * - A session that cannot be renewed is forgotten. An anonymous visitor becomes a new one; a signed-in
 *   user is told by the error, and by the listeners.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { bounded, hasCode } from "./failure.ts";
import { type ClientStorage, exclusively } from "./session_storage.ts";

/** Who the client is, for the page to show. */
export type SessionState =
  | { readonly kind: "none" }
  | { readonly kind: "active"; readonly owner: string; readonly anonymous: boolean };

/** Tokens as the server gives them, with the moment they came; null where cookies carry them. */
export interface StoredSession {
  readonly access: string | null;
  readonly refresh: string | null;
  /** Server's clock. */
  readonly expiresAt: number;
  readonly owner: string;
  readonly anonymous: boolean;
  /** This device's clock. */
  readonly receivedAt: number;
}

/** How long calls wait for an early renewal, all in all. */
const PATIENCE_MS = 1000;

/** Runs one auth function on the server, without a token. */
export type AuthCall = (name: "anonymous" | "refresh", argument: unknown) => Promise<unknown>;

/** The session of one app at one gateway. */
export class ClientSession {
  readonly #key: string;
  readonly #storage: ClientStorage;
  readonly #auth: AuthCall;
  readonly #cookies: boolean;
  readonly #listeners = new Set<(state: SessionState) => void>();
  #flight: Promise<StoredSession> | null = null;
  /** On the monotonic clock. */
  #flightBegan = 0;
  #announced = "";

  /** `key` names app and gateway; with `cookies` the tokens are not kept here. */
  constructor(key: string, storage: ClientStorage, auth: AuthCall, cookies: boolean) {
    this.#key = key;
    this.#storage = storage;
    this.#auth = auth;
    this.#cookies = cookies;
  }

  /** The stored session as it is now, possibly another tab's; null where there is none. */
  async current(): Promise<StoredSession | null> {
    const session = this.#parse(await this.#storage.get(this.#key));
    this.#announce(session);
    return session;
  }

  /** A session to call with: the stored one, renewed where it is about to end, or a new anonymous one. */
  async ensure(): Promise<StoredSession> {
    const session = await this.current();
    if (session === null) return await this.renew(null);
    const moves = this.#cookies && session.access !== null;
    if (!isDue(session) && !moves) return session;
    const renewing = this.renew(session);
    try {
      if (moves || Date.now() >= session.expiresAt) return await renewing;
      const patience = this.#flightBegan + PATIENCE_MS - performance.now();
      return await bounded(renewing, undefined, patience);
    } catch (error) {
      // Early renewal is a courtesy: whatever else is wrong, the token at hand may still do.
      if (hasCode(error, ...ENDED)) throw error;
      return session;
    }
  }

  /**
   * A session that is not `stale`.
   *
   * @throws {KontractError} `UNAUTHORIZED`, `SESSION_REVOKED` where a signed-in session has ended
   */
  renew(stale: StoredSession | null): Promise<StoredSession> {
    if (this.#flight === null) {
      this.#flightBegan = performance.now();
      this.#flight = exclusively(this.#key, () => this.#renewAlone(stale)).finally(() => {
        this.#flight = null;
      });
    }
    return this.#flight;
  }

  /** Takes over what an auth function answered. */
  async adopt(answer: unknown): Promise<StoredSession> {
    const session = fromRecord({ ...Object(answer), receivedAt: Date.now() }, this.#cookies);
    if (session === null) {
      throw new KontractError("RAY_DECODE", "The server's answer holds no session.");
    }
    await this.#storage.set(this.#key, JSON.stringify(session));
    this.#announce(session);
    return session;
  }

  /** Forgets the session; the next call starts an anonymous one. */
  async forget(): Promise<void> {
    await this.#storage.set(this.#key, null);
    this.#announce(null);
  }

  /** Tells `listener` the state now and whenever it changes, also from another tab. */
  onChange(listener: (state: SessionState) => void): () => void {
    const tell = changesOnly(listener);
    const fromOtherTab = (event: StorageEvent): void => {
      if (event.key === this.#key || event.key === null) void this.current();
    };
    this.#listeners.add(tell);
    if (typeof document !== "undefined") addEventListener("storage", fromOtherTab);
    void this.current().then((session) => {
      if (this.#listeners.has(tell)) tell(toState(session));
    });
    return () => {
      this.#listeners.delete(tell);
      if (typeof document !== "undefined") removeEventListener("storage", fromOtherTab);
    };
  }

  #parse(text: string | null): StoredSession | null {
    if (text === null) return null;
    try {
      return fromRecord(Object(JSON.parse(text)), this.#cookies);
    } catch {
      return null; // not ours, or cut short: as good as none
    }
  }

  async #renewAlone(stale: StoredSession | null): Promise<StoredSession> {
    const session = await this.#stored();
    // Another tab was faster.
    if (session !== null && !isSame(session, stale)) return session;
    let answer: unknown;
    let ended: unknown;
    try {
      // Without the access token: it may have run out, and the refresh token says it all.
      const argument = session?.refresh == null ? null : { refresh: session.refresh };
      answer = await this.#auth(session === null ? "anonymous" : "refresh", argument);
    } catch (error) {
      if (session === null || !hasCode(error, ...ENDED)) throw error;
      ended = error;
    }
    const now = await this.#stored();
    // Meanwhile somebody has signed in, or out: that is what holds.
    if (!isSame(now, session)) return now ?? await this.#renewAlone(null);
    if (ended === undefined) return await this.adopt(answer);
    await this.forget();
    if (session?.anonymous === false) throw ended;
    return await this.#renewAlone(null);
  }

  /** The stored session, whichever tab has written it. */
  async #stored(): Promise<StoredSession | null> {
    const { latest } = this.#storage;
    return latest === undefined
      ? await this.current()
      : this.#parse(await latest.call(this.#storage, this.#key));
  }

  #announce(session: StoredSession | null): void {
    const state = toState(session);
    const text = JSON.stringify(state);
    if (text === this.#announced) return;
    this.#announced = text;
    for (const listener of [...this.#listeners]) listener(state);
  }
}

/** Tells `listener` each state once, until another one comes. */
export function changesOnly(
  listener: (state: SessionState) => void,
): (state: SessionState) => void {
  let told = "";
  return (state) => {
    const text = JSON.stringify(state);
    if (text === told) return;
    told = text;
    listener(state);
  };
}

/** The public part of a session. */
export function toState(session: StoredSession | null): SessionState {
  return session === null
    ? { kind: "none" }
    : { kind: "active", owner: session.owner, anonymous: session.anonymous };
}

/** The server's word that there is no session to renew. */
const ENDED = ["UNAUTHORIZED", "SESSION_EXPIRED", "SESSION_REVOKED"] as const;

/**
 * True in the last fifth of a lifetime, where the two clocks agree well enough to tell. A clock that is ahead by
 * nearly all of it would have every call renew first.
 */
function isDue(session: StoredSession): boolean {
  const lifetime = session.expiresAt - session.receivedAt;
  if (lifetime < 60_000 || lifetime > 86_400_000) return false;
  return Date.now() >= session.receivedAt + lifetime * 0.8;
}

function isSame(a: StoredSession | null, b: StoredSession | null): boolean {
  return a?.access === b?.access && a?.receivedAt === b?.receivedAt;
}

function fromRecord(value: Record<string, unknown>, cookies: boolean): StoredSession | null {
  const { access = null, refresh = null, expiresAt, owner, anonymous, receivedAt } = value;
  const tokens = typeof access === "string" && typeof refresh === "string"
    ? { access, refresh }
    : cookies && access === null && refresh === null
    ? { access, refresh }
    : null;
  return tokens !== null && typeof owner === "string" && typeof anonymous === "boolean" &&
      typeof expiresAt === "number" && typeof receivedAt === "number"
    ? { ...tokens, expiresAt, owner, anonymous, receivedAt }
    : null;
}
