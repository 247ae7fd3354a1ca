/**
 * Subscriptions over storage: puts the change feed, the change hub, topics and the sealer behind the
 * one stream of events that op `SUBSCRIBE` and `GET /events` send.
 *
 * The session is checked by the database in every read of a table, so a revoked session's stream ends with
 * the next change or poll; a topic's follower is looked up every few seconds. A stream lives no longer than its session; the follower reconnects with a new
 * token and its last id, and misses nothing.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import {
  type FeedBatch,
  type FollowedFeed,
  parseTopicSource,
  type ResumeSealer,
  type ServerEvent,
  subscriptionEvents,
  TOPIC_PREFIX,
  type TopicSource,
} from "../events/mod.ts";
import type { StorageEngine, StorageSession } from "../storage/contract.ts";
import { pastLocks } from "./locked_table.ts";
import type { ChangeHub, Topics } from "./ports.ts";

/** What {@link openSubscription} is made from. */
export interface OpenSubscriptionOptions {
  readonly engine: Pick<StorageEngine, "changes">;
  readonly session: StorageSession;
  readonly changes: ChangeHub;
  readonly topics: Pick<Topics, "follow">;
  /** Until when (ms) the session may follow a topic. Rejects with `PERMISSION_DENIED` where it may not. */
  mayFollow(topic: TopicSource): Promise<number>;
  /** Rejects where the session has been ended. A topic asks no database, so it is asked here instead. */
  checkAlive(): Promise<void>;
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
  const { session, filter } = options;
  const topic = parseTopicSource(options.source);
  // A grant is no part of the name: a follower goes on with another one where it stopped.
  const source = topic === null ? options.source : `${TOPIC_PREFIX}${topic.name}`;
  const feed = topic === null ? tableFeed(options) : topicFeed(options, topic);
  return subscriptionEvents({
    source,
    feed: whileAlive(options, feed),
    next: feed.next,
    sealer: options.sealer,
    binding: canonical([session.tenant, session.owner, source, filter ?? null]),
    resume: options.resume,
    signal: options.signal,
    pollMs: options.pollMs,
  });
}

function tableFeed(options: OpenSubscriptionOptions): FollowedFeed {
  const { engine, session, source, filter, changes } = options;
  const missing = (cause?: unknown): KontractError =>
    new KontractError("NOT_FOUND", `There is no table '${source}' to follow.`, { cause });
  // System tables do not exist for followers, whatever the session may do.
  if (source.startsWith("_")) throw missing();
  let feed = "";
  return {
    async changes({ after, limit }): Promise<FeedBatch> {
      try {
        const batch = await engine.changes({
          session,
          table: source,
          ...(filter === undefined ? {} : { filter }),
          after,
          limit,
        });
        feed = batch.feed;
        return batch;
      } catch (error) {
        // The name came from the caller, so an unknown table is the caller's mistake, not the server's.
        if (error instanceof KontractError && error.code === "SCHEMA_MISMATCH") {
          throw missing(error);
        }
        throw error;
      }
    },
    // Its first read, which says the feed, comes before the first wait.
    next: (timeoutMs, signal) => changes.next(feed, timeoutMs, signal),
  };
}

/** How old the last look at a topic follower's session may be when something is delivered. */
const ALIVE_MS = 5_000;

function topicFeed(options: OpenSubscriptionOptions, topic: TopicSource): FollowedFeed {
  if (options.filter !== undefined) {
    throw new KontractError("VALIDATION", "A topic takes no filter.");
  }
  const now = options.now ?? Date.now;
  const feed = options.topics.follow(options.session.tenant, topic.name);
  let until: number | null = null;
  let checkedAt = -Infinity;
  return {
    async changes(request): Promise<FeedBatch> {
      if (until === null || now() >= until) until = await options.mayFollow(topic);
      if (now() - checkedAt >= ALIVE_MS) {
        await options.checkAlive();
        checkedAt = now();
      }
      return await feed.changes(request);
    },
    next: feed.next,
  };
}

function whileAlive(
  options: OpenSubscriptionOptions,
  feed: FollowedFeed,
): Pick<FollowedFeed, "changes"> {
  const now = options.now ?? Date.now;
  return {
    changes: (request) =>
      pastLocks(
        () =>
          now() >= options.session.expiresAt
            ? Promise.reject(new KontractError("SESSION_EXPIRED"))
            : feed.changes(request),
        options.signal,
      ),
  };
}

/** JSON with sorted keys: the same question has the same text. */
function canonical(value: unknown): string {
  return JSON.stringify(
    value,
    (_key, inner: unknown) =>
      typeof inner === "bigint"
        ? `${inner}n`
        : typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
        : inner,
  );
}
