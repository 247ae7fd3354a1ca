/**
 * Runs one call of a route: session, group, rate limit, one storage transaction with the function
 * inside its context, then what a commit brings with it (wake the followers, publish messages).
 *
 * The answer that leaves is the one that the commit carries: bytes made inside the transaction, so that
 * a repeated request gets the very same ones.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Principal } from "../auth/contract.ts";
import { addressSubject } from "../auth/limits.ts";
import type { KontractAuth } from "../auth/service.ts";
import { checkMessage } from "../events/mod.ts";
import type {
  CallOptions,
  CallOutcome,
  ReadObserver,
  StorageEngine,
  StorageSession,
} from "../storage/contract.ts";
import type { RouteCode, RouteEntry } from "./app.ts";
import { CallBounds } from "./call_bounds.ts";
import { isGuest } from "./caller.ts";
import { CallContext, type CallRequest, type Emitted, loadContext, streamOf } from "./context.ts";
import { routeAccount } from "./env_account.ts";
import { routeAuth } from "./env_auth.ts";
import { routeTenants, type TenantAdmin } from "./env_tenants.ts";
import type { EffectIdentity } from "./idempotency.ts";
import type { OpenStreams } from "./open_streams.ts";
import type { Ports } from "./ports.ts";
import { endOf, type SessionCache, TRUST_MS } from "./session_cache.ts";
import type { TopicGrants } from "./topic_grants.ts";
import { type RequestStamp, stamped, unstamped } from "./request_stamp.ts";
import { readingOnly, refuseEffect } from "./live_effects.ts";
import { type RunUnit, unitRunner } from "./unit.ts";

/** One call, decoded but for its arguments. */
export interface Call {
  readonly route: RouteEntry;
  readonly code: RouteCode;
  readonly principal: Principal;
  readonly requestId: string;
  readonly request: CallRequest;
  readonly signal: AbortSignal;
  /** Identity for exactly-once and what it stands for; null where there is none, or the route only reads. */
  readonly effect: (EffectIdentity & { readonly stamp: RequestStamp }) | null;
  /** Fresh, checked arguments, made anew each time. */
  arguments(): unknown[];
  /** The answer (or one element of a stream) as bytes. */
  encode(value: unknown, context: CallContext): Uint8Array;
  /** Hears what the function gave before the first element of a stream. */
  opened?(value: unknown, context: CallContext): void;
  /** Hears what the function reads, where its result is followed: such a call may have no effect at all. */
  readonly reading?: ReadObserver;
}

/** What a {@link CallRunner} is made from. */
export interface CallRunnerParts {
  readonly engine: Pick<StorageEngine, "run">;
  readonly sessions: SessionCache;
  readonly streams: OpenStreams;
  readonly grants: TopicGrants;
  readonly ports: Ports;
  readonly auth: KontractAuth;
  readonly tenants: TenantAdmin;
}

const NOTHING = new Uint8Array(0);

/** How long a host that ends with its requests is held for the `finally` of a stream that was left. */
const LEAVING_MS = 5_000;

/** Runs calls. */
export class CallRunner {
  readonly #parts: CallRunnerParts;

  /** Keeps its parts. */
  constructor(parts: CallRunnerParts) {
    this.#parts = parts;
  }

  /** A call with one answer. @throws {KontractError} or what the function threw */
  async value(call: Call): Promise<CallOutcome> {
    await this.limit(call);
    return await this.run(call);
  }

