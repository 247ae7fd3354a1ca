/**
 * Ports: everything that differs between hosts. Two adapters implement them, `runtime/workers` (Durable
 * Objects) and `runtime/deno` (in process, `node:sqlite` for what must outlive it); the shared suites in
 * `tests/` run against both.
 *
 * Correctness never depends on a port: isolation, rights and exactly-once live in PostgreSQL. A port may
 * lose what it caches; it may not invent anything.
 *
 * @module
 */
import type { FollowedFeed } from "../events/mod.ts";
import type { Database } from "../storage/database.ts";

/** Time source, in milliseconds since the epoch. */
export interface Clock {
  now(): number;
}

/** Structured log. Values pass a redactor: keys, tickets, tokens and payloads never print. */
export interface Log {
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
  error(event: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Options of {@link SharedState.set}. */
export interface SharedSetOptions {
  /** Lifetime in milliseconds; forever where missing. */
  readonly ttl?: number;
  /** True: survives a restart of the host. */
  readonly durable?: boolean;
}

/** A token bucket's answer. */
export interface RateLimitResult {
  /** True where the call may go on. */
  readonly allowed: boolean;
  /** Calls left right now. */
  readonly remaining: number;
  /** Milliseconds until one more is allowed; 0 where allowed. */
  readonly retryAfter: number;
}

/** Global shared state (`env.shared`): consistent per key. Values are JSON text. */
export interface SharedState {
  get(key: string): Promise<string | null>;
  set(key: string, value: string, options?: SharedSetOptions): Promise<void>;
  delete(key: string): Promise<boolean>;
  increment(key: string, by: number, options?: SharedSetOptions): Promise<number>;
  /** Sets `value` only where the current value is `expected` (null: absent). */
  compareAndSet(
    key: string,
    expected: string | null,
    value: string,
    options?: SharedSetOptions,
  ): Promise<boolean>;
  rateLimit(key: string, limit: number, windowMs: number): Promise<RateLimitResult>;
}

/** Wakes whoever follows changes after a commit, and tells followers. */
export interface ChangeHub {
  /** Called after a commit, with its feeds; returns at once, loses nothing that polling would not find. */
  wake(feeds: readonly string[]): void;
  /** Resolves at the next wake of a feed or after `timeoutMs`, whichever is first; never rejects. */
  next(feed: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
}

/**
 * Custom topics: messages to whoever follows. In one process on Deno; on Workers each topic of each tenant
 * is a Durable Object, so all isolates share it. A topic's identity is (tenant, name).
 */
export interface Topics {
  /** Sends checked messages of one topic in order; returns at once. */
  publish(tenant: string, name: string, messages: readonly unknown[]): void;
  /** The topic as one follower reads it. */
  follow(tenant: string, name: string): FollowedFeed;
}

/** Per-epoch randoms that make tickets forward secret (1 h epochs); deleted with their epoch. */
export interface EpochStore {
  /** 32 bytes for `epoch`, made on first use for the current epoch; null where it is gone or never was. */
  random(epoch: number): Promise<Uint8Array | null>;
}

/** All ports of a gateway. */
export interface Ports {
  readonly clock: Clock;
  readonly log: Log;
  readonly database: Database;
  readonly shared: SharedState;
  readonly changes: ChangeHub;
  readonly topics: Topics;
  readonly epochs: EpochStore;
  /** `KONTRACT_SECRET`, newest first, each at least 32 bytes decoded. */
  readonly secrets: readonly Uint8Array[];
  /** Values for `secret(name)`. */
  secret(name: string): string | undefined;
  /** Keeps the host alive until the promise settles (`waitUntil` on Workers). */
  background(work: Promise<unknown>): void;
}
