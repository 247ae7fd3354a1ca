/**
 * The call that is running, found by whoever asks: `env` and `ctx` are views of it.
 *
 * Carried by AsyncLocalStorage. Its three holes, and what is done about them:
 *
 * 1. A generator or stream runs in the context of whoever pulls it: {@link streamOf} runs each step in
 *    the context of the call that made it.
 * 2. Remote procedure calls of Durable Objects carry no context: nothing here is ever needed on the
 *    other side of one; what is, travels as an argument.
 * 3. A handle kept beyond its call would act as somebody else: handles look the call up when an
 *    operation runs, and a call that has ended answers `CONTEXT_ENDED`. Caches per call use `memo`.
 *
 * One call that is run again after a conflict gets a new {@link CallContext}, so nothing read in the
 * first run is left over in the second.
 *
 * @module
 */
import type { AsyncLocalStorage } from "node:async_hooks";
import { KontractError } from "../_internal/errors.ts";
import type { EnvAccount } from "./env_account.ts";
import type { EnvAuthAdmin } from "./env_auth.ts";
import type { EnvTenants } from "./env_tenants.ts";
import type { Log, SharedState } from "./ports.ts";
import type { RunUnit } from "./unit.ts";

/** What a caller's request said, where it came over HTTP in the open. */
export interface CallRequest {
  /** Origin header, or null. */
  readonly origin: string | null;
  /** Client address, or "unknown". */
  readonly address: string;
  /** True where the call came through raystream. */
  readonly sealed: boolean;
  /** Headers of the one request that is this call; null through raystream, where there is none. */
  readonly headers: Headers | null;
}

/** What {@link CallContext} is made from. */
export interface CallContextOptions {
  readonly route: string;
  readonly requestId: string;
  readonly owner: string;
  readonly tenant: string;
  readonly isAnonymous: boolean;
  /** True for a caller without a session. */
  readonly isGuest: boolean;
  /** Groups as the gateway knows them when the call starts. */
  readonly ugroups: readonly string[];
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  readonly request: CallRequest;
  /** Tables of this run's transaction. */
  readonly storage: Readonly<Record<string, unknown>>;
  readonly shared: SharedState;
  /** Administration on the caller's authority; null where the route declares no group. */
  readonly auth: EnvAuthAdmin | null;
  /** The caller's own account, and ways to one. */
  readonly account: EnvAccount;
  /** Runs a part of the call as a transaction of its own; null inside such a part. */
  readonly runUnit: RunUnit | null;
  /** Tenants on the caller's authority; null where the route declares no group. */
  readonly tenants: EnvTenants | null;
  /** True where the route may write nothing. */
  readonly readOnly: boolean;
  readonly log: Log;
  /** Groups as the database knows them now; rejects where the session has ended. */
  confirm(): Promise<readonly string[]>;
  /** Checks a message for a topic and gives it as it will be sent. */
  checkMessage(topic: string, data: unknown): unknown;
  /** A source by which the caller may follow the topic. */
  grantTopic(topic: string, lifetime?: number): Promise<string>;
  secret(name: string): string | undefined;
}

/** What a function said about its HTTP answer; used where the value is what the call gives. */
export interface ResponseNote {
  readonly value: unknown;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Media type, of bytes. */
  readonly type?: string;
}

/** A message for a topic. */
export interface Emitted {
  readonly topic: string;
  readonly data: unknown;
}

/** One run of one call. */
export class CallContext {
  /** As given. */
  readonly options: CallContextOptions;
  /** What middleware put on `ctx`. */
  readonly additions: Map<string, unknown>;
  /** Messages to publish after the commit, in order. */
  readonly emitted: Emitted[] = [];
  /** Response headers that middleware or the function asked for. */
  readonly headers: Map<string, string>;
  /** What {@link HttpResp} noted last. */
  response: ResponseNote | null = null;
  #ugroups: readonly string[];
  readonly #memo = new Map<string, unknown>();
  readonly #outer: CallContext | null;
  readonly #owned = new Set<Promise<unknown>>();
  #units = 0;
  #ended = false;

  /** Opens the context of one run, or of a part of `outer`, with which it ends. */
  constructor(options: CallContextOptions, outer: CallContext | null = null) {
    this.options = options;
    this.#outer = outer;
    this.#ugroups = outer?.ugroups ?? options.ugroups;
    this.additions = outer?.additions ?? new Map();
    this.headers = outer?.headers ?? new Map();
  }

