/**
 * `ChangeHubDO`: tells whoever follows. Each change feed has an object of its own, which is woken after each
 * commit to it; so has each topic of each tenant, and holds its newest messages in memory. When that is evicted
 * they are gone, and followers that come back are told `reset`.
 *
 * Whoever waits for a feed again says how many wakes it knows of: one that came while its call was on its way is not
 * missed.
 *
 * @module
 */
import { TopicHub } from "../../events/mod.ts";
import { Bells } from "../../_internal/bell.ts";
import { answerCall } from "./object_call.ts";

/** Longest wait that is granted, in milliseconds. */
const MAX_WAIT_MS = 60_000;

/** One hub of a deployment. */
export class ChangeHubDO {
  readonly #bells = new Bells();
  #wakes = 0;
  #hub: TopicHub | null = null;

  /** One call: `wake` and `wakes` of a feed, `publish`, `read` and `follow` of a topic. */
  fetch(request: Request): Promise<Response> {
    const { signal } = request;
    return answerCall(request, {
      wake: () => {
        this.#wakes++;
        this.#bells.ring("");
      },
      wakes: async (argument) => {
        const [known, timeoutMs] = argument as [number | null, number];
        if (known === null || known === this.#wakes) {
          await this.#bells.next("", waitOf(timeoutMs), signal);
        }
        return this.#wakes;
      },
      publish: (argument) => {
        const [tenant, name, messages] = argument as [string, string, unknown[]];
        for (const message of messages) this.#topics.publish(tenant, name, message);
      },
      read: (argument) => {
        const [tenant, name, after, limit] = argument as [string, string, string | null, number];
        return this.#topics.feed(tenant, name).changes({ after, limit });
      },
      follow: (argument) =>
        this.#follow(argument as [string, string, string | null, number], signal),
    });
  }

  /** Waits only where there is nothing after the follower's position: no message falls in between. */
  async #follow(
    [tenant, name, after, timeoutMs]: [string, string, string | null, number],
    signal: AbortSignal,
  ): Promise<void> {
    const armed = new AbortController();
    const both = AbortSignal.any([signal, armed.signal]);
    const topic = this.#topics.follow(tenant, name);
    const woken = topic.next(waitOf(timeoutMs), both);
    const batch = await topic.changes({ after, limit: 1 });
    if (batch.changes.length === 0 && !batch.reset) await woken;
    armed.abort();
  }

  // Made in a request: it draws a random epoch.
  get #topics(): TopicHub {
    this.#hub ??= new TopicHub();
    return this.#hub;
  }
}

function waitOf(timeoutMs: unknown): number {
  return Math.min(Number(timeoutMs) || 0, MAX_WAIT_MS);
}
