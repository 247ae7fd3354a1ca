/**
 * Subscriptions of a caller, whatever they came by: counted for the session, ended with it.
 *
 * @module
 */
import type { Principal } from "../auth/contract.ts";
import type { ServerEvent } from "../events/mod.ts";
import type { Services } from "./services.ts";
import { openSubscription, type OpenSubscriptionOptions } from "./subscriptions.ts";

/** What a follower asks for. */
export type FollowRequest = Pick<
  OpenSubscriptionOptions,
  "source" | "filter" | "resume" | "signal"
>;

/**
 * The events, from the first step on.
 *
 * @throws {KontractError} at the first step `RATE_LIMITED` and where the session cannot be opened; at any as
 *   {@link openSubscription}
 */
export async function* follow(
  services: Services,
  principal: Principal,
  request: FollowRequest,
): AsyncGenerator<ServerEvent, void, void> {
  const { engine, sessions, ports, sealer, grants, auth, streams } = services;
  const leave = streams.enter(principal.tenant, principal.family);
  try {
    yield* openSubscription({
      engine,
      session: await sessions.get(principal),
      changes: ports.changes,
      topics: ports.topics,
      mayFollow: (topic) => grants.check(principal, topic),
      checkAlive: () => auth.checkAlive(principal),
      sealer,
      now: () => ports.clock.now(),
      ...request,
    });
  } finally {
    leave();
  }
}
