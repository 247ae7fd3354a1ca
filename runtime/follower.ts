/**
 * What every subscription of a caller is made from, whatever it came by.
 *
 * @module
 */
import type { Principal } from "../auth/contract.ts";
import type { Services } from "./services.ts";
import type { OpenSubscriptionOptions } from "./subscriptions.ts";

/** The gateway's half of {@link OpenSubscriptionOptions}. */
export type FollowerParts = Omit<
  OpenSubscriptionOptions,
  "source" | "filter" | "resume" | "signal" | "pollMs"
>;

/** Parts for a caller. @throws {KontractError} where the caller's session cannot be opened */
export async function followerParts(
  services: Services,
  principal: Principal,
): Promise<FollowerParts> {
  const { engine, sessions, ports, sealer, grants, auth } = services;
  return {
    engine,
    session: await sessions.get(principal),
    changes: ports.changes,
    topics: ports.topics,
    mayFollow: (topic) => grants.check(principal, topic),
    checkAlive: () => auth.checkAlive(principal),
    sealer,
    now: () => ports.clock.now(),
  };
}
