/**
 * Statements of different calls that are ready together go to the database as one: first reads of a table by key,
 * and commits of a few rows. Each call is answered for itself.
 *
 * - Nobody waits for company: a statement with nothing else under way is sent at once. Otherwise what comes in
 *   the same turn of the event loop goes together, and what comes while {@link RUNNING} groups are under way goes
 *   with the next one. Groups wait for no lock, so none holds others up; what waits for locks is sent alone and
 *   not counted.
 * - No two commits of a group touch the same row or have the same request id: all are validated against the same
 *   state, so what one writes no other may have read.
 * - What a group does not answer is sent alone, and that statement's outcome is the call's: a conflict, a session
 *   that has ended, a request that was applied before. The same where the group failed as a whole: then nothing of
 *   it was applied. Only where the connection was lost after a commit was sent is its outcome unknown, of
 *   each of its calls as if it had been alone; and where the server has no room for a connection, it has none for them.
 *
 * @module
 */
import { setPreciseAlarm } from "./alarms.ts";
import { type Database, NO_ROOM, SqlError, type SqlParam, type SqlRow } from "./database.ts";

/** Calls of one group at most: twice as many are hardly cheaper. */
const MEMBERS = 16;
/** Groups under way at most, so that more are not smaller. */
const RUNNING = 4;
/** A group that has taken so many milliseconds, by a dead connection or a slow disk, is not counted among them. */
const SLOW_MS = 100;
/** Of a member at most, since the others wait for it: characters of the keys it reads, rows and bytes it writes. */
const MEMBER_READ = 1024;
const MEMBER_ROWS = 8;
const MEMBER_SIZE = 16 * 1024;

type Rows = readonly SqlRow[];
/** A row to be written: key, version it was read as, data. */
type Write = readonly [id: SqlParam, seen: SqlParam, data: SqlParam];

/** A statement's part in a group. */
interface Part {
  /** The statement that does several of them. */
  readonly group: string;
  /** What else those have in common that it can do at once. */
  readonly kind: string;
  /** Its parameters that are one per call, for this one. */
  readonly call: readonly SqlParam[];
  readonly writes: readonly Write[];
}

interface Member extends Part {
  readonly statement: string;
  readonly params: readonly SqlParam[];
  readonly resolve: (rows: Rows | Promise<Rows>) => void;
  readonly reject: (error: unknown) => void;
}

/** `database`, with such groups. */
export function groupedDatabase(database: Database): Database {
  const groups = new Groups(database);
  return {
    execute: (statement, params) => groups.execute(statement, params),
    ...(database.alarm === undefined ? {} : { alarm: database.alarm }),
    close: () => database.close(),
  };
}

class Groups {
  readonly #database: Database;
  /** Statements under way that were sent alone. */
  #alone = 0;
  /** Groups under way; until the end of the turn in which they are answered, since their calls go on in it. */
  #running = 0;
  #waiting: Member[] = [];
  #planned = false;
  /** Groups that the database does not have. */
  readonly #missing = new Set<string>();

  constructor(database: Database) {
    this.#database = database;
  }

  execute(statement: string, params: readonly SqlParam[]): Promise<Rows> {
    const part = this.#alone + this.#running === 0 ? null : partOf(statement, params);
    if (part === null || this.#missing.has(part.group)) return this.#send(statement, params);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...part, statement, params, resolve, reject });
      if (this.#planned) return;
      this.#planned = true;
      setImmediate(() => {
        this.#planned = false;
        this.#flush();
      });
    });
  }

  #send(statement: string, params: readonly SqlParam[]): Promise<Rows> {
    const run = this.#database.execute(statement, params);
    const ended = (): void => void this.#alone--;
    this.#alone++;
    run.then(ended, ended);
    return run;
  }

  #sendMember({ statement, params, resolve, reject }: Member): void {
    try {
      resolve(this.#send(statement, params));
    } catch (error) {
      reject(error);
    }
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#running < RUNNING) {
      const members = this.#next();
      if (members.length === 1) this.#sendMember(members[0]!);
      else {
        const ended = this.#counted();
        void this.#together(members).finally(() => setImmediate(ended));
      }
    }
  }

  /** Counts a group until what it gives is called, or it has taken so long that it must hold up no others. */
  #counted(): () => void {
    let counts = true;
    const ended = (): void => {
      putOff();
      if (!counts) return;
      counts = false;
      this.#running--;
      this.#flush();
    };
    const putOff = (this.#database.alarm ?? setPreciseAlarm)(SLOW_MS, ended);
    this.#running++;
    return ended;
  }

  /** The next group. Who touches a row of a member would meet a conflict in it, and is sent alone. */
  #next(): readonly Member[] {
    const { group, kind } = this.#waiting[0]!;
    const members: Member[] = [];
    const left: Member[] = [];
    const claimed = new Set<SqlParam>();
    for (const member of this.#waiting) {
      const fits = member.group === group && member.kind === kind;
      if (!fits || members.length === MEMBERS) left.push(member);
      else if (claim(member, claimed)) members.push(member);
      else this.#sendMember(member);
    }
    this.#waiting = left;
    return members;
  }

  /** Never fails. */
  async #together(members: readonly Member[]): Promise<void> {
    const { group, writes } = members[0]!;
    const params = columns(members.map((member) => member.call));
    if (writes.length > 0) {
      params.push(
        ...columns(members.flatMap(({ writes }, n) => writes.map((write) => [n + 1, ...write]))),
      );
    }
    let answers: readonly (SqlRow | undefined)[] = [];
    try {
      const [row] = await this.#database.execute(group, params);
      const text = typeof row?.r === "string" ? row.r : "";
      answers = writes.length > 0 ? committed(text) : read(text, members);
    } catch (error) {
      if (writes.length > 0 && isLost(error) || stateOf(error) === NO_ROOM) {
        for (const { reject } of members) reject(error);
        return;
      }
      // A database that was migrated by a build before has no groups, or a later one has none for this table.
      if (stateOf(error) === "42883") this.#missing.add(group);
    }
    for (const [n, member] of members.entries()) {
      const answer = answers[n];
      if (answer === undefined) this.#sendMember(member);
      else member.resolve([answer]);
    }
  }
}

