/**
 * Questions of followers that stand at the same feed go to the database as one. A commit wakes all followers of a
 * table at once, and what each asks for differs in its session and its position only: the database checks each
 * session, and reads once per position what all that stand there are told.
 *
 * - Nobody waits for company: a question is sent at once unless one like it is under way. Those that come meanwhile
 *   go together when it has been answered, or has taken {@link SLOW_MS}.
 * - Those whom a group leaves out, for a lock on their tenant's table or the size of what others are told, go together
 *   again as long as any of them are answered.
 * - Whom no group answers asks alone, and that statement's outcome is the follower's: a session that has ended, a right
 *   that is missing. Only a lock that was in the way of all, and a server without room for a connection, are so for
 *   each: they would wait with a connection of their own.
 *
 * @module
 */
import { type SetAlarm, setPreciseAlarm } from "./alarms.ts";
import { type Database, NO_ROOM, SqlError, type SqlParam, type SqlRow } from "./database.ts";

/** Followers of one group at most. */
const MEMBERS = 256;
/** A question that has taken so many milliseconds holds up no others like it. */
const SLOW_MS = 100;

/** SQLSTATE of a function that the database does not have. */
const NO_FUNCTION = "42883";
/** SQLSTATE of a lock that was waited for too long. */
const LOCKED = "55P03";

type Rows = readonly SqlRow[];
type Answer = readonly [
  members: readonly number[],
  changes: unknown,
  position: string,
  reset: boolean,
  more: boolean,
];

interface Member {
  readonly statement: string;
  readonly params: readonly SqlParam[];
  readonly resolve: (rows: Rows | Promise<Rows>) => void;
}

/** `database`, with such groups. */
export function groupedFeeds(database: Database): Database {
  const feeds = new Feeds(database);
  return {
    execute: (statement, params) =>
      statement.endsWith("changes")
        ? feeds.ask(statement, params)
        : database.execute(statement, params),
    ...(database.alarm === undefined ? {} : { alarm: database.alarm }),
    close: () => database.close(),
  };
}

class Feeds {
  readonly #database: Database;
  /** Who waits, by what is asked; there is an entry while such a question is under way. */
  readonly #waiting = new Map<string, Waiting>();
  /** The database has no such groups. */
  #missing = false;

  constructor(database: Database) {
    this.#database = database;
  }

  ask(statement: string, params: readonly SqlParam[]): Promise<Rows> {
    const [, table, filter, , limit] = params;
    const key = JSON.stringify([statement, table, filter, limit]);
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) {
      return new Promise((resolve) => waiting.add({ statement, params, resolve }));
    }
    const rows = this.#send(statement, params);
    this.#after(rows, key, []);
    return rows;
  }

  async #send(statement: string, params: readonly SqlParam[]): Promise<Rows> {
    return await this.#database.execute(statement, params);
  }

  /** Sends those who wait, and who comes until then, when `work` has settled or holds them up too long. */
  #after(work: Promise<unknown>, key: string, left: Member[]): void {
    const waiting = new Waiting(left, this.#database.alarm ?? setPreciseAlarm, () => {
      const members = left.splice(0, MEMBERS);
      if (members.length === 0) this.#waiting.delete(key);
      else this.#after(this.#answer(members), key, left);
    });
    this.#waiting.set(key, waiting);
    work.then(waiting.end, waiting.end);
  }

  /** Never fails. */
  async #answer(members: readonly Member[]): Promise<void> {
    let left = members;
    while (left.length > 1 && !this.#missing) {
      const answers = await this.#together(left);
      if (answers.size === 0) break;
      left = left.filter((member, n) => {
        const rows = answers.get(n);
        if (rows !== undefined) member.resolve(rows);
        return rows === undefined;
      });
    }
    const alone = left.map(({ statement, params, resolve }) => {
      const rows = this.#send(statement, params);
      resolve(rows);
      return rows;
    });
    await Promise.allSettled(alone);
  }

  /** Answers by place; none where the group failed by what may be one member's. */
  async #together(members: readonly Member[]): Promise<ReadonlyMap<number, Rows | Promise<Rows>>> {
    const { statement, params } = members[0]!;
    const [, table, filter, , limit] = params as SqlParam[];
    const sids = members.map(({ params }) => String(params[0]));
    const positions = members.map(({ params }) => params[3] as string | null);
    const answers = new Map<number, Rows | Promise<Rows>>();
    try {
      const group = [sids, table!, filter!, positions, limit!];
      const [row] = await this.#database.execute(`${statement}_group`, group);
      for (const [whose, changes, position, reset, more] of row?.r as readonly Answer[]) {
        const answer = [{ changes, position, reset, more }];
        for (const n of whose) answers.set(n - 1, answer);
      }
    } catch (error) {
      const state = error instanceof SqlError ? error.failure.sqlstate : null;
      // The database was migrated by a build before.
      if (state === NO_FUNCTION) this.#missing = true;
      if (state === LOCKED || state === NO_ROOM) {
        for (const n of members.keys()) answers.set(n, Promise.reject(error));
      }
    }
    return answers;
  }
}

/** Those who wait for a question like theirs: until it is answered, and not much longer than a tenth of a second. */
class Waiting {
  readonly #members: Member[];
  readonly #alarm: SetAlarm;
  readonly #send: () => void;
  #putOff: (() => void) | null = null;
  #over = false;

  constructor(members: Member[], alarm: SetAlarm, send: () => void) {
    this.#members = members;
    this.#alarm = alarm;
    this.#send = send;
    if (members.length > 0) this.#putOff = alarm(SLOW_MS, this.end);
  }

  add(member: Member): void {
    this.#members.push(member);
    this.#putOff ??= this.#alarm(SLOW_MS, this.end);
  }

  readonly end = (): void => {
    if (this.#over) return;
    this.#over = true;
    this.#putOff?.();
    this.#send();
  };
}
