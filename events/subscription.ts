/**
 * The pull loop behind one subscription: reads a feed from a position and turns batches into events.
 *
 * - **No gap at the start**: the position is taken before `ready` is sent, so whatever a follower reads
 *   after `ready` is at most as old as the first event.
 * - **No missed wake**: the wake is armed before the feed is read, so a commit between the read and the
 *   wait is seen at once; polling bounds the delay for writers that wake nobody.
 * - **Back-pressure**: nothing is read before the reader asks. A slow reader holds one batch, never a
 *   queue; one that falls behind retention gets `reset`.
 * - **Rights**: the feed checks the session in every read; its error ends the stream.
 *
 * Pure apart from the feed, the wake and the sealer, which come in as parameters.
 *
 * @module
 */
import type { EventType, ServerEvent } from "./event.ts";
import { isKontractCode } from "./failure.ts";

/** One change, as a feed gives it. */
export interface FeedChange {
  readonly type: Extract<EventType, "insert" | "update" | "delete" | "message">;
  /** Row id; empty where the change is not about a row. */
  readonly id: string;
  readonly data: unknown;
}

/** Whole transactions, in commit order. */
export interface FeedBatch {
  readonly changes: readonly FeedChange[];
  readonly position: string;
  /** True: `after` cannot be continued. */
  readonly reset: boolean;
  /** True where more is ready now. */
  readonly more: boolean;
}

/** Where changes come from: a table's change feed or a topic. */
export interface ChangeFeed {
  /** `after: null` gives the position now and no changes. */
  changes(
    options: { readonly after: string | null; readonly limit: number },
  ): Promise<FeedBatch>;
}

/** A feed that says itself when to read again. */
export interface FollowedFeed extends ChangeFeed {
  /** Resolves at the next change after the position read last, or after `timeoutMs`; never rejects. */
  next(timeoutMs: number, signal: AbortSignal): Promise<void>;
}

/** Seals positions into resume tokens; a token is bound to who asked for what. */
export interface ResumeSealer {
  /** Position → token. */
  seal(position: string, binding: string): Promise<string>;
  /** Token → position; null for anything that this deployment did not seal for `binding`. */
  open(token: string, binding: string): Promise<string | null>;
}

/** What a subscription is made from. */
export interface SubscriptionOptions {
  readonly source: string;
  readonly feed: ChangeFeed;
  /** Resolves at the next change or after `timeoutMs`; never rejects. */
  next(timeoutMs: number, signal: AbortSignal): Promise<void>;
  readonly sealer: ResumeSealer;
  /** Names subject, source and filter; a token of another binding is refused. */
  readonly binding: string;
  /** The follower's last id, or null. */
  readonly resume: string | null;
  readonly signal: AbortSignal;
  /** Longest wait for a wake, in milliseconds; 2,000 where not said. */
  readonly pollMs?: number;
  /** Changes per read; 256 where not said. */
  readonly limit?: number;
}

/**
 * Events of one subscription, until the signal is aborted (ends quietly) or the feed refuses (throws).
 *
 * @throws {KontractError} whatever the feed throws: `SESSION_REVOKED`, `PERMISSION_DENIED`, …
 */
export async function* subscriptionEvents(
  options: SubscriptionOptions,
): AsyncGenerator<ServerEvent, void, void> {
  const { source, signal } = options;
  const limit = options.limit ?? 256;
  const event = (id: string, type: EventType, key: string | null, data: unknown): ServerEvent => ({
    id,
    type,
    source,
    key,
    data,
  });

  const start = await startPosition(options, limit);
  if (signal.aborted) return;
  let position = start.position;
  let token = await options.sealer.seal(position, options.binding);
  if (start.lost) yield event(token, "reset", null, null);
  yield event(token, "ready", null, { resumed: start.first !== null });

  let first = start.first;
  while (!signal.aborted) {
    const armed = new AbortController();
    const woken = options.next(options.pollMs ?? 2000, AbortSignal.any([signal, armed.signal]));
    try {
      // A batch read at the start was read before any wake was armed: never wait after it.
      const wait = first === null;
      const batch = first ?? await readBatch(options, position, limit);
      first = null;
      if (batch.reset) {
        position = (await options.feed.changes({ after: null, limit })).position;
        token = await options.sealer.seal(position, options.binding);
        yield event(token, "reset", null, null);
        yield event(token, "ready", null, { resumed: false });
        continue;
      }
      const before = token;
      if (batch.position !== position) {
        position = batch.position;
        token = await options.sealer.seal(position, options.binding);
      }
      const last = batch.changes.length - 1;
      for (const [index, change] of batch.changes.entries()) {
        if (signal.aborted) return;
        const id = index === last ? token : before;
        yield event(id, change.type, change.id === "" ? null : change.id, change.data);
      }
      if (wait && !batch.more) await woken;
    } finally {
      armed.abort(); // the wake must not outlive the turn it was armed for
    }
  }
}

interface Start {
  readonly position: string;
  /** What happened since the follower's token; null where it starts afresh. */
  readonly first: FeedBatch | null;
  /** True where the follower had a token that cannot be continued. */
  readonly lost: boolean;
}

/** Whether a token still stands is known before `ready` is sent, at no extra read. */
async function startPosition(options: SubscriptionOptions, limit: number): Promise<Start> {
  if (options.resume !== null) {
    const position = await options.sealer.open(options.resume, options.binding);
    if (position !== null) {
      const first = await readBatch(options, position, limit);
      if (!first.reset) return { position, first, lost: false };
    }
  }
  const { position } = await options.feed.changes({ after: null, limit });
  return { position, first: null, lost: options.resume !== null };
}

const RESET: FeedBatch = { changes: [], position: "", reset: true, more: false };

async function readBatch(
  options: SubscriptionOptions,
  after: string,
  limit: number,
): Promise<FeedBatch> {
  try {
    return await options.feed.changes({ after, limit });
  } catch (error) {
    if (isKontractCode(error, "SNAPSHOT_TOO_OLD")) return RESET;
    throw error;
  }
}
