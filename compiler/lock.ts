/**
 * `kontract.lock.json`: which number stands for what on the wire, committed with the app.
 *
 * Append only: a number is handed out once and never again. Routes get ops from {@link FIRST_OP};
 * fields, enum values and union variants get ids within their owner (a named type, or a place inside
 * one). What disappears leaves a tombstone. A route that disappears is not retired silently: that is
 * the author's decision (`kontract routes remove|rename`), since a lost decorator looks the same.
 *
 * @module
 */
import { compareText } from "./diagnostic.ts";

/** Name of the file in the app's folder. */
export const LOCK_NAME = "kontract.lock.json";

/** First op of an app; lower ones are Kontract's own. */
export const FIRST_OP = 1000;

/** The file, as JSON. */
export interface LockFile {
  /** Version of the format. */
  readonly version: 1;
  /** Route name → op. */
  readonly routes: Readonly<Record<string, number>>;
  /** Ops of removed routes with their last names. */
  readonly retiredRoutes: Readonly<Record<string, string>>;
  /** Owner of ids → key → id. */
  readonly ids: Readonly<Record<string, LockOwner>>;
  /** Type name → the module that declares it. */
  readonly names: Readonly<Record<string, string>>;
}

/** Ids of one owner. */
export interface LockOwner {
  /** Key → id. */
  readonly ids: Readonly<Record<string, number>>;
  /** Ids that are gone. */
  readonly retired: readonly number[];
}

/** A lock without anything in it. */
export const EMPTY_LOCK: LockFile = {
  version: 1,
  routes: {},
  retiredRoutes: {},
  ids: {},
  names: {},
};

/** Thrown by {@link parseLock}; the message is for the author. */
export class LockError extends Error {
  /** Always `LockError`. */
  override readonly name = "LockError";
  /** What to do. */
  readonly hint: string;

  /** `message` goes on after "cannot be used:". */
  constructor(
    message: string,
    hint: string = "Take it from version control again; it must not be written by hand.",
  ) {
    super(message);
    this.hint = hint;
  }
}

/** Reads the file's text. @throws {LockError} */
export function parseLock(text: string): LockFile {
  if (/^(?:<{7}|={7}|>{7})/m.test(text)) {
    throw new LockError(
      "it holds conflict marks of a merge",
      "Take the side that is deployed ('git checkout --ours kontract.lock.json' or '--theirs'), then build: " +
        "what only the other side has gets numbers of its own.",
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new LockError("it is not JSON");
  }
  if (!isPlain(value) || value.version !== 1) throw new LockError("its version is not 1");
  const lock = { ...EMPTY_LOCK, ...value } as LockFile;
  const numbers = (v: unknown): boolean =>
    isPlain(v) && Object.values(v).every((n) => Number.isInteger(n) && (n as number) >= 0);
  const owner = (v: unknown): boolean =>
    isPlain(v) && numbers(v.ids) && Array.isArray(v.retired) && v.retired.every(Number.isInteger);
  if (!numbers(lock.routes)) throw new LockError("'routes' must be names with whole numbers");
  if (!isPlain(lock.ids) || !Object.values(lock.ids).every(owner)) {
    throw new LockError("'ids' must be owners with ids and retired");
  }
  if (!isPlain(lock.names) || !isPlain(lock.retiredRoutes)) {
    throw new LockError("'names' and 'retiredRoutes' must be objects");
  }
  const ops = Object.values(lock.routes).concat(Object.keys(lock.retiredRoutes).map(Number));
  if (new Set(ops).size !== ops.length) throw new LockError("two routes have the same number");
  return lock;
}

/** A lock never changes, and one build asks for its text several times. */
const texts: WeakMap<LockFile, string> = new WeakMap();

/** An owner whose ids stay is the same object in the next lock. */
const ownerTexts: WeakMap<LockOwner, string> = new WeakMap();

/** The file's text: keys ordered, so that merges are small. */
export function formatLock(lock: LockFile): string {
  let text = texts.get(lock);
  if (text === undefined) texts.set(lock, text = textOf(lock));
  return text;
}

function textOf(lock: LockFile): string {
  const owners = Object.entries(lock.ids).sort(([a], [b]) => compareText(a, b))
    .map(([name, owner]) => `\n    ${JSON.stringify(name)}: ${ownerText(owner)}`);
  const text = JSON.stringify(ordered({ ...lock, ids: {} }), null, 2);
  // The first of its keys: no name of an author's stands before it.
  const ids = owners.length === 0 ? "{}" : `{${owners.join(",")}\n  }`;
  return `${text.replace('\n  "ids": {}', () => `\n  "ids": ${ids}`)}\n`;
}

function ownerText(owner: LockOwner): string {
  let text = ownerTexts.get(owner);
  if (text === undefined) {
    // Two levels deep in the file.
    text = JSON.stringify(ordered(owner), null, 2).replaceAll("\n", "\n    ");
    ownerTexts.set(owner, text);
  }
  return text;
}

function ordered(value: unknown): unknown {
  if (!isPlain(value)) return value;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => compareText(a, b)).map(([k, v]) => [k, ordered(v)]),
  );
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Hands out numbers during one build; {@link Lock.finish} gives the next file. */
export class Lock {
  readonly #old: LockFile;
  readonly #routes: Map<string, number> = new Map();
  readonly #ids: Map<string, Map<string, number>> = new Map();
  readonly #names: Map<string, string> = new Map();
  readonly #fresh: ReadonlySet<string>;
  #nextOp: number;

