/**
 * The snapshot of one call: taken by its first read, passed to every later one. While the first read is
 * under way the others wait for it, so all of a call's reads see one state however they run.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type SetAlarm, setPreciseAlarm } from "./alarms.ts";
import type { CallOptions } from "./contract.ts";
import type { Database, SqlParam, SqlRow } from "./database.ts";
import { translateFailure } from "./failure.ts";
import { positionOf } from "./position.ts";
import { readAnswer } from "./text_answer.ts";

/** Thrown inside the body where the request turns out to have been applied before. */
export class Replayed extends Error {
  /** The stored answer. */
  readonly answer: Uint8Array;
  /** With the stored answer. */
  constructor(answer: Uint8Array) {
    super("The request was applied before.");
    this.name = "Replayed";
    this.answer = answer;
  }
}

/** A snapshot and the life of the cluster it belongs to. */
export interface Snapshot {
  readonly snap: string;
  readonly incarnation: string;
}

/** Reads of one attempt of a call. */
export class ReadContext {
  readonly #database: Database;
  readonly #options: CallOptions;
  readonly #now: () => number;
  #snapshot: Snapshot | null = null;
  #first: Promise<SqlRow> | null = null;
  #replayed: Replayed | null = null;
  /** First failure that makes the attempt worthless, whatever the body made of it. */
  #failure: KontractError | null = null;
  /** Rejects at the deadline or with the signal; one for all reads of the attempt. */
  #stop: Stop | null = null;

  /** Reads through `database` for the call that `options` describe. */
  constructor(database: Database, options: CallOptions, now: () => number) {
    this.#database = database;
    this.#options = options;
    this.#now = now;
  }

  /** Tenant of the call. */
  get tenant(): string {
    return this.#options.session.tenant;
  }

  /** The call's snapshot, once there is one. */
  get snapshot(): Snapshot | null {
    return this.#snapshot;
  }

  /** Set where the request had been applied before. */
  get replayed(): Replayed | null {
    return this.#replayed;
  }

  /** A read failed in a way that only a new attempt can mend. */
  get failure(): KontractError | null {
    return this.#failure;
  }

  /** The attempt is over: nothing is waited for any more. */
  end(): void {
    this.#stop?.end();
  }

  /** One round trip. `rest` follows the parameters every read function has. */
  read(
    statement: string,
    grants: string | null,
    rest: readonly SqlParam[],
  ): Promise<SqlRow> {
    if (this.#snapshot === null) {
      if (this.#first !== null) {
        // Then again: another one that waits may be first now, where this one failed.
        const again = (): Promise<SqlRow> => this.read(statement, grants, rest);
        return this.#first.then(again, again);
      }
      if (this.#replayed !== null) return Promise.reject(this.#replayed);
    }
    try {
      checkAlive(this.#options, this.#now);
      const run = this.#send(statement, grants, rest);
      if (this.#snapshot === null) this.#first = run;
      return run;
    } catch (error) {
      return Promise.reject(translateFailure(error));
    }
  }

  /** Callbacks, not an async function: what every read goes through has no more turns than it needs. */
  #send(
    statement: string,
    grants: string | null,
    rest: readonly SqlParam[],
  ): Promise<SqlRow> {
    const { session, perm, ugroup, effect, readOnly } = this.#options;
    const snapshot = this.#snapshot;
    const lane = snapshot === null && !readOnly ? effect : null;
    this.#stop ??= new Stop(this.#options, this.#now, this.#database.alarm);
    return this.#stop.race(
      this.#database.execute(statement, [
        session.sid,
        perm,
        ugroup,
        grants,
        snapshot === null ? null : snapshot.snap,
        snapshot === null ? null : snapshot.incarnation,
        lane === null ? null : lane.lane,
        lane === null ? null : lane.reqno,
        ...rest,
      ]),
    ).then((rows) => this.#answered(rows), (error) => this.#failed(error));
  }

  #answered(rows: readonly SqlRow[]): SqlRow {
    this.#first = null;
    if (rows[0] === undefined) throw new KontractError("INTERNAL");
    const row = readAnswer(rows[0]);
    if (row.replay instanceof Uint8Array) {
      this.#replayed = new Replayed(row.replay);
      throw this.#replayed;
    }
    if (this.#snapshot === null) {
      this.#snapshot = { snap: String(row.snap), incarnation: String(row.inc) };
      const { incarnation, snap } = this.#snapshot;
      this.#options.reading?.snapshot(positionOf(incarnation, snap));
    }
    return row;
  }

  #failed(error: unknown): never {
    this.#first = null;
    const failure = translateFailure(error);
    if (failure.code === "SNAPSHOT_TOO_OLD" || failure.code === "CONFLICT") {
      this.#failure ??= failure;
    }
    throw failure;
  }
}

/**
 * The end that a call's deadline or signal puts to waiting. It knows who waits and nobody else: a race with one
 * promise for all would keep the result of each until the end of the call.
 */
class Stop {
  readonly #waiting = new Set<(reason: KontractError) => void>();
  readonly #putOff: (() => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#stop(new KontractError("CANCELLED"));
  #reason: KontractError | null = null;

  constructor(
    options: Pick<CallOptions, "deadline" | "signal">,
    now: () => number,
    alarm: SetAlarm = setPreciseAlarm,
  ) {
    const left = options.deadline - now();
    if (Number.isFinite(left)) {
      this.#putOff = alarm(left, () => this.#stop(new KontractError("DEADLINE_EXCEEDED")));
    }
    this.#signal = options.signal;
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#reason !== null) reject(this.#reason);
      this.#waiting.add(reject);
      // The work may still fail after we stopped waiting: that is nobody's unhandled rejection.
      work.then((value) => {
        this.#waiting.delete(reject);
        resolve(value);
      }, (error) => {
        this.#waiting.delete(reject);
        reject(error);
      });
    });
  }

  end(): void {
    this.#putOff?.();
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  #stop(reason: KontractError): void {
    this.#reason = reason;
    for (const reject of this.#waiting) reject(reason);
  }
}

/**
 * Waits for work until a deadline or a signal.
 *
 * @throws {KontractError} `DEADLINE_EXCEEDED`, `CANCELLED`
 */
export async function within<T>(
  work: Promise<T>,
  options: Pick<CallOptions, "deadline" | "signal">,
  now: () => number,
  alarm?: SetAlarm,
): Promise<T> {
  work.catch(() => {});
  checkAlive(options, now);
  const stop = new Stop(options, now, alarm);
  try {
    return await stop.race(work);
  } finally {
    stop.end();
  }
}

/** Throws where the deadline has passed or the call was cancelled. */
export function checkAlive(
  options: Pick<CallOptions, "deadline" | "signal">,
  now: () => number,
): void {
  if (options.signal?.aborted === true) throw new KontractError("CANCELLED");
  if (now() >= options.deadline) throw new KontractError("DEADLINE_EXCEEDED");
}
