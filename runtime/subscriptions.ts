/**
 * Subscriptions over storage: puts the change feed, the change hub, topics and the sealer behind the
 * one stream of events that op `SUBSCRIBE` and `GET /events` send.
 *
 * The session is checked by the database in every read, so a revoked session's stream ends with the
 * next change or poll. A stream lives no longer than its session; the follower reconnects with a new
 * token and its last id, and misses nothing.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import {
  type ChangeFeed,
  type FeedBatch,
  type ResumeSealer,
  type ServerEvent,
  subscriptionEvents,
  TOPIC_PREFIX,
  type TopicHub,
} from "../events/mod.ts";
import type { StorageEngine, StorageSession } from "../storage/contract.ts";
import type { ChangeHub } from "./ports.ts";

/** What {@link openSubscription} is made from. */
export interface OpenSubscriptionOptions {
  readonly engine: Pick<StorageEngine, "changes">;
  readonly session: StorageSession;
  readonly changes: ChangeHub;
  /** Where `topic:<name>` is followed; without it topics are refused. */
  readonly topics?: TopicHub;
  /** Table, or `topic:<name>`. */
  readonly source: string;
  readonly filter?: Readonly<Record<string, unknown>>;
  /** The follower's last id, or null. */
  readonly resume: string | null;
  readonly sealer: ResumeSealer;
  /** Ends the events quietly. */
  readonly signal: AbortSignal;
  /** Longest wait for a wake, in milliseconds. */
  readonly pollMs?: number;
  /** Time source for the session's end; the host's own where missing. */
  now?(): number;
}

/**
 * Events of one source, as `session` may see them. Feed it with what `parseSubscribeRequest` gave.
 *
 * @throws {KontractError} at the first or any later step: `NOT_FOUND`, `PERMISSION_DENIED`,
 *   `VALIDATION`, `SESSION_EXPIRED`, `SESSION_REVOKED`, `DATABASE_UNAVAILABLE`
 */
export function openSubscription(
  options: OpenSubscriptionOptions,
): AsyncGenerator<ServerEvent, void, void> {
  const { source, session, filter, changes } = options;
  const topic = source.startsWith(TOPIC_PREFIX) ? source.slice(TOPIC_PREFIX.length) : null;
  const topics = options.topics;
  return subscriptionEvents({
    source,
    feed: whileAlive(options, topic === null ? tableFeed(options) : topicFeed(options, topic)),
    next: (timeoutMs, signal) =>
      topic === null || topics === undefined
        ? changes.next(timeoutMs, signal)
        : topics.next(timeoutMs, signal),
    sealer: options.sealer,
    binding: canonical([session.tenant, session.owner, source, filter ?? null]),
    resume: options.resume,
    signal: options.signal,
    pollMs: options.pollMs,
  });
}

function tableFeed({ engine, session, source, filter }: OpenSubscriptionOptions): ChangeFeed {
  const missing = (cause?: unknown): KontractError =>
    new KontractError("NOT_FOUND", `There is no table '${source}' to follow.`, { cause });
  // System tables do not exist for followers, whatever the session may do.
  if (source.startsWith("_")) throw missing();
  return {
    async changes({ after, limit }): Promise<FeedBatch> {
      try {
        return await engine.changes({
          session,
          table: source,
          ...(filter === undefined ? {} : { filter }),
          after,
          limit,
        });
      } catch (error) {
        // The name came from the caller, so an unknown table is the caller's mistake, not the server's.
        if (error instanceof KontractError && error.code === "SCHEMA_MISMATCH") {
          throw missing(error);
        }
        throw error;
      }
    },
  };
}

function topicFeed(options: OpenSubscriptionOptions, name: string): ChangeFeed {
  if (options.topics === undefined) {
    throw new KontractError("NOT_FOUND", "This server has no topics.");
  }
  if (options.filter !== undefined) {
    throw new KontractError("VALIDATION", "A topic takes no filter.");
  }
  return options.topics.feed(options.session.tenant, name);
}

function whileAlive(options: OpenSubscriptionOptions, feed: ChangeFeed): ChangeFeed {
  const now = options.now ?? Date.now;
  return {
    changes: (request) =>
      now() >= options.session.expiresAt
        ? Promise.reject(new KontractError("SESSION_EXPIRED"))
        : feed.changes(request),
  };
}

/** JSON with sorted keys: the same question has the same text. */
function canonical(value: unknown): string {
  return JSON.stringify(
    value,
    (_key, inner: unknown) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
        : inner,
  );
}