/** False where a row of it, or its request, belongs to one that came before. */
function claim({ call, writes }: Part, claimed: Set<SqlParam>): boolean {
  if (writes.length === 0) return true;
  // Owner, lane and number of the request; a key may have the same text, which only keeps the two apart.
  const request = call[6] === null ? [] : [JSON.stringify([call[1], call[6], String(call[7])])];
  const keys = [...request, ...writes.map(([id]) => id)];
  if (keys.some((key) => claimed.has(key))) return false;
  for (const key of keys) claimed.add(key);
  return true;
}

/** The columns of rows; null is one that is empty. */
function columns(rows: readonly (readonly SqlParam[])[]): SqlParam[] {
  return rows[0]!.map((_, at) => {
    const column = rows.map((row) => row[at]!);
    return column.every((value) => value === null) ? null : column;
  }) as SqlParam[];
}

/** Answers of those that were applied, as of `put`. */
function committed(text: string): readonly (SqlRow | undefined)[] {
  const answers: SqlRow[] = [];
  for (const n of text.split(",")) if (n !== "") answers[Number(n) - 1] = { r: "" };
  return answers;
}

/** Answers as of `get` and `get_many`, from `snap|incarnation|epoch|[[call, rows], …]`. */
function read(text: string, members: readonly Member[]): readonly (SqlRow | undefined)[] {
  const [snap, known, epoch] = text.split("|", 3);
  const answers: SqlRow[] = [];
  if (epoch === undefined) return answers;
  const all = JSON.parse(text.slice(`${snap}|${known}|${epoch}|`.length)) as [number, RowParts[]][];
  for (const [n, rows] of all) {
    const head = { snap, inc: `${known}.${epoch}` };
    const one = members[n - 1]!.statement.startsWith("get:");
    const [, data, txid, , ord] = rows[0] ?? [];
    answers[n - 1] = !one
      ? { ...head, rows }
      : txid === undefined
      ? { ...head, txid: null, data: null }
      : { ...head, txid, ord, data };
  }
  return answers;
}

type RowParts = [id: string, data: unknown, txid: string, owner: string, ord: number];

/** What can go with others: the part of it, or null. See `commit_statement.ts` and `read_context.ts`. */
function partOf(statement: string, params: readonly SqlParam[]): Part | null {
  const colon = statement.indexOf(":");
  const key = statement.slice(colon + 1);
  switch (statement.slice(0, colon)) {
    case "get":
      return readPart(key, params, JSON.stringify([params[8]]));
    case "get_many":
      return readPart(key, params, params[8]!);
    case "put": {
      const [id, wasRead, seen, data] = params.slice(10);
      const call = [...params.slice(0, 4), ...params.slice(5, 10)];
      if (params[4] !== null || wasRead === true && seen === null) return null;
      return writePart(key, call, [[id!, seen!, data!]]);
    }
    case "put_many": {
      const [ids, seen, rows, ...others] = params.slice(9) as (readonly SqlParam[] | null)[];
      if (!ids || !rows || others.some((list) => list !== null)) return null;
      return writePart(
        key,
        params.slice(0, 9),
        ids.map((id, n) => [id, seen?.[n] ?? null, rows[n]!]),
      );
    }
    default:
      return null;
  }
}

/** A first read, of a few keys, by who has no more rights in fields than others. */
function readPart(key: string, params: readonly SqlParam[], ids: SqlParam): Part | null {
  const [sid, bits, ugroup, grants, snap, , lane, reqno] = params as SqlParam[];
  if (grants !== null || snap !== null || String(ids).length > MEMBER_READ) return null;
  return {
    group: `get_group:${key}`,
    kind: "",
    call: [sid!, bits!, ugroup!, lane!, reqno!, ids],
    writes: [],
  };
}

/** A commit of a few rows, all of which were read and were there, or of which nothing was read. */
function writePart(key: string, call: readonly SqlParam[], writes: readonly Write[]): Part | null {
  const [, , , , snap, , lane, , answer] = call;
  const blind = snap === null;
  const fits = ([id, seen, data]: Write): boolean =>
    typeof id === "string" && typeof data === "string" &&
    (blind ? seen === null : typeof seen === "string" && seen !== "0");
  if (writes.length > MEMBER_ROWS || !writes.every(fits)) return null;
  const length = answer instanceof Uint8Array ? answer.length : 0;
  const size = writes.reduce((sum, [, , data]) => sum + String(data).length, length);
  if (size > MEMBER_SIZE) return null;
  return { group: `put_group:${key}`, kind: `${blind} ${lane === null}`, call, writes };
}

function stateOf(error: unknown): string | null {
  return error instanceof SqlError ? error.failure.sqlstate : null;
}

/** The connection broke while the statement may have been under way. */
function isLost(error: unknown): boolean {
  return error instanceof SqlError && stateOf(error) === "08006" && !error.failure.notSent;
}