  /** As {@link value}, for a call that has been counted. */
  async run(call: Call): Promise<CallOutcome> {
    const args = freshArguments(call);
    const stamp = call.effect?.stamp.whole;
    return await this.#inSession(call, async (session) => {
      const bounds = new CallBounds(call.signal, call.route.meta.timeout);
      try {
        const run = new Run(this.#parts, call, session, bounds);
        const outcome = await bounds.race(run.start(async (context) => {
          const result = await context.run(() => call.code.invoke(args()));
          await call.code.readFiles?.(result);
          const answer = encoded(call, result, context);
          return stamp === undefined ? answer : stamped(stamp, answer);
        }));
        run.settle(outcome);
        if (stamp === undefined) return outcome;
        return { ...outcome, answer: unstamped(stamp, outcome.answer) };
      } finally {
        bounds.close();
      }
    });
  }

  /**
   * A call whose answer is a stream. Resolves when the function has returned its stream; the
   * transaction lasts until the stream's end and commits then, so a stream never runs twice.
   */
  async stream(call: Call): Promise<AsyncIterable<Uint8Array>> {
    await this.limit(call);
    const args = freshArguments(call);
    const leave = this.enter(call);
    try {
      return await this.#inSession(
        call,
        (session) => this.#startStream(call, args, session, leave),
      );
    } catch (error) {
      leave();
      throw error;
    }
  }

  async #startStream(
    call: Call,
    args: () => unknown[],
    session: StorageSession,
    leave: () => void,
  ): Promise<AsyncIterable<Uint8Array>> {
    const gone = new AbortController();
    const signal = AbortSignal.any([call.signal, gone.signal]);
    const bounds = new CallBounds(signal, call.route.meta.timeout);
    const run = new Run(this.#parts, call, session, bounds);
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    const writer = pipe.writable.getWriter();
    writer.closed.catch(() => {}); // told by the reader's side
    const started = Promise.withResolvers<void>();
    const body = run.start(async (context) => {
      const result = await context.run(() => call.code.invoke(args()));
      const elements = streamOf(context, result);
      call.opened?.(result, context);
      started.resolve();
      for await (const element of elements) {
        bounds.check();
        await this.trusted(call);
        await call.code.readFiles?.(element);
        await writer.write(encoded(call, element, context));
      }
      return NOTHING;
    });
    const ended = bounds.race(body).then(async (outcome) => {
      run.settle(outcome);
      if (outcome.replayed) throw new KontractError("REPLAY", "A stream is given once.");
      started.resolve();
      await writer.close();
    }).catch(async (error: unknown) => {
      started.reject(error);
      run.abandon();
      await writer.abort(error).catch(() => {});
    }).finally(() => {
      bounds.close();
      leave();
    }).then(() => settledWithin(body, LEAVING_MS));
    this.#parts.ports.background(ended);
    await started.promise;
    return readAll(pipe.readable, () => gone.abort());
  }

  /** Runs `body` with the caller's session; one that has just ended is opened again, once. */
  async #inSession<T>(call: Call, body: (session: StorageSession) => Promise<T>): Promise<T> {
    const { sessions } = this.#parts;
    const { principal } = call;
    const session = await this.#enter(call);
    try {
      return await body(session);
    } catch (error) {
      const end = endOf(error);
      if (end === null) throw error;
      sessions.drop(principal, session);
      if (end === "SESSION_REVOKED") throw error;
      return await body(await this.#enter(call));
    }
  }

  /**
   * The caller's session, checked as far as storage will not do it: a group before anything runs, since a
   * function may act elsewhere before it reaches a table; the session itself now and then.
   */
  async #enter(
    { principal, route }: Call,
    trustMs: number = route.meta.ugroup === null ? TRUST_MS : 0,
    forMs: number = route.meta.timeout,
  ): Promise<StorageSession> {
    const { ugroup } = route.meta;
    const session = await this.#parts.sessions.trusted(principal, trustMs, forMs);
    if (ugroup === null || session.ugroups.includes(ugroup)) return session;
    throw new KontractError("FORBIDDEN", `'${route.name}' is for the group '${ugroup}'.`);
  }

  /** The caller's session and its membership, known not to have ended 5 seconds ago. */
  trusted(call: Call): Promise<StorageSession> {
    return this.#enter(call, TRUST_MS, 0);
  }

  /** Counts a stream of the caller's until what it gives is called. @throws {KontractError} `RATE_LIMITED` */
  enter(call: Call): () => void {
    return this.#parts.streams.enter(call.principal.tenant, bucketOf(call));
  }

  /** Counts a call against its route's limit. @throws {KontractError} `RATE_LIMITED` */
  async limit(call: Call): Promise<void> {
    const { route, principal } = call;
    const { rateLimit } = route.meta;
    if (rateLimit === null) return;
    const key = `r:${principal.tenant}:${route.name}:${bucketOf(call)}`;
    const answer = await this.#parts.ports.shared.rateLimit(
      key,
      rateLimit.limit,
      rateLimit.windowMs,
    );
    if (answer.allowed) return;
    throw new KontractError("RATE_LIMITED", undefined, {
      data: { retryAfter: answer.retryAfter },
    });
  }
}

/** Who shares limits: a session, or the guests of one address. */
function bucketOf({ principal, request }: Call): string {
  return isGuest(principal) ? `@${addressSubject(request.address)}` : principal.family;
}

/** One call in storage: however often its body runs, the last run's context counts. */
class Run {
  readonly #parts: CallRunnerParts;
  readonly #call: Call;
  #session: StorageSession;
  readonly #bounds: CallBounds;
  #confirmed: Promise<readonly string[]> | null = null;
  #context: CallContext | null = null;

  constructor(parts: CallRunnerParts, call: Call, session: StorageSession, bounds: CallBounds) {
    this.#parts = parts;
    this.#call = call;
    this.#session = session;
    this.#bounds = bounds;
    // A route with a group has just been checked.
    if (call.route.meta.ugroup !== null) this.#confirmed = Promise.resolve(session.ugroups);
  }

