/**
 * What the runtime may ask of storage. Implemented by `storage/engine.ts`.
 *
 * @module
 */
import type { Bits } from "../_internal/manifest.ts";

/** A database session: opaque, kept in the gateway's memory only, never sent to a client. */
export interface StorageSession {
  /** 32 random bytes, base64url; only its hash is stored in the database. */
  readonly sid: string;
  readonly owner: string;
  readonly tenant: string;
  /** Groups when the session was opened; the database checks the current ones in every operation. */
  readonly ugroups: readonly string[];
  /** True for Kontract's own work (auth, tenants): may reach tables whose name starts with `_`. */
  readonly system: boolean;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Bounds of one call. */
export interface CallOptions {
  readonly session: StorageSession;
  /** Route bits. */
  readonly perm: Bits;
  /** `"table.field"` → bits beyond the field's own. */
  readonly grants: Readonly<Record<string, Bits>>;
  /** Group the database must find on the session in every operation, or null. */
  readonly ugroup: string | null;
  readonly readOnly: boolean;
  /** True for a caller without identity, who stores nothing in tables with `rows: "owner"`. */
  readonly guest?: boolean;
  /** Conflict retries at most; 0 for none. */
  readonly retry: number;
  /** Milliseconds since the epoch, after which nothing is started any more. */
  readonly deadline: number;
  readonly signal?: AbortSignal;
  /** Identity of the request for exactly-once, or null where the caller has none (reads, scripts). */
  readonly effect: { readonly lane: string; readonly reqno: bigint } | null;
  /**
   * Told the change feeds of a commit that may have taken effect though no outcome says so: where the call ends in
   * `OUTCOME_UNKNOWN`, and once more where the commit's answer comes after that.
   */
  readonly unsure?: (feeds: readonly string[]) => void;
  /** Told what the call reads. */
  readonly reading?: ReadObserver;
}

/** Hears what a call reads, so that who follows its result knows when to run it again. */
export interface ReadObserver {
  /** The call has to do with a table, whose changes `feed` tells of; a query of `exec` says so when it is done. */
  table(name: string, feed: string): void;
  /** A snapshot was taken; `position` is {@link ChangesOptions.after} of what comes after it. */
  snapshot(position: string): void;
}

/** How a call ended. */
export interface CallOutcome {
  /** The encoded answer: the body's own, or the stored one of an earlier run. */
  readonly answer: Uint8Array;
  /** True where the request had been applied before and `answer` is the stored one. */
  readonly replayed: boolean;
  /** True where this run committed writes. */
  readonly wrote: boolean;
  /** Change feeds that have something new by this run, or may have: wake who follows them. */
  readonly feeds: readonly string[];
  /** How often the body ran. */
  readonly attempts: number;
}

/** One run of a call: one snapshot, buffered writes, one commit. */
export interface Transaction {
  /** `env.storage`: a property per table. Operations after the end throw `CONTEXT_ENDED`. */
  readonly storage: Readonly<Record<string, unknown>>;
}

/** Storage, as the runtime sees it. */
export interface StorageEngine {
  /** One round trip: exchanges a database token (see `auth/database_token.ts`) for a session. */
  openSession(databaseToken: string): Promise<StorageSession>;
  /**
   * One round trip: the session as it is now, its groups included. No lock, no row.
   *
   * @throws {KontractError} `SESSION_REVOKED`, `SESSION_EXPIRED`, `DATABASE_UNAVAILABLE`
   */
  checkSession(session: StorageSession): Promise<StorageSession>;
  /**
   * Runs `body` in one transaction: reads share a snapshot, writes are buffered and committed in one
   * statement after `body` has returned, a conflict runs `body` again. The answer that `body` returns
   * is stored with the effect record in the same commit.
   *
   * @throws {KontractError} `CONFLICT`, `UNIQUE_VIOLATION`, `PERMISSION_DENIED`, `SESSION_REVOKED`, `VALIDATION`,
   *   `SNAPSHOT_TOO_OLD`, `TOO_LARGE`, `DEADLINE_EXCEEDED`, `DATABASE_UNAVAILABLE`, `OUTCOME_UNKNOWN`
   */
  run(
    options: CallOptions,
    body: (transaction: Transaction) => Promise<Uint8Array>,
  ): Promise<CallOutcome>;
  /** Ends every session of a family at once and leaves a tombstone (needs a system session). */
  revokeFamily(system: StorageSession, family: string, until: number): Promise<void>;
  /**
   * Committed changes of one table since `after`, in commit order, as this session may see them.
   * `after: null` gives the position now and no changes. One round trip.
   */
  changes(options: ChangesOptions): Promise<ChangeBatch>;
}

/** Options of {@link StorageEngine.changes}. */
export interface ChangesOptions {
  readonly session: StorageSession;
  readonly table: string;
  /** Same form as `query`'s filter; fields without R are refused. */
  readonly filter?: Readonly<Record<string, unknown>>;
  readonly after: string | null;
  /** With 0 no changes come: `more` says whether there is one in the table, in any field. */
  readonly limit: number;
}

/** One change of a row. */
export interface Change {
  readonly type: "insert" | "update" | "delete";
  readonly id: string;
  /** The row with the fields the session may read; null for a delete. */
  readonly data: Readonly<Record<string, unknown>> | null;
}

/** Whole transactions, in commit order. */
export interface ChangeBatch {
  readonly changes: readonly Change[];
  /** Opaque; pass as `after`. Sealed by the runtime before a client sees it. */
  readonly position: string;
  /** True: `after` is outside retention or another incarnation; start again from a fresh read. */
  readonly reset: boolean;
  /** True where more is ready now. */
  readonly more: boolean;
  /** The feed that says when there is more; see {@link CallOutcome.feeds}. */
  readonly feed: string;
}
