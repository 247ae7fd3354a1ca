/**
 * The logic of the shared state, the same in `KvcDO` and in process.
 *
 * Every operation is one synchronous step, so operations on a key are atomic and in order. An entry
 * lies in one of two places: `durable` (survives a restart) or `volatile` (a cache: losing it is
 * allowed, inventing is not). Operations are plain data, because errors and classes do not cross the
 * remote procedure calls of Durable Objects.
 *
 * @module
 */
import { type ErrorCode, KontractError } from "../_internal/errors.ts";
import type { Clock, RateLimitResult, SharedSetOptions, SharedState } from "./ports.ts";
import type { Entries } from "./shared_entries.ts";

/** One operation. */
export type SharedOperation =
  | { readonly op: "get"; readonly key: string }
  | { readonly op: "delete"; readonly key: string }
  | {
    readonly op: "set";
    readonly key: string;
    readonly value: string;
    readonly options: SharedSetOptions;
  }
  | {
    readonly op: "increment";
    readonly key: string;
    readonly by: number;
    readonly options: SharedSetOptions;
  }
  | {
    readonly op: "compareAndSet";
    readonly key: string;
    readonly expected: string | null;
    readonly value: string;
    readonly options: SharedSetOptions;
  }
  | {
    readonly op: "rateLimit";
    readonly key: string;
    readonly limit: number;
    readonly windowMs: number;
  };

/** Its outcome. */
export type SharedAnswer =
  | { readonly ok: true; readonly value: string | number | boolean | null | RateLimitResult }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

/** What {@link SharedStateLogic} is made from; both places may be the same. */
export interface SharedStateParts {
  readonly durable: Entries;
  readonly volatile: Entries;
  readonly clock: Clock;
  /** Keeps other processes out during one operation. */
  transaction<T>(body: () => T): T;
}

/** Keys of values and of buckets never meet. */
const VALUE = "v:";
const BUCKET = "b:";

/**
 * A bucket with a longer window is durable: whoever waits until an idle host forgets its memory must
 * not get a full bucket for it.
 */
const FORGETTABLE_MS = 60_000;

/** The operations. */
export class SharedStateLogic {
  readonly #parts: SharedStateParts;

  /** Keeps its parts. */
  constructor(parts: SharedStateParts) {
    this.#parts = parts;
  }

  /** Runs one operation. Never throws for what a caller did wrong. */
  run(operation: SharedOperation): SharedAnswer {
    try {
      if (operation.op === "get") return { ok: true, value: this.#get(operation.key) };
      return { ok: true, value: this.#parts.transaction(() => this.#apply(operation)) };
    } catch (error) {
      if (!(error instanceof KontractError)) throw error;
      return { ok: false, code: error.code, message: error.message };
    }
  }

  #apply(
    operation: Exclude<SharedOperation, { op: "get" }>,
  ): boolean | number | RateLimitResult | null {
    switch (operation.op) {
      case "set":
        this.#set(operation.key, operation.value, operation.options);
        return null;
      case "delete":
        return this.#remove(operation.key);
      case "increment":
        return this.#increment(operation.key, operation.by, operation.options);
      case "compareAndSet": {
        if (this.#get(operation.key) !== operation.expected) return false;
        this.#set(operation.key, operation.value, operation.options);
        return true;
      }
      case "rateLimit":
        return this.#rateLimit(operation.key, operation.limit, operation.windowMs);
    }
  }

  #get(key: string): string | null {
    const now = this.#parts.clock.now();
    const { durable, volatile } = this.#parts;
    return (volatile.read(VALUE + key, now) ?? durable.read(VALUE + key, now))?.value ?? null;
  }

  #set(key: string, value: string, { ttl, durable }: SharedSetOptions): void {
    const now = this.#parts.clock.now();
    const entry = { value, expires: ttl === undefined ? null : now + ttl };
    const place = durable === true ? this.#parts.durable : this.#parts.volatile;
    const other = durable === true ? this.#parts.volatile : this.#parts.durable;
    if (other !== place) other.remove(VALUE + key, now);
    place.write(VALUE + key, entry, now);
  }

  #remove(key: string): boolean {
    const now = this.#parts.clock.now();
    const { durable, volatile } = this.#parts;
    const removed = volatile.remove(VALUE + key, now);
    return (volatile !== durable && durable.remove(VALUE + key, now)) || removed;
  }

  /** An entry that exists keeps its place and lifetime; the options are for a new one. */
  #increment(key: string, by: number, options: SharedSetOptions): number {
    const now = this.#parts.clock.now();
    for (const place of [this.#parts.volatile, this.#parts.durable]) {
      const entry = place.read(VALUE + key, now);
      if (entry === null) continue;
      const sum = addExactly(entry.value, by);
      place.write(VALUE + key, { value: String(sum), expires: entry.expires }, now);
      return sum;
    }
    this.#set(key, String(by), options);
    return by;
  }

  #rateLimit(key: string, limit: number, windowMs: number): RateLimitResult {
    const now = this.#parts.clock.now();
    const place = windowMs > FORGETTABLE_MS ? this.#parts.durable : this.#parts.volatile;
    const [tokens, at] = parseBucket(place.read(BUCKET + key, now)?.value) ?? [limit, now];
    // A clock that went back refills nothing.
    const filled = Math.min(limit, tokens + Math.max(0, now - at) * limit / windowMs);
    const allowed = filled >= 1;
    const left = allowed ? filled - 1 : filled;
    // By more than a window: it was wrong before, and what it said would keep callers out until then.
    const value = JSON.stringify([left, at > now + windowMs ? now : Math.max(now, at)]);
    place.write(BUCKET + key, { value, expires: now + windowMs }, now);
    return {
      allowed,
      remaining: Math.floor(left),
      retryAfter: allowed ? 0 : Math.max(1, Math.ceil((1 - filled) * windowMs / limit)),
    };
  }
}

function addExactly(text: string, by: number): number {
  const value = Number(text);
  if (!/^-?[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(value)) {
    throw new KontractError("VALIDATION", "env.shared.increment: the entry holds no integer.");
  }
  const sum = value + by;
  if (!Number.isSafeInteger(sum)) {
    throw new KontractError("VALIDATION", "env.shared.increment: the sum is beyond 2⁵³ - 1.");
  }
  return sum;
}

function parseBucket(text: string | undefined): readonly [number, number] | null {
  if (text === undefined) return null;
  const [tokens, at] = JSON.parse(text) as [number, number];
  return [tokens, at];
}

/** The port over whatever runs an operation: the logic itself, or a remote one. */
export function sharedStateOver(
  run: (operation: SharedOperation) => SharedAnswer | Promise<SharedAnswer>,
): SharedState {
  const ask = async (operation: SharedOperation): Promise<unknown> => {
    const answer = await run(operation);
    if (!answer.ok) throw new KontractError(answer.code, answer.message);
    return answer.value;
  };
  return {
    get: (key) => ask({ op: "get", key }) as Promise<string | null>,
    set: async (key, value, options = {}): Promise<void> => {
      await ask({ op: "set", key, value, options });
    },
    delete: (key) => ask({ op: "delete", key }) as Promise<boolean>,
    increment: (key, by, options = {}) =>
      ask({ op: "increment", key, by, options }) as Promise<number>,
    compareAndSet: (key, expected, value, options = {}) =>
      ask({ op: "compareAndSet", key, expected, value, options }) as Promise<boolean>,
    rateLimit: (key, limit, windowMs) =>
      ask({ op: "rateLimit", key, limit, windowMs }) as Promise<RateLimitResult>,
  };
}
