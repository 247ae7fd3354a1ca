/**
 * Custom topics: messages that an app sends with `env.events.emit(topic, data)`.
 *
 * A hub lives in one process (on Workers in a Durable Object, one per topic). Followers get every message
 * in the order of publication; the newest {@link TopicLimits.history} of a topic are kept for resuming, and a resume
 * from before them, or from another process or an earlier run, is a `reset`. A message is published
 * by the runtime after the commit of the call that sent it, never before.
 *
 * Tenants never meet: a topic's identity is (tenant, name).
 *
 * @module
 */
import { Bells } from "../_internal/bell.ts";
import { KontractError } from "../_internal/errors.ts";
import { plainJson } from "../_internal/plain_json.ts";
import type { ChangeFeed, FeedBatch, FeedChange, FollowedFeed } from "./subscription.ts";

/** Bounds of a hub; each says what it protects. */
export interface TopicLimits {
  /** Messages kept per topic, for slow followers and resuming. */
  readonly history: number;
  /** Characters of one message as JSON. */
  readonly message: number;
  /** Topics with a history; beyond it the one that was quiet longest is forgotten. */
  readonly topics: number;
}

/** Limits where none are given. */
export const TOPIC_LIMITS: TopicLimits = { history: 256, message: 65_536, topics: 4096 };

/** Prefix that tells a topic from a table in `subscribe`. */
export const TOPIC_PREFIX = "topic:";

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.\/-]{0,127}$/;

/**
 * Checks a message without sending it, so that a call can refuse it before its commit.
 *
 * @returns the message as it will arrive: plain JSON, a copy
 * @throws {KontractError} `VALIDATION`, `TOO_LARGE`
 */
export function checkMessage(
  name: string,
  data: unknown,
  limits: TopicLimits = TOPIC_LIMITS,
): unknown {
  checkName(name);
  let text: string | undefined;
  try {
    text = plainJson(data ?? null);
  } catch (cause) {
    throw new KontractError("VALIDATION", `The message to '${name}' is not plain JSON.`, { cause });
  }
  if (text === undefined) {
    throw new KontractError("VALIDATION", `The message to '${name}' is not plain JSON.`);
  }
  if (text.length > limits.message) {
    throw new KontractError(
      "TOO_LARGE",
      `The message to '${name}' has ${text.length} characters of JSON; the limit is ${limits.message}.`,
    );
  }
  return JSON.parse(text);
}

/** Refuses what is no topic's name. @throws {KontractError} `VALIDATION` */
export function checkName(name: string): void {
  if (typeof name === "string" && NAME.test(name)) return;
  throw new KontractError(
    "VALIDATION",
    "A topic's name has 1 to 128 characters of A-Z a-z 0-9 _ . / - and starts with a letter or digit.",
  );
}

/** A topic to follow, taken apart. */
export interface TopicSource {
  readonly name: string;
  /** What shows that the follower may, or null. */
  readonly grant: string | null;
}

/** `topic:<name>` or `topic:<name>~<grant>`; null for anything else, a table for one. */
export function parseTopicSource(source: string): TopicSource | null {
  if (!source.startsWith(TOPIC_PREFIX)) return null;
  const rest = source.slice(TOPIC_PREFIX.length);
  const at = rest.indexOf("~");
  return at < 0
    ? { name: rest, grant: null }
    : { name: rest.slice(0, at), grant: rest.slice(at + 1) };
}

interface Topic {
  /** Sequence of the first message kept. */
  first: number;
  readonly messages: FeedChange[];
}

/** All topics of one process. */
export class TopicHub {
  readonly #limits: TopicLimits;
  /** Tells this hub's positions from those of another process or run. */
  readonly #epoch: string;
  readonly #topics = new Map<string, Topic>();
  readonly #bells = new Bells();
  /** Sequences go on where a forgotten topic stopped, so an old position can never fit a new message. */
  #sequence = 0;

  /** `epoch` must be new for every hub; random where not given. */
  constructor(limits: Partial<TopicLimits> = {}, epoch: string = crypto.randomUUID()) {
    this.#limits = { ...TOPIC_LIMITS, ...limits };
    this.#epoch = epoch;
  }

  /** Sends a message to all followers of the tenant's topic; returns at once. */
  publish(tenant: string, name: string, data: unknown): void {
    const message: FeedChange = {
      type: "message",
      id: "",
      data: checkMessage(name, data, this.#limits),
    };
    const topic = this.#open(tenant, name);
    topic.messages.push(message);
    this.#sequence += 1;
    if (topic.messages.length > this.#limits.history) {
      topic.messages.shift();
      topic.first += 1;
    }
    this.#bells.ring(keyOf(tenant, name));
  }

  /** The tenant's topic as a feed of changes. */
  feed(tenant: string, name: string): ChangeFeed {
    checkName(name);
    return {
      changes: ({ after, limit }): Promise<FeedBatch> =>
        Promise.resolve(this.#read(tenant, name, after, limit)),
    };
  }

  /** The same with the topic's wake. */
  follow(tenant: string, name: string): FollowedFeed {
    return {
      ...this.feed(tenant, name),
      next: (timeoutMs, signal) => this.#bells.next(keyOf(tenant, name), timeoutMs, signal),
    };
  }

  #open(tenant: string, name: string): Topic {
    const key = keyOf(tenant, name);
    const known = this.#topics.get(key);
    // Moved to the end: the map's order is "quiet longest first".
    this.#topics.delete(key);
    const topic = known ?? { first: this.#sequence, messages: [] };
    this.#topics.set(key, topic);
    if (this.#topics.size > this.#limits.topics) {
      for (const oldest of this.#topics.keys()) {
        this.#topics.delete(oldest);
        break;
      }
    }
    return topic;
  }

  #read(tenant: string, name: string, after: string | null, limit: number): FeedBatch {
    const topic = this.#open(tenant, name);
    const end = topic.first + topic.messages.length;
    const position = (at: number): string => `${this.#epoch}.${at}`;
    const none = { changes: [], more: false };
    if (after === null) return { ...none, position: position(end), reset: false };
    const at = this.#parse(after);
    if (at === null || at < topic.first || at > end) {
      return { ...none, position: position(end), reset: true };
    }
    const changes = topic.messages.slice(at - topic.first, at - topic.first + limit);
    const reached = at + changes.length;
    return { changes, position: position(reached), reset: false, more: reached < end };
  }

  #parse(position: string): number | null {
    const [epoch, at] = position.split(".");
    return epoch === this.#epoch && at !== undefined && /^[0-9]{1,15}$/.test(at)
      ? Number(at)
      : null;
  }
}

function keyOf(tenant: string, name: string): string {
  return JSON.stringify([tenant, name]);
}
