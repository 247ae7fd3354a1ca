/**
 * The loop behind one live query: a function's result, and again whenever that has changed.
 *
 * - **No gap.** What is looked for after a run are changes after the snapshot that the run itself read, so none can
 *   fall between reading and following. A wake is armed before the look; polling bounds the delay of writers that
 *   wake nobody.
 * - **Never backwards.** Runs follow one another and each takes its own snapshot, so a later value is of a later
 *   state. A value that is the last one again, byte for byte, is not given; that is told by a digest, so a result
 *   that somebody has is held for nobody.
 * - **No queue.** Nothing runs before the reader asks, and runs keep a distance: what changes meanwhile is one
 *   change.
 * - **No work without a change.** A look is one statement for each table that was read; the function runs only where
 *   one of them says so.
 *
 * Pure apart from the function, the look and the wake, which come in as parameters.
 *
 * @module
 */
import { sha256 } from "../_internal/sha256.ts";
import { equalBytes } from "../protocol/bytes.ts";
import type { ReadObserver } from "../storage/contract.ts";
import { earlierPosition } from "../storage/position.ts";
import { pause } from "../_internal/pause.ts";

/** What a live query is made from. */
export interface LiveQueryOptions {
  /** One run of the function: its result in bytes. Tells what it reads. */
  run(reading: ReadObserver): Promise<Uint8Array>;
  /** Up to which position a table is as it was after `position`, or null where it has changed. */
  unchanged(table: string, position: string): Promise<string | null>;
  /** Asked in place of tables where none was read. Rejects where the session has ended. */
  checkAlive(): Promise<void>;
  /** Resolves at the next change of a feed, or after `timeoutMs`; never rejects. */
  next(feed: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Ends it quietly. */
  readonly signal: AbortSignal;
  /** Longest wait for a wake, in milliseconds; 2,000 where not said. */
  readonly pollMs?: number;
  now(): number;
}

/** One value. */
export interface LiveValue {
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes. */
  readonly digest: Uint8Array;
}

/** Milliseconds from one run to the next at least: a burst of changes is no burst of runs. */
export const RUN_DISTANCE_MS = 100;

const POLL_MS = 2_000;

/**
 * Values of one live query, until the signal is aborted.
 *
 * @throws whatever a run or a look throws
 */
export async function* liveValues(
  options: LiveQueryOptions,
): AsyncGenerator<LiveValue, void, void> {
  const { signal, now, pollMs = POLL_MS } = options;
  let reads: ReadSet | null = null;
  let last: Uint8Array | null = null;
  let ranAt = -Infinity;
  while (!signal.aborted) {
    const armed = new AbortController();
    const end = AbortSignal.any([signal, armed.signal]);
    const followed: readonly string[] = reads === null ? [] : [...reads.feeds.values()];
    const woken = followed.length === 0
      ? pause(pollMs, end)
      : Promise.race(followed.map((feed) => options.next(feed, pollMs, end)));
    try {
      if (reads === null || await isStale(options, reads)) {
        // A clock that was set back holds nothing up.
        await pause(Math.min(ranAt + RUN_DISTANCE_MS - now(), RUN_DISTANCE_MS), signal);
        if (signal.aborted) return;
        ranAt = now();
        reads = new ReadSet();
        const bytes = await options.run(reads);
        const digest = await sha256(bytes);
        if (last === null || !equalBytes(last, digest)) {
          last = digest;
          yield { bytes, digest };
        }
        // A table that nobody listened to is looked at once more, with its wake armed.
        if ([...reads.feeds.values()].some((feed) => !followed.includes(feed))) continue;
      }
      await woken;
    } finally {
      armed.abort(); // the wakes must not outlive the turn they were armed for
    }
  }
}

/** What one run has read: tables with their feeds, and the first of its snapshots, its transactions' included. */
class ReadSet implements ReadObserver {
  readonly feeds = new Map<string, string>();
  position: string | null = null;

  table(name: string, feed: string): void {
    this.feeds.set(name, feed);
  }

  snapshot(position: string): void {
    this.position = this.position === null ? position : earlierPosition(this.position, position);
  }
}

/** Looks at each table; where none has changed, the set stands where the first look was. */
async function isStale(options: LiveQueryOptions, reads: ReadSet): Promise<boolean> {
  const { feeds, position } = reads;
  if (feeds.size === 0 || position === null) {
    await options.checkAlive();
    return false;
  }
  let first: string | null = null;
  for (const table of feeds.keys()) {
    const reached = await options.unchanged(table, position);
    if (reached === null) return true;
    first ??= reached;
  }
  reads.position = first;
  return false;
}
