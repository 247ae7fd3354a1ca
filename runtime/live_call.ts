/**
 * A call that is followed: its result, and again whenever that has changed, as `live_query.ts` finds out.
 *
 * Every run is a call of the session's own: session, group, rights of tables, fields and rows, middleware. The
 * route's rate limit counts the caller's asking; runs that others' changes cause are not its doing and keep their
 * distance. The stream ends with the session's token, and counts among the session's streams.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Call } from "./call_runner.ts";
import { pastLocks } from "./locked_table.ts";
import { type LiveValue, liveValues } from "./live_query.ts";
import type { Services } from "./services.ts";
import { endOf } from "./session_cache.ts";

/**
 * Values of a function that only reads, encoded as the call says.
 *
 * @throws {KontractError} at the first step `BAD_REQUEST` for a function that cannot be followed and `RATE_LIMITED`; at
 *   any step what the function throws, `PERMISSION_DENIED` for one that has effects, `SESSION_EXPIRED`,
 *   `SESSION_REVOKED`, `DATABASE_UNAVAILABLE`
 */
export async function* followCall(
  services: Services,
  call: Call,
): AsyncGenerator<LiveValue, void, void> {
  const { runner, ports: { clock, changes } } = services;
  const { route, principal, signal } = call;
  if (!route.meta.readOnly || route.stream || (route.inputs ?? 0) > 0) {
    throw new KontractError(
      "BAD_REQUEST",
      `'${route.name}' cannot be followed: it must be 'readOnly' and neither give nor take a stream.`,
    );
  }
  await runner.limit(call);
  const leave = runner.enter(call);
  const whileValid = <T>(work: () => Promise<T>): Promise<T> =>
    pastLocks(
      () =>
        clock.now() < principal.expiresAt
          ? work()
          : Promise.reject(new KontractError("SESSION_EXPIRED")),
      signal,
    );
  try {
    yield* liveValues({
      run: (reading) => whileValid(async () => (await runner.run({ ...call, reading })).answer),
      unchanged: (table, position) => whileValid(() => unchanged(services, call, table, position)),
      checkAlive: () => whileValid(async () => void await runner.trusted(call)),
      next: (feed, timeoutMs, end) => changes.next(feed, timeoutMs, end),
      signal,
      now: () => clock.now(),
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    leave();
  }
}

/** One statement. A position too old to tell from, or a database session that has run out, is a reason to run. */
async function unchanged(
  { engine, sessions, runner }: Services,
  call: Call,
  table: string,
  after: string,
): Promise<string | null> {
  const { principal, route } = call;
  // Membership is no matter of the feed's.
  const session =
    await (route.meta.ugroup === null ? sessions.get(principal) : runner.trusted(call));
  try {
    const { more, reset, position } = await engine.changes({ session, table, after, limit: 0 });
    return more || reset ? null : position;
  } catch (error) {
    const end = endOf(error);
    if (end !== null) sessions.drop(principal, session);
    const tooOld = error instanceof KontractError && error.code === "SNAPSHOT_TOO_OLD";
    if (end === "SESSION_EXPIRED" || tooOld) return null;
    throw error;
  }
}