  async start(body: (context: CallContext) => Promise<Uint8Array>): Promise<CallOutcome> {
    await loadContext();
    const bounds = this.#bounds;
    const { meta, stream, inputs = 0 } = this.#call.route;
    const deadline = this.#parts.ports.clock.now() + meta.timeout;
    const options: CallOptions = {
      session: this.#session,
      perm: meta.perm,
      grants: meta.grants,
      ugroup: meta.ugroup,
      readOnly: meta.readOnly,
      // What was read of a streamed argument does not come again.
      retry: meta.readOnly || stream || inputs > 0 ? 0 : meta.retry,
      deadline,
      signal: bounds.signal,
      effect: this.#call.effect,
      unsure: (feeds) => this.#parts.ports.changes.wake(feeds),
      ...(isGuest(this.#call.principal) ? { guest: true } : {}),
      ...(this.#call.reading === undefined ? {} : { reading: this.#call.reading }),
    };
    const runUnit = unitRunner(this.#parts.engine, options, {
      retry: meta.retry,
      stamp: this.#call.effect?.stamp ?? null,
      onCommit: (feeds, emitted) => {
        this.#parts.ports.changes.wake(feeds);
        this.#publish(emitted);
      },
    });
    const outcome = await this.#parts.engine.run(options, async (transaction) => {
      bounds.committing = false;
      bounds.check();
      const context = this.#open(transaction.storage, deadline, runUnit);
      const giveUp = (): void => context.end();
      bounds.signal.addEventListener("abort", giveUp, { once: true });
      try {
        const answer = await body(context);
        await context.drain();
        bounds.check();
        bounds.committing = true;
        return answer;
      } finally {
        bounds.signal.removeEventListener("abort", giveUp);
        context.end();
      }
    });
    // Here, and not where the outcome is waited for: the wait may have been given up.
    this.#parts.ports.changes.wake(outcome.feeds);
    return outcome;
  }

  /** The database's word on the session, asked for once however often the body runs. */
  #confirm(): Promise<readonly string[]> {
    this.#confirmed ??= this.#parts.sessions.check(this.#call.principal, this.#session)
      .then((session) => {
        this.#session = session;
        return session.ugroups;
      });
    return this.#confirmed;
  }

  /** What a commit brings with it. */
  settle(outcome: CallOutcome): void {
    if (!outcome.replayed) this.#publish(this.#context?.emitted ?? []);
  }

  #publish(emitted: readonly Emitted[]): void {
    const { topics } = this.#parts.ports;
    for (const [topic, messages] of Map.groupBy(emitted, ({ topic }) => topic)) {
      topics.publish(this.#session.tenant, topic, messages.map(({ data }) => data));
    }
  }

  /** Closes whatever context is still open. */
  abandon(): void {
    this.#context?.end();
  }

  #open(
    storage: Readonly<Record<string, unknown>>,
    deadline: number,
    runUnit: RunUnit,
  ): CallContext {
    const { ports, grants, auth, tenants } = this.#parts;
    const { route, principal, requestId, request, reading } = this.#call;
    const { tenant, owner } = principal;
    const { ugroup, readOnly } = route.meta;
    const member = ugroup === null ? null : { tenant, owner, ugroup };
    const context = new CallContext({
      route: route.name,
      requestId,
      owner,
      tenant,
      isAnonymous: principal.anonymous,
      isGuest: isGuest(principal),
      ugroups: this.#session.ugroups,
      signal: this.#bounds.signal,
      deadline,
      request,
      storage,
      shared: reading === undefined ? ports.shared : readingOnly(ports.shared),
      auth: member === null ? null : routeAuth(auth, member),
      account: routeAccount(auth, principal, request.address),
      tenants: member === null ? null : routeTenants(tenants, member),
      runUnit,
      readOnly,
      log: ports.log,
      confirm: () => this.#confirm(),
      checkMessage: reading === undefined ? checkMessage : refuseEffect,
      grantTopic: (topic, lifetime) => grants.grant({ tenant, owner }, topic, lifetime),
      secret: (name) => ports.secret(name),
    });
    this.#context = context;
    return context;
  }
}

/**
 * Refuses wrong arguments now, before anything is opened. A call that is run again must not see what its
 * first run did to them, so only the first run gets these.
 */
function freshArguments(call: Call): () => unknown[] {
  let first: unknown[] | null = call.arguments();
  return () => {
    const args = first ?? call.arguments();
    first = null;
    return args;
  };
}

/** A result that is not of its type is the function's fault, not the caller's. */
function encoded(call: Call, value: unknown, context: CallContext): Uint8Array {
  try {
    return call.encode(value, context);
  } catch (error) {
    if (!(error instanceof KontractError && error.code === "VALIDATION")) throw error;
    throw new KontractError(
      "INTERNAL",
      `'${call.route.name}' gave what its type does not allow: ${error.message}`,
      { cause: error },
    );
  }
}

/** Waits for the end of `work`, well or not, but not for ever. */
async function settledWithin(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.then(() => {}, () => {}), over]);
  clearTimeout(timer);
}

/** No generator: its `return` would wait for the element under way, and its `finally` for a first one. */
function readAll(
  readable: ReadableStream<Uint8Array>,
  onEnd: () => void,
): AsyncIterableIterator<Uint8Array, void, void> {
  const reader = readable.getReader();
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      try {
        const { done, value } = await reader.read();
        if (!done) return { done, value };
      } catch (error) {
        onEnd();
        throw error;
      }
      onEnd();
      return { done: true, value: undefined };
    },
    async return() {
      onEnd();
      await reader.cancel().catch(() => {});
      return { done: true, value: undefined };
    },
  };
}
