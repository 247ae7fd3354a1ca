/**
 * `env.shared`: the typed face of the shared state. Values are plain JSON; keys are the tenant's own,
 * so two tenants never meet. Consistent per key; entries survive a restart only where `durable`.
 *
 * Not part of the call's transaction: what is written stays written if the call fails.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { plainJson } from "../_internal/plain_json.ts";
import type { RateLimitResult, SharedSetOptions, SharedState } from "./ports.ts";

export type { RateLimitResult, SharedSetOptions };

/** Bounds of `env.shared`; each keeps one caller from taking the whole store. */
export const SHARED_LIMITS = {
  /** Characters of a key. */
  key: 512,
  /** Characters of a value as JSON. */
  value: 131_072,
} as const;

/** Shared key-value state. */
export interface SharedStore {
  /** The value, or null. The type is the caller's promise: nothing checks it. */
  get<T>(key: string): Promise<T | null>;
  /** Stores plain JSON. */
  set(key: string, value: unknown, options?: SharedSetOptions): Promise<void>;
  /** True where there was a value. */
  delete(key: string): Promise<boolean>;
  /** Adds an integer to a counter (0 where absent) and gives the sum, atomically. */
  increment(key: string, by?: number, options?: SharedSetOptions): Promise<number>;
  /** Stores `value` only where the current one is `expected` (null: absent), compared as JSON text. */
  compareAndSet(
    key: string,
    expected: unknown,
    value: unknown,
    options?: SharedSetOptions,
  ): Promise<boolean>;
  /** Takes one from the bucket of `key`: `limit` in a window, refilled evenly. */
  rateLimit(key: string, limit: number, windowMs: number): Promise<RateLimitResult>;
}

/** The face over a port, for whatever tenant `find` gives when an operation runs. */
export function sharedStore(
  find: () => { readonly shared: SharedState; readonly tenant: string },
): SharedStore {
  const at = (key: string): { shared: SharedState; name: string } => {
    const { shared, tenant } = find();
    return { shared, name: `u:${tenant}:${checkKey(key)}` };
  };
  return {
    async get<T>(key: string): Promise<T | null> {
      const { shared, name } = at(key);
      const text = await shared.get(name);
      return text === null ? null : JSON.parse(text) as T;
    },
    async set(key, value, options = {}): Promise<void> {
      const { shared, name } = at(key);
      await shared.set(name, toText(value), checkOptions(options));
    },
    async delete(key): Promise<boolean> {
      const { shared, name } = at(key);
      return await shared.delete(name);
    },
    async increment(key, by = 1, options = {}): Promise<number> {
      const { shared, name } = at(key);
      if (!Number.isSafeInteger(by)) {
        throw new KontractError(
          "VALIDATION",
          `env.shared.increment takes an integer: it is ${by}.`,
        );
      }
      return await shared.increment(name, by, checkOptions(options));
    },
    async compareAndSet(key, expected, value, options = {}): Promise<boolean> {
      const { shared, name } = at(key);
      const before = expected === null ? null : toText(expected);
      return await shared.compareAndSet(name, before, toText(value), checkOptions(options));
    },
    async rateLimit(key, limit, windowMs): Promise<RateLimitResult> {
      const { shared, name } = at(key);
      checkLimit(limit, windowMs);
      return await shared.rateLimit(name, limit, windowMs);
    },
  };
}

/** Refuses a bucket that cannot be. @throws {KontractError} `VALIDATION` */
export function checkLimit(limit: number, windowMs: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new KontractError("VALIDATION", `A rate limit is a positive integer: it is ${limit}.`);
  }
  if (!Number.isSafeInteger(windowMs) || windowMs < 1) {
    throw new KontractError(
      "VALIDATION",
      `A rate limit's window is a positive number of milliseconds: it is ${windowMs}.`,
    );
  }
}

function checkKey(key: string): string {
  if (typeof key !== "string" || key.length === 0 || key.length > SHARED_LIMITS.key) {
    throw new KontractError(
      "VALIDATION",
      `A key of env.shared is a text of 1 to ${SHARED_LIMITS.key} characters.`,
    );
  }
  return key;
}

function checkOptions(options: SharedSetOptions): SharedSetOptions {
  const { ttl } = options;
  if (ttl !== undefined && (!Number.isSafeInteger(ttl) || ttl < 1)) {
    throw new KontractError(
      "VALIDATION",
      `'ttl' is a positive number of milliseconds: it is ${ttl}.`,
    );
  }
  return options;
}

function toText(value: unknown): string {
  let text: string | undefined;
  try {
    text = plainJson(value);
  } catch (cause) {
    throw new KontractError("VALIDATION", "A value of env.shared is plain JSON.", { cause });
  }
  if (text === undefined) {
    throw new KontractError("VALIDATION", "A value of env.shared is plain JSON, not undefined.");
  }
  if (text.length > SHARED_LIMITS.value) {
    throw new KontractError(
      "TOO_LARGE",
      `A value of env.shared has at most ${SHARED_LIMITS.value} characters of JSON: it has ${text.length}.`,
    );
  }
  return text;
}
