/**
 * What a follower of changes receives, and what it asks for: plain data, the same over raystream and
 * over SSE.
 *
 * A stream starts with `ready` (`data.resumed` says whether it goes on where an earlier one stopped)
 * or with `reset` and then `ready`. After `reset` the follower's picture is worthless: it reads again.
 * `id` is the resume token that belongs to the point *after* which a new stream would go on. Inside a
 * transaction it stays that of the transaction's start, so a stream cut there repeats the whole
 * transaction: at least once, never a gap.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** Kinds of events. `message` belongs to topics; `insert | update | delete` to tables. */
export type EventType = "ready" | "reset" | "insert" | "update" | "delete" | "message";

/** All of them. */
export const EVENT_TYPES: readonly EventType[] = [
  "ready",
  "reset",
  "insert",
  "update",
  "delete",
  "message",
];

/** One event. */
export interface ServerEvent {
  /** Resume token; opaque. */
  readonly id: string;
  /** What happened. */
  readonly type: EventType;
  /** Table, or `topic:<name>`. */
  readonly source: string;
  /** Id of the row; null where the event is not about one. */
  readonly key: string | null;
  /** The row as the follower may read it, a topic's message, or null. */
  readonly data: unknown;
}

/** What a follower asks for. */
export interface SubscribeRequest {
  /** Table, or `topic:<name>`, with `~` and a grant where the topic needs one. */
  readonly source: string;
  /** Same form as `query`'s filter. */
  readonly filter?: Readonly<Record<string, unknown>>;
  /** `id` of the last event that was dealt with. */
  readonly resume?: string;
}

/** Bounds of a request; each keeps one field from costing more than it is worth. */
export const SUBSCRIBE_LIMITS = {
  /** Characters of `source`. */
  source: 256,
  /** Characters of `filter` as JSON: it travels into a statement. */
  filter: 8192,
  /** Characters of `resume`: ours hold two snapshots, a few hundred; thousands under heavy writing. */
  resume: 8192,
} as const;

// A topic may carry a grant behind `~`.
const SOURCE = /^(?:[A-Za-z0-9][A-Za-z0-9_.\/-]*|topic:[A-Za-z0-9][A-Za-z0-9_.\/-]*(?:~[\w-]+)?)$/;

/**
 * Unknown data → request.
 *
 * @throws {KontractError} `VALIDATION`
 */
export function parseSubscribeRequest(value: unknown): SubscribeRequest {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new KontractError("VALIDATION", "A subscription must be an object with a 'source'.");
  }
  const { source, filter, resume } = value as Record<string, unknown>;
  return {
    source: parseSource(source),
    ...(filter === undefined || filter === null ? {} : { filter: parseFilter(filter) }),
    ...(resume === undefined || resume === null ? {} : { resume: parseResume(resume) }),
  };
}

function parseSource(value: unknown): string {
  if (
    typeof value !== "string" || value.length > SUBSCRIBE_LIMITS.source || !SOURCE.test(value)
  ) {
    throw new KontractError(
      "VALIDATION",
      `'source' must be a table or 'topic:<name>' of at most ${SUBSCRIBE_LIMITS.source} characters.`,
    );
  }
  return value;
}

function parseFilter(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new KontractError("VALIDATION", "'filter' must be an object of fields.");
  }
  if (jsonLength(value) > SUBSCRIBE_LIMITS.filter) {
    throw new KontractError(
      "VALIDATION",
      `'filter' must be plain data of at most ${SUBSCRIBE_LIMITS.filter} characters.`,
    );
  }
  return value as Readonly<Record<string, unknown>>;
}

function jsonLength(value: object): number {
  try {
    return JSON.stringify(value, (_key, inner) => typeof inner === "bigint" ? `${inner}` : inner)
      .length;
  } catch {
    return Infinity; // cyclic
  }
}

function parseResume(value: unknown): string {
  if (typeof value !== "string" || value.length > SUBSCRIBE_LIMITS.resume) {
    throw new KontractError(
      "VALIDATION",
      `'resume' must be a token of at most ${SUBSCRIBE_LIMITS.resume} characters.`,
    );
  }
  return value;
}