  /**
   * Starts from the committed file. `fresh` are routes that the running process has added itself: while
   * one writes code these come and go, so they are retired without a question.
   */
  constructor(old: LockFile, fresh: ReadonlySet<string> = new Set()) {
    this.#old = old;
    this.#fresh = fresh;
    const used = Object.values(old.routes).concat(Object.keys(old.retiredRoutes).map(Number));
    this.#nextOp = Math.max(FIRST_OP, ...used.map((op) => op + 1));
  }

  /** The op of a route. New names get numbers in the order asked. */
  op(name: string): number {
    const op = this.#routes.get(name) ?? own(this.#old.routes, name) ?? this.#nextOp++;
    this.#routes.set(name, op);
    return op;
  }

  /** Ids of `keys` within `owner`, in the order of `keys`; `first` is the lowest id ever used there. */
  ids(owner: string, keys: readonly string[], first: 0 | 1): readonly number[] {
    const old = own(this.#old.ids, owner);
    let mine = this.#ids.get(owner);
    if (mine === undefined) this.#ids.set(owner, mine = new Map());
    const used = [...Object.values(old?.ids ?? {}), ...(old?.retired ?? []), ...mine.values()];
    let next = Math.max(first, ...used.map((id) => id + 1));
    return keys.map((key) => {
      const id = mine.get(key) ?? (old === undefined ? undefined : own(old.ids, key)) ?? next++;
      mine.set(key, id);
      return id;
    });
  }

  /**
   * A name for a type, unique in the app: the one it had, or that of a declaration that is gone (a type
   * moved to another module), or a new one. `isThere` tells whether a module still declares the type.
   */
  typeName(wanted: string, module: string, isThere: (module: string) => boolean): string {
    const kept = own(this.#old.names, wanted) === module && !this.#names.has(wanted);
    const name = kept ? wanted : this.#numberedName(wanted, module, isThere);
    this.#names.set(name, module);
    return name;
  }

  #numberedName(wanted: string, module: string, isThere: (module: string) => boolean): string {
    const free = Object.entries(this.#old.names).filter(([name]) =>
      isNumbered(name, wanted) && !this.#names.has(name)
    ).sort(([a], [b]) => a.length - b.length || compareText(a, b));
    const mine = free.find(([, from]) => from === module) ??
      free.find(([, from]) => !isThere(from));
    return mine?.[0] ?? this.#newName(wanted);
  }

  #newName(wanted: string): string {
    for (let n = 1;; n++) {
      const name = n === 1 ? wanted : `${wanted}${n}`;
      if (!this.#names.has(name) && own(this.#old.names, name) === undefined) return name;
    }
  }

  /** Gives a name back that turned out not to be needed. */
  releaseName(name: string): void {
    this.#names.delete(name);
  }

  /** Routes of the committed file that this build has not. */
  vanished(): readonly string[] {
    return this.#gone().filter((name) => !this.#fresh.has(name)).sort(compareText);
  }

  #gone(): readonly string[] {
    return Object.keys(this.#old.routes).filter((name) => !this.#routes.has(name));
  }

  /** The committed file without the fresh routes that are gone. */
  #kept(): LockFile {
    const retired = this.#gone().filter((name) => this.#fresh.has(name));
    return retired.reduce((lock, name) => removeRoute(lock, name), this.#old);
  }

  /** The next file. */
  finish(): LockFile {
    const ids: Record<string, LockOwner> = {};
    for (const owner of new Set([...Object.keys(this.#old.ids), ...this.#ids.keys()])) {
      const old = own(this.#old.ids, owner) ?? { ids: {}, retired: [] };
      const mine = this.#ids.get(owner) ?? new Map<string, number>();
      const before = Object.entries(old.ids);
      const gone = before.flatMap(([key, id]) => mine.has(key) ? [] : [id]);
      // A key that was there has the number that it had.
      const same = gone.length === 0 && before.length === mine.size;
      ids[owner] = same && Object.hasOwn(this.#old.ids, owner) ? old : {
        ids: Object.fromEntries(mine),
        retired: [...old.retired, ...gone].sort((a, b) => a - b),
      };
    }
    const kept = this.#kept();
    return {
      version: 1,
      routes: { ...kept.routes, ...Object.fromEntries(this.#routes) },
      retiredRoutes: kept.retiredRoutes,
      ids,
      names: { ...this.#old.names, ...Object.fromEntries(this.#names) },
    };
  }
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function isNumbered(name: string, base: string): boolean {
  return name.startsWith(base) && /^\d*$/.test(name.slice(base.length));
}

/** `kontract routes rename`: the new name keeps the op. @throws {LockError} */
export function renameRoute(lock: LockFile, from: string, to: string): LockFile {
  const op = own(lock.routes, from);
  if (op === undefined) throw new LockError(`there is no route '${from}'`);
  const { [from]: _gone, ...rest } = lock.routes;
  const taken = own(rest, to);
  if (taken === undefined) return { ...lock, routes: { ...rest, [to]: op } };
  throw new LockError(`there is a route '${to}' already`);
}

/** `kontract routes remove`: the op is never used again. @throws {LockError} */
export function removeRoute(lock: LockFile, name: string): LockFile {
  const op = own(lock.routes, name);
  if (op === undefined) throw new LockError(`there is no route '${name}'`);
  const { [name]: _gone, ...routes } = lock.routes;
  return { ...lock, routes, retiredRoutes: { ...lock.retiredRoutes, [String(op)]: name } };
}
