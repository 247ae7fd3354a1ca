/**
 * The storage engine: sessions, calls with retry, change feed. Round trips: one to open or check a
 * session, one per read, one to commit; nothing else.
 *
 * Truth changes in one place, the `commit` statement. Where its outcome is unknown (the connection
 * broke after sending) it is sent again if the call has an effect identity, since the database applies
 * it once; otherwise the caller is told so.
 *
 * @module
 */
import type { ExecDef, TableDef } from "../_internal/manifest.ts";
import type { ShapeTable } from "../_internal/shape.ts";
import { errorFrom } from "../_internal/error_classes.ts";
import { KontractError } from "../_internal/errors.ts";
import type {
  CallOptions,
  CallOutcome,
  ChangeBatch,
  ChangesOptions,
  StorageEngine,
  StorageSession,
  Transaction,
} from "./contract.ts";
import { commitStatement } from "./commit_statement.ts";
import { type Database, SqlError, type SqlRow } from "./database.ts";
import { translateFailure } from "./failure.ts";
import { ExecStatements } from "./exec/statements.ts";
import { STORAGE_LIMITS } from "./limits.ts";
import { readChanges } from "./changes.ts";
import { feedName } from "./feed_name.ts";
import { checkAlive, Replayed, type Snapshot, within } from "./read_context.ts";
import { commitAnswer } from "./text_answer.ts";
import { rulesCache, type TableRules } from "./table_rules.ts";
import type { TableOps } from "./table_state.ts";
import { Attempt } from "./transaction.ts";

/** What an engine is made from. */
export interface StorageEngineOptions {
  readonly database: Database;
  /** The app's tables and Kontract's own. */
  readonly tables: readonly TableDef[];
  /** Named shapes the tables refer to. */
  readonly types?: ShapeTable;
  /** The queries of the build; none where missing. */
  readonly execs?: readonly ExecDef[];
  /** Milliseconds since the epoch; `Date.now` where missing. */
  readonly now?: () => number;
}

/** First back-off in milliseconds; doubled per attempt. */
const BACKOFF_MS = 4;
const BACKOFF_MOST_MS = 250;
/** How often a commit of unknown outcome is sent again. */
const RESEND = 3;
/** A commit under way is waited for this long past the deadline: its outcome matters more. */
const COMMIT_GRACE_MS = 5_000;

/** Makes the engine. No round trip. */
export function storageEngine(options: StorageEngineOptions): StorageEngine {
  return new Engine(options);
}

class Engine implements StorageEngine {
  readonly #database: Database;
  readonly #tables: ReadonlyMap<string, TableDef>;
  readonly #types: ShapeTable;
  readonly #execs: ExecStatements;
  readonly #rules: (table: TableDef, call: CallOptions) => TableRules;
  readonly #now: () => number;

  constructor(options: StorageEngineOptions) {
    this.#database = options.database;
    this.#tables = new Map(options.tables.map((table) => [table.name, table]));
    this.#types = options.types ?? {};
    this.#execs = new ExecStatements(options.execs ?? []);
    this.#rules = rulesCache(this.#types);
    this.#now = options.now ?? Date.now;
  }

  async openSession(databaseToken: string): Promise<StorageSession> {
    const row = await this.#one("open_session", [databaseToken]);
    return {
      sid: String(row.sid),
      owner: String(row.owner),
      tenant: String(row.tenant),
      ugroups: row.ugroups as readonly string[],
      system: row.system === true,
      expiresAt: Number(row.expires_ms),
    };
  }

  async checkSession(session: StorageSession): Promise<StorageSession> {
    const { ugroups } = await this.#one("check_session", [session.sid]);
    return { ...session, ugroups: ugroups as readonly string[] };
  }

  async revokeFamily(system: StorageSession, family: string, until: number): Promise<void> {
    await this.#one("revoke_family", [system.sid, family, until]);
  }

