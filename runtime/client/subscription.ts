/**
 * Following a source over any number of connections: reconnects with jittered back-off, resumes after
 * the last event, drops what it has seen, and says `reset` where the server says so.
 *
 * A transaction that was cut in the middle comes again as a whole; the part already delivered is
 * recognised (type, key and data, in number) and dropped. Delivery is at least once in theory and once
 * in practice.
 *
 * @module
 */
import { EVENT_TYPES, type EventType, type ServerEvent } from "../../events/event.ts";
import { type ErrorCode, KontractError } from "../../_internal/errors.ts";
import { pauseAway } from "../../_internal/pause.ts";
import { type ClientError, type ErrorClasses, hasCode, toClientError } from "./failure.ts";

/** A server event as the client hands it out: a row of type `T`, or a topic's message. */
export interface ClientEvent<T = unknown> extends Omit<ServerEvent, "data"> {
  /** The row or message; null for `delete` and `reset`; `{ resumed }` for `ready`. */
  readonly data: T | null;
}

/** State of the connection behind a subscription. */
export type SubscriptionStatus = "connecting" | "live" | "closed";

/** Options of `subscribe`. */
export interface SubscribeOptions<T = unknown> {
  /** Same form as `query`'s filter. */
  readonly filter?: Readonly<Record<string, unknown>>;
  /** Aborting ends the subscription. */
  readonly signal?: AbortSignal;
  /** Called for each event; starts the subscription at once, without an iterator. */
  onEvent?(event: ClientEvent<T>): void;
  /** Called once where the subscription ends by an error that no reconnection mends. */
  onError?(error: ClientError): void;
  /** Called when the connection comes and goes. */
  onStatus?(status: SubscriptionStatus): void;
}

/** A running subscription. */
export interface Subscription<T = unknown> extends AsyncIterable<ClientEvent<T>> {
  /** Ends it, quietly. */
  close(): void;
}

/** Opens one connection: a stream of events after `resume`. */
export type Connect = (
  resume: string | undefined,
  signal: AbortSignal,
) => AsyncIterable<unknown>;

/** Longest pause between two attempts. */
const MAX_PAUSE_MS = 10_000;

/** Nothing but time or a new connection mends these. */
export const PASSING: readonly ErrorCode[] = [
  "NETWORK",
  "OUTCOME_UNKNOWN",
  "OVERLOADED",
  "DATABASE_UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "RATE_LIMITED",
  "RAY_TICKET",
  "SESSION_EXPIRED",
];

/** All events of a source until the signal is aborted (ends) or an error does not pass (throws). */
export async function* followEvents(
  connect: Connect,
  signal: AbortSignal,
  onStatus: (status: SubscriptionStatus) => void,
): AsyncGenerator<ClientEvent, void, void> {
  const seen = new Seen();
  let resume: string | undefined;
  const open = (): AsyncIterable<unknown> => connect(resume, signal);
  const passing = [...PASSING, "INTERNAL" as const];
  for await (const value of overConnections(open, { signal, onStatus, passing })) {
    const event = parseEvent(value);
    if (event.type === "ready") onStatus("live");
    resume = event.id; // taken as dealt with: a consumer that throws ends the iteration anyway
    if (seen.isFresh(event)) yield event;
  }
}

/** Options of {@link overConnections}. */
export interface ConnectionsOptions {
  /** Aborting ends it, quietly. */
  readonly signal: AbortSignal;
  /** The app's own error classes. */
  readonly errors?: ErrorClasses | undefined;
  /** Codes of errors that a new connection may mend. */
  readonly passing: readonly ErrorCode[];
  /** Told when a connection comes and goes; who reads says when it is `live`. */
  onStatus(status: SubscriptionStatus): void;
}

/**
 * What connections give, one after another: a lost one, and one that ended by an error that passes, is followed by the
 * next after a pause. Any other error is thrown.
 */
export async function* overConnections<T>(
  open: () => AsyncIterable<T>,
  { signal, errors, passing, onStatus }: ConnectionsOptions,
): AsyncGenerator<T, void, void> {
  let failures = 0;
  try {
    while (!signal.aborted) {
      onStatus("connecting");
      const openedAt = performance.now();
      try {
        for await (const value of open()) {
          if (signal.aborted) return;
          yield value;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!hasCode(error, ...passing)) throw toClientError(error, errors);
      }
      failures = performance.now() - openedAt > 5000 ? 0 : failures + 1;
      if (!signal.aborted) {
        onStatus("connecting");
        await pauseAway(Math.random() * Math.min(MAX_PAUSE_MS, 250 * 2 ** failures), signal);
      }
    }
  } finally {
    onStatus("closed");
  }
}

/** Tells each value, and the error where there is a listener for it. */
export async function deliver<T>(
  values: AsyncGenerator<T, void, void>,
  tell: (value: T) => void,
  told: Pick<SubscribeOptions, "onError">,
): Promise<void> {
  try {
    for await (const value of values) tell(value);
  } catch (error) {
    const failure = toClientError(error);
    if (told.onError === undefined) throw failure;
    told.onError(failure);
  }
}

/** Remembers the delivered part of the transaction that the last position stands before. */
class Seen {
  #base = "";
  readonly #delivered = new Map<string, number>();
  #repeated = new Map<string, number>();

  isFresh(event: ClientEvent): boolean {
    if (event.type === "ready" || event.type === "reset") {
      const resumed = (event.data as { resumed?: unknown } | null)?.resumed === true;
      if (!resumed) this.#delivered.clear();
      this.#repeated = new Map(this.#delivered);
      this.#base = event.id;
      return true;
    }
    const print = JSON.stringify([event.type, event.key, event.data], printable);
    const left = this.#repeated.get(print) ?? 0;
    if (event.id !== this.#base) {
      // The transaction is complete. What equals it from here on is news, not a repeat.
      this.#base = event.id;
      this.#delivered.clear();
      this.#repeated.clear();
    } else if (left > 0) this.#repeated.set(print, left - 1);
    else this.#delivered.set(print, (this.#delivered.get(print) ?? 0) + 1);
    return left === 0;
  }
}

function printable(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}

function parseEvent(value: unknown): ClientEvent {
  const { id, type, source, key, data } = Object(value) as Record<string, unknown>;
  if (
    typeof id !== "string" || typeof source !== "string" ||
    !EVENT_TYPES.includes(type as EventType) || (typeof key !== "string" && key !== null)
  ) {
    throw new KontractError("RAY_DECODE", "The server sent an event of an unknown form.");
  }
  return { id, type: type as EventType, source, key, data: data ?? null };
}
