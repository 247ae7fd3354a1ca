/**
 * Who may follow a topic: nobody, unless a function of the app said so. `env.events.grant(name)` gives the
 * caller a source that only the caller's owner can follow, for a while; whether to give it is ordinary code
 * in an ordinary function, with its groups, rate limit and storage.
 *
 * A grant is its end, sealed (`resume_sealer.ts`) for tenant, owner and topic: nothing is stored, and one
 * that was lent, changed or kept too long opens nothing.
 *
 * @module
 */
import { KEY_LABELS } from "../_internal/keys.ts";
import { KontractError } from "../_internal/errors.ts";
import {
  checkTopicName,
  type ResumeSealer,
  TOPIC_PREFIX,
  type TopicSource,
} from "../events/mod.ts";
import type { Clock } from "./ports.ts";
import { createResumeSealer } from "./resume_sealer.ts";

/** Longest life of a grant, in milliseconds. */
export const MAX_GRANT_MS = 86_400_000;

/** Life of a grant where none is said. */
const GRANT_MS = 3_600_000;

/** Whom a grant is for. */
export interface GrantHolder {
  readonly tenant: string;
  readonly owner: string;
}

/** Gives grants and checks them. */
export class TopicGrants {
  readonly #sealer: ResumeSealer;
  readonly #clock: Clock;

  /** `secrets` newest first. */
  constructor(secrets: readonly Uint8Array[], clock: Clock) {
    this.#sealer = createResumeSealer(secrets, KEY_LABELS.topicGrant);
    this.#clock = clock;
  }

  /** A source for `subscribe`. @throws {KontractError} `VALIDATION` */
  async grant(holder: GrantHolder, name: string, lifetime: number = GRANT_MS): Promise<string> {
    checkTopicName(name);
    if (!Number.isSafeInteger(lifetime) || lifetime < 1 || lifetime > MAX_GRANT_MS) {
      throw new KontractError(
        "VALIDATION",
        `A grant's lifetime is from 1 to ${MAX_GRANT_MS} milliseconds: it is ${lifetime}.`,
      );
    }
    const until = this.#clock.now() + lifetime;
    return `${TOPIC_PREFIX}${name}~${await this.#sealer.seal(`${until}`, bindingOf(holder, name))}`;
  }

  /** When the follower's right ends (ms). @throws {KontractError} `PERMISSION_DENIED` */
  async check(holder: GrantHolder, { name, grant }: TopicSource): Promise<number> {
    const text = grant === null ? null : await this.#sealer.open(grant, bindingOf(holder, name));
    if (text !== null && Number(text) > this.#clock.now()) return Number(text);
    throw new KontractError(
      "PERMISSION_DENIED",
      grant === null
        ? `The topic '${name}' is followed with a grant: ask a function that calls env.events.grant.`
        : `This grant for the topic '${name}' is not yours or has ended: ask for a new one.`,
    );
  }
}

function bindingOf({ tenant, owner }: GrantHolder, name: string): string {
  return JSON.stringify([tenant, owner, name]);
}