  /** True after {@link end}. */
  get ended(): boolean {
    return this.#ended || this.#outer?.ended === true;
  }

  /** Number of the next part that is a transaction of its own, from 1. */
  nextUnit(): number {
    return ++this.#units;
  }

  /** Work that the call waits for, whether or not the function does. */
  owned<T>(work: Promise<T>): Promise<T> {
    this.#owned.add(work);
    // A failure is for whoever awaits it; where that is nobody, it must not end the process.
    work.then(() => this.#owned.delete(work), () => this.#owned.delete(work));
    return work;
  }

  /** Waits for what the function has begun and not awaited. Rejects where some of it fails meanwhile. */
  async drain(): Promise<void> {
    while (this.#owned.size > 0) await Promise.all(this.#owned);
  }

  /** Groups of the caller, as of the last {@link confirm} or the start. */
  get ugroups(): readonly string[] {
    return this.#ugroups;
  }

  /** Asks the database about the session. @throws {KontractError} `SESSION_REVOKED`, `SESSION_EXPIRED` */
  async confirm(): Promise<void> {
    this.#ugroups = await this.options.confirm();
  }

  /** Runs `body` inside this call; {@link loadContext} has been awaited. */
  run<T>(body: () => T): T {
    if (current === null) throw new Error("Invariant: loadContext comes before the first call.");
    return current.run(this, body);
  }

  /** Closes it: whatever still runs in it gets `CONTEXT_ENDED`. */
  end(): void {
    this.#ended = true;
    this.#memo.clear();
  }

  /** The value made by the first `make` of this key in this call; a failed promise is forgotten. */
  memo<T>(key: string, make: () => T): T {
    if (this.#memo.has(key)) return this.#memo.get(key) as T;
    const made = make();
    this.#memo.set(key, made);
    if (made instanceof Promise) {
      made.catch(() => {
        if (this.#memo.get(key) === made) this.#memo.delete(key);
      });
    }
    return made;
  }
}

let current: AsyncLocalStorage<CallContext> | null = null;

/** Loads what carries the call, before the first one runs: a start does not pay for it. */
export async function loadContext(): Promise<void> {
  if (current !== null) return;
  const { AsyncLocalStorage } = await import("node:async_hooks");
  current ??= new AsyncLocalStorage();
}

/**
 * The running call.
 *
 * @param what names what was used, for the message
 * @throws {KontractError} `CONTEXT_MISSING` outside a call, `CONTEXT_ENDED` after its end
 */
export function currentCall(what: string): CallContext {
  const call = current?.getStore();
  if (call === undefined) {
    throw new KontractError(
      "CONTEXT_MISSING",
      `${what} exists only while a backend call runs: use it inside a function marked with @backend ` +
        "or in what such a function calls, not at module scope.",
    );
  }
  if (call.ended) {
    throw new KontractError(
      "CONTEXT_ENDED",
      `${what} was used after its call '${call.options.route}' had ended: await all work before the ` +
        "function returns.",
    );
  }
  return call;
}

/**
 * The elements of what a streaming route returned. Each step runs inside `call`; ending the iteration
 * early ends the source (generator `return`, stream `cancel`).
 *
 * @throws {KontractError} `VALIDATION` where the value is no stream
 */
export function streamOf(call: CallContext, value: unknown): AsyncIterable<unknown> {
  if (value instanceof ReadableStream) return iterable(call, streamIterator(value));
  const source = value as Partial<AsyncIterable<unknown>> | null | undefined;
  const open = source?.[Symbol.asyncIterator];
  if (typeof open === "function") {
    return iterable(call, call.run(() => open.call(source)));
  }
  throw new KontractError(
    "VALIDATION",
    `'${call.options.route}' is declared to give a stream and gave something else.`,
  );
}

function streamIterator(stream: ReadableStream<unknown>): AsyncIterator<unknown> {
  const reader = stream.getReader();
  return {
    async next(): Promise<IteratorResult<unknown>> {
      const step = await reader.read();
      return step.done ? { done: true, value: undefined } : { done: false, value: step.value };
    },
    async return(): Promise<IteratorResult<unknown>> {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

function iterable(call: CallContext, source: AsyncIterator<unknown>): AsyncIterable<unknown> {
  const iterator: AsyncIterator<unknown> = {
    next: () => call.run(() => source.next()),
    return: () =>
      call.run(() => source.return?.() ?? Promise.resolve({ done: true, value: undefined })),
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