  async changes(options: ChangesOptions): Promise<ChangeBatch> {
    const table = this.#tables.get(options.table);
    if (table === undefined) {
      throw new KontractError("SCHEMA_MISMATCH", `There is no table '${options.table}'.`);
    }
    return await readChanges(this.#database, table, this.#types, options);
  }

  async run(
    options: CallOptions,
    body: (transaction: Transaction) => Promise<Uint8Array>,
  ): Promise<CallOutcome> {
    for (let attempt = 1;; attempt++) {
      checkAlive(options, this.#now);
      try {
        return await this.#attempt(options, body, attempt);
      } catch (error) {
        const may = !options.readOnly && attempt <= options.retry && isRetryable(error);
        if (!may) throw error instanceof Retry ? error.reason : error;
        await this.#backOff(attempt, options);
      }
    }
  }

  async #attempt(
    options: CallOptions,
    body: (transaction: Transaction) => Promise<Uint8Array>,
    attempts: number,
  ): Promise<CallOutcome> {
    const attempt = new Attempt({
      database: this.#database,
      tables: this.#tables,
      rules: this.#rules,
      execs: this.#execs,
      call: options,
      now: this.#now,
    });
    const stored = (answer: Uint8Array, feeds: readonly string[] = []): CallOutcome => ({
      answer,
      replayed: true,
      wrote: false,
      feeds,
      attempts,
    });
    try {
      const answer = await body(attempt);
      await attempt.drain();
      const { replayed, failure } = attempt.reads;
      if (replayed !== null) return stored(replayed.answer);
      // A read that failed for a stale snapshot spoils the attempt, even where the body went on.
      if (failure !== null) throw new Retry(failure);
      if (!attempt.dirty) {
        return { answer, replayed: false, wrote: false, feeds: [], attempts };
      }
      const ops = attempt.ops();
      const feeds = this.#feeds(ops, options.session);
      const { unsure } = options;
      const told = { ...options, unsure: () => unsure?.(feeds) };
      const before = await this.#commit(ops, attempt.reads.snapshot, told, answer);
      // It may have been this run that applied it, by a commit whose answer was lost; nobody was woken then.
      if (before !== null) return stored(before, feeds);
      return { answer, replayed: false, wrote: true, feeds, attempts };
    } catch (error) {
      const { replayed, failure } = attempt.reads;
      if (replayed !== null) return stored(replayed.answer);
      if (error instanceof Replayed) return stored(error.answer);
      if (failure !== null) throw new Retry(failure);
      throw error;
    } finally {
      attempt.end();
    }
  }

  /** Feeds of what was written. System tables have none: nobody may follow them. */
  #feeds(ops: readonly TableOps[], session: StorageSession): readonly string[] {
    return ops.filter(({ t, w }) => w.length > 0 && !t.startsWith("_"))
      .map(({ t }) => feedName(session, this.#tables.get(t)!));
  }

  /** Commits; gives the stored answer where the request had been applied before. */
  async #commit(
    ops: readonly TableOps[],
    snapshot: Snapshot | null,
    options: CommitOptions,
    answer: Uint8Array,
  ): Promise<Uint8Array | null> {
    checkAlive(options, this.#now);
    if (answer.length > STORAGE_LIMITS.answerBytes) {
      throw errorFrom("TOO_LARGE", "The answer is too large to be stored with its effect.");
    }
    const { effect } = options;
    const [statement, params] = commitStatement(ops, options, snapshot, answer);
    for (let sent = 1;; sent++) {
      try {
        return commitAnswer(await this.#awaitCommit(this.#one(statement, params), options));
      } catch (error) {
        const unsure = isLost(error);
        if (!unsure && !(error instanceof KontractError && error.code === "OUTCOME_UNKNOWN")) {
          if (isRetryable(error)) throw new Retry(named(error as KontractError, ops));
          throw error;
        }
        if (!unsure || effect === null || sent >= RESEND) {
          options.unsure();
          throw unsure ? new KontractError("OUTCOME_UNKNOWN", undefined, { cause: error }) : error;
        }
        await this.#backOff(sent, options);
      }
    }
  }

  /** Past the deadline the outcome is awaited a little longer, then it is unknown. */
  async #awaitCommit(work: Promise<SqlRow>, options: CommitOptions): Promise<SqlRow> {
    try {
      return await within(
        work,
        { deadline: options.deadline + COMMIT_GRACE_MS },
        this.#now,
        this.#database.alarm,
      );
    } catch (error) {
      // A timeout of the server has undone the commit; the end of our waiting says nothing of it.
      const waited = error instanceof KontractError && !(error.cause instanceof SqlError);
      if (waited && error.code === "DEADLINE_EXCEEDED") {
        work.then(options.unsure, () => {});
        throw new KontractError("OUTCOME_UNKNOWN", undefined, { cause: error });
      }
      throw error;
    }
  }

  async #one(statement: string, params: Parameters<Database["execute"]>[1]): Promise<SqlRow> {
    let rows: readonly SqlRow[];
    try {
      rows = await this.#database.execute(statement, params);
    } catch (error) {
      throw translateFailure(error);
    }
    if (rows[0] === undefined) throw new KontractError("INTERNAL");
    return rows[0];
  }

  /** Full jitter, never past the deadline. */
  async #backOff(attempt: number, options: CallOptions): Promise<void> {
    const most = Math.min(BACKOFF_MS * 2 ** attempt, BACKOFF_MOST_MS);
    const wait = Math.random() * most;
    if (this.#now() + wait >= options.deadline) throw new KontractError("DEADLINE_EXCEEDED");
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

type CommitOptions = Omit<CallOptions, "unsure"> & { readonly unsure: () => void };

/** A failure of the attempt, not of the body: another attempt may succeed. */
class Retry extends Error {
  readonly reason: KontractError;
  constructor(reason: KontractError) {
    super(reason.message, { cause: reason });
    this.name = "Retry";
    this.reason = reason;
  }
}

/** Who waited for a lock in vain is told of what it may be: the database does not say. */
function named(error: KontractError, ops: readonly TableOps[]): KontractError {
  const [part, ...others] = ops;
  if (error.code !== "CONFLICT" || error.data !== undefined || part === undefined) return error;
  const table = part.t;
  const { cause } = error;
  const [key, ...more] = new Set([...part.r, ...part.w].map(([id]) => id));
  if (key === undefined || more.length > 0 || part.q.length > 0 || others.length > 0) {
    const names = ops.map(({ t }) => `'${t}'`).join(" or ");
    const message = `Somebody else holds rows of table ${names}.`;
    return errorFrom("CONFLICT", message, {
      cause,
      ...(others.length > 0 ? {} : { data: { table } }),
    });
  }
  const message = `Somebody else holds row '${key}' of table '${table}', or all of it.`;
  return errorFrom("CONFLICT", message, { cause, data: { table, key } });
}

function isRetryable(error: unknown): boolean {
  const reason = error instanceof Retry ? error.reason : error;
  if (!(reason instanceof KontractError)) return false;
  if (reason.code === "CONFLICT" || reason.code === "SNAPSHOT_TOO_OLD") {
    // The body's own ConflictError is its answer, not a reason to run again.
    return error instanceof Retry || reason.cause instanceof SqlError;
  }
  return reason.cause instanceof SqlError && reason.cause.failure.notSent &&
    reason.code === "DATABASE_UNAVAILABLE";
}

/** The connection broke while the statement may have been under way. */
function isLost(error: unknown): boolean {
  return error instanceof KontractError && error.cause instanceof SqlError &&
    error.cause.failure.sqlstate === "08006" && !error.cause.failure.notSent;
}
