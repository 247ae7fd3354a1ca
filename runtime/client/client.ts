/**
 * The client: calls, streams, subscriptions and auth over one sealed channel.
 *
 * Nothing happens before the first call: no request, no storage access. Every rejection is a
 * KontractError. A call is sent a second time only where the first certainly had no effect: the server
 * refused its token (`SESSION_EXPIRED`; for reads and auth also `UNAUTHORIZED` and `SESSION_REVOKED`).
 *
 * One class, since all of it shares the line to the gateway, the session on it and what is kept of results.
 *
 * @module
 */
import { errorFrom } from "../../_internal/error_classes.ts";
import { KontractError } from "../../_internal/errors.ts";
import { createHttpTransport, createTransport } from "../../protocol/client.ts";
import { decodeValue, encodeValue } from "../../protocol/codec/value.ts";
import { SYSTEM_OPS } from "../../protocol/rpc.ts";
import type { SerialMemory, Transport } from "../../protocol/transport.ts";
import { type ClientAuth, createAuth } from "./auth.ts";
import type { SessionCarrier } from "./cookie_session.ts";
import { bounded, type ErrorClasses, hasCode, toClientError } from "./failure.ts";
import { type LiveListener, type LiveResult, liveValues, type ReadOnlyFunction } from "./live.ts";
import type { ResultCache } from "./result_cache.ts";
import type { ClientCallOptions, ClientRoute } from "./route.ts";
import { changesOnly, ClientSession, type SessionState } from "./session.ts";
import { type ClientStorage, defaultStorage } from "./session_storage.ts";
import { checkSettings, checkTimeout, type ClientSettings, originOf } from "./settings.ts";
import {
  type ClientEvent,
  deliver,
  followEvents,
  type SubscribeOptions,
  type Subscription,
  type SubscriptionStatus,
} from "./subscription.ts";

/** What generated code makes a client from. */
export interface ClientOptions extends ClientSettings {
  /** App id. */
  readonly app: string;
  /** Hash of the build that this client belongs to. */
  readonly build: string;
  /** The gateway's public keys, base64url. */
  readonly pins: readonly string[];
  /** Routes by name, for calls by name. */
  readonly routes?: Readonly<Record<string, ClientRoute>>;
  /** The app's own error classes, by code. */
  readonly errors?: ErrorClasses;
  /** Keeps results of routes with `cache`; without it every call is sent. */
  readonly results?: ResultCache;
}

/** A client of one app at one gateway. */
export interface Client {
  /** App id. */
  readonly app: string;
  /** Hash of the build. */
  readonly build: string;
  /** Sign-up, sign-in and who is signed in. */
  readonly auth: ClientAuth;
  /** Calls a backend function, given as its descriptor or by name. */
  call(
    route: ClientRoute | string,
    args: readonly unknown[],
    options?: ClientCallOptions,
  ): Promise<unknown>;
  /** Calls one that answers with a stream; leaving the loop cancels it on the server. */
  stream(
    route: ClientRoute | string,
    args: readonly unknown[],
    options?: ClientCallOptions,
  ): AsyncGenerator<unknown, void, void>;
  /**
   * Calls that are begun inside `calls` have these options; what it gives is given back.
   *
   * ```ts ignore
   * await client.with({ signal, onProgress: (sent) => bar.value = sent }, () => upload(name, file));
   * ```
   */
  with<T>(options: ClientCallOptions, calls: () => T): T;
  /**
   * Follows a table, or what `env.events.grant` gave for a topic: with `onEvent`, or by `for await`. Give a
   * function that asks for the grant, and every reconnection has a fresh one.
   */
  subscribe<T = unknown>(
    source: string | (() => Promise<string>),
    options?: SubscribeOptions<T>,
  ): Subscription<T>;
  /**
   * Follows the result of a `readOnly` function: it runs again after every commit to a table that it read, and a
   * result that differs is the next value. By `for await`, or by `listen`.
   *
   * ```ts ignore
   * for await (const todos of client.live(listTodos, { done: false })) render(todos);
   * ```
   *
   * @throws {KontractError} `VALIDATION` for anything but a function of this client that only reads
   */
  live<A extends readonly unknown[], T>(
    call: ReadOnlyFunction<(...args: A) => Promise<T>>,
    ...args: A
  ): LiveResult<T>;
  /**
   * Changes settings; calls in flight are cancelled, subscriptions reconnect.
   *
   * @throws {KontractError} `CONFIG` for a setting that cannot be; nothing is changed
   */
  configure(settings: ClientSettings): void;
  /** Ends all calls and subscriptions; the session stays stored. */
  close(): void;
}

/** Makes a client. The generated module calls this; apps import its result. */
export function createClient(options: ClientOptions): Client {
  return new AppClient(options);
}

const TIMEOUT_MS = 30_000;
// The most that a timer can wait.
const FOR_EVER_MS = 2 ** 31 - 1;

/** Auth functions that are as good when they run twice: a token renews to the same one for a while. */
const REPEATABLE: readonly string[] = ["anonymous", "refresh", "logout"];

interface CallOptions extends ClientCallOptions {
  readonly inputs?: readonly AsyncIterable<Uint8Array>[] | undefined;
}

interface Line {
  readonly transport: Transport;
  /** Carries the session where the client does not. */
  readonly carrier: SessionCarrier | null;
  readonly session: ClientSession;
}

interface HeldCall {
  readonly route: ClientRoute;
  readonly args: readonly unknown[];
}

/** Who listens to the session, and how it leaves the one it listens to now. */
interface Hearer {
  readonly hear: (state: SessionState) => void;
  leave: () => void;
}

class AppClient implements Client {
  readonly app: string;
  readonly build: string;
  readonly auth: ClientAuth;
  readonly #options: ClientOptions;
  readonly #ended = new AbortController();
  #settings: ClientSettings;
  #line: Line | null = null;
  /** One for the client's life: where it is memory, the session must outlive a change of settings. */
  #storage: ClientStorage | null = null;
  readonly #hearers = new Set<Hearer>();
  #callOptions: ClientCallOptions = {};
  /** Takes the next call in place of sending it. */
  #hold: ((route: ClientRoute, args: readonly unknown[]) => void) | null = null;

  constructor(options: ClientOptions) {
    checkSettings(options);
    this.app = options.app;
    this.build = options.build;
    this.#options = options;
    this.#settings = options;
    this.auth = createAuth(
      () => this.#open().session,
      (name, argument, token) => this.#authCall(name, argument, token),
      (listener) => this.#onSession(listener),
    );
  }

  async call(
    named: ClientRoute | string,
    args: readonly unknown[],
    options: ClientCallOptions = this.#callOptions,
  ): Promise<unknown> {
    if (this.#hold !== null) return this.#hold(this.#route(named), args);
    try {
      const route = this.#route(named);
      const plain = plainArguments(route, args);
      if (route.readFiles !== undefined) await route.readFiles(plain);
      const payload = route.encodeArguments(plain);
      const more = { ...options, ...inputsOf(route, args, options) };
      const bytes = await this.#writing(route, () => this.#answer(route, payload, more));
      return route.decodeResult(bytes);
    } catch (error) {
      throw toClientError(error, this.#options.errors);
    }
  }

  async *stream(
    named: ClientRoute | string,
    args: readonly unknown[],
    options: ClientCallOptions = this.#callOptions,
  ): AsyncGenerator<unknown, void, void> {
    const { results, errors } = this.#options;
    let late: AbortSignal | undefined;
    try {
      checkTimeout(options.timeout);
      late = options.timeout === undefined ? undefined : AbortSignal.timeout(options.timeout);
      const signal = eitherOf(options.signal, late);
      const route = this.#route(named);
      const plain = plainArguments(route, args);
      if (route.readFiles !== undefined) await route.readFiles(plain);
      const payload = route.encodeArguments(plain);
      const kept = route.readOnly ? undefined : results;
      kept?.clear();
      try {
        yield* this.#elements(route, payload, {
          ...options,
          signal,
          ...inputsOf(route, args, options),
        });
      } finally {
        kept?.clear();
      }
    } catch (error) {
      if (late?.aborted === true && hasCode(error, "CANCELLED")) {
        throw new KontractError("DEADLINE_EXCEEDED");
      }
      throw toClientError(error, errors);
    }
  }

  with<T>(options: ClientCallOptions, calls: () => T): T {
    const outer = this.#callOptions;
    this.#callOptions = { ...outer, ...options };
    try {
      return calls();
    } finally {
      this.#callOptions = outer;
    }
  }

  subscribe<T = unknown>(
    source: string | (() => Promise<string>),
    options: SubscribeOptions<T> = {},
  ): Subscription<T> {
    const closed = new AbortController();
    const signals = [closed.signal, this.#ended.signal];
    if (options.signal !== undefined) signals.push(options.signal);
    const events = followEvents(
      (resume, signal) => this.#connect(source, options.filter, resume, signal),
      AbortSignal.any(signals),
      (status) => options.onStatus?.(status),
    ) as AsyncGenerator<ClientEvent<T>, void, void>;
    const close = (): void => closed.abort();
    if (options.onEvent !== undefined) {
      void deliver(events, (event) => options.onEvent?.(event), options);
    }
    return { close, [Symbol.asyncIterator]: () => events };
  }

  live<A extends readonly unknown[], T>(
    call: ReadOnlyFunction<(...args: A) => Promise<T>>,
    ...args: A
  ): LiveResult<T> {
    const followed = this.#begun(() => call(...args));
    const closed = new AbortController();
    const signals = [closed.signal, this.#ended.signal];
    if (this.#callOptions.signal !== undefined) signals.push(this.#callOptions.signal);
    let listener: LiveListener<T> | undefined;
    const values = this.#liveValues(
      followed,
      AbortSignal.any(signals),
      (status) => listener?.onStatus?.(status),
    ) as AsyncGenerator<T, void, void>;
    return {
      listen(told) {
        listener = told;
        void deliver(values, (value) => told.onValue(value), told);
        return this;
      },
      close: () => closed.abort(),
      [Symbol.asyncIterator]: () => values,
    };
  }

  configure(settings: ClientSettings): void {
    checkSettings(settings);
    this.#options.results?.clear();
    this.#settings = { ...this.#settings, ...settings };
    this.#line?.transport.close();
    this.#line = null;
    if (this.#ended.signal.aborted) return;
    for (const hearer of this.#hearers) {
      hearer.leave();
      hearer.leave = this.#open().session.onChange(hearer.hear);
    }
  }

  close(): void {
    this.#ended.abort();
    this.#line?.transport.close();
    this.#line = null;
  }

  /** A listener hears of whichever session the settings lead to. */
  #onSession(listener: (state: SessionState) => void): () => void {
    const hear = changesOnly(listener);
    const hearer = { hear, leave: this.#open().session.onChange(hear) };
    this.#hearers.add(hearer);
    return () => {
      this.#hearers.delete(hearer);
      hearer.leave();
    };
  }

  #open(): Line {
    if (this.#ended.signal.aborted) throw new KontractError("CANCELLED", "The client is closed.");
    if (this.#line !== null) return this.#line;
    const { tenant, session, timeout = TIMEOUT_MS, webSocket } = this.#settings;
    const storage = this.#settings.storage ?? (this.#storage ??= defaultStorage());
    const url = originOf(this.#settings.url);
    const { app, pins } = this.#options;
    const given = this.#settings.fetch;
    const carrier = session === undefined
      ? null
      : session({ url, tenant, timeout, fetch: given ?? globalThis.fetch.bind(globalThis) });
    const fetch = carrier?.fetch ?? given;
    // Cookies are read where a call comes in, and an upgrade's would grow old.
    const create = this.#settings.transport ??
      (carrier === null ? createTransport : createHttpTransport);
    this.#line = {
      transport: create({
        ...{ url, app, pins, webSocket, serials: serialsIn(storage) },
        ...(fetch === undefined ? {} : { fetch }),
      }),
      carrier,
      session: new ClientSession(
        tenant === undefined ? `kontract/${app}/${url}` : `kontract/${app}/${url}/${tenant}`,
        storage,
        (name, argument) => this.#authCall(name, argument, null),
        carrier !== null,
      ),
    };
    return this.#line;
  }

  #route(named: ClientRoute | string): ClientRoute {
    if (typeof named !== "string") return named;
    const routes = this.#options.routes ?? {};
    const route = Object.hasOwn(routes, named) ? routes[named] : undefined;
    if (route === undefined) {
      throw new KontractError("ROUTE_NOT_FOUND", `There is no function '${named}'.`);
    }
    return route;
  }

  /** Nothing that was read before or during a call that may write is kept beyond it. */
  async #writing<T>({ readOnly }: ClientRoute, work: () => Promise<T>): Promise<T> {
    const { results } = this.#options;
    if (readOnly || results === undefined) return await work();
    results.clear();
    try {
      return await work();
    } finally {
      results.clear();
    }
  }

  #answer(
    { op, readOnly, cache }: ClientRoute,
    payload: Uint8Array,
    options: CallOptions,
  ): Promise<Uint8Array> {
    const { results } = this.#options;
    const { signal, inputs, onProgress } = options;
    return this.#authorized(readOnly, options, (line, token, timeout, owner) => {
      const more = { signal, timeout, inputs, onProgress };
      const ask = () => line.transport.call(op, payload, { token, mutation: !readOnly, ...more });
      return cache === undefined || results === undefined
        ? ask()
        : results.through(`${owner} ${op}`, payload, cache, ask);
    });
  }

  async #authorized<T>(
    repeatable: boolean,
    options: CallOptions,
    work: (line: Line, token: string | null, timeout: number, owner: string) => Promise<T>,
  ): Promise<T> {
    checkTimeout(options.timeout);
    const timeout = options.timeout ??
      (options.inputs === undefined ? this.#settings.timeout ?? TIMEOUT_MS : FOR_EVER_MS);
    const until = performance.now() + timeout;
    const left = (): number => Math.max(1, until - performance.now());
    const line = this.#open();
    const session = await bounded(line.session.ensure(), options.signal, left());
    try {
      return await work(line, session.access, left(), session.owner);
    } catch (error) {
      if (!refusesToken(error, repeatable)) throw error;
      const renewed = await bounded(
        line.session.renew(session),
        options.signal,
        left(),
      );
      return await work(line, renewed.access, left(), renewed.owner);
    }
  }

  async *#elements<T>(
    route: Pick<ClientRoute, "op" | "readOnly"> & { decodeResult(bytes: Uint8Array): T },
    payload: Uint8Array,
    options: CallOptions,
  ): AsyncGenerator<T, void, void> {
    const { signal, inputs, onProgress } = options;
    const first = await this.#authorized(route.readOnly, options, async (line, token) => {
      const elements = line.transport.stream(route.op, payload, {
        token,
        mutation: !route.readOnly,
        ...{ signal, inputs, onProgress },
      })[Symbol.asyncIterator]();
      return { elements, result: await elements.next() };
    });
    const { elements } = first;
    let { result } = first;
    try {
      while (result.done !== true) {
        yield route.decodeResult(result.value);
        result = await elements.next();
      }
    } finally {
      await elements.return?.();
    }
  }

  /** The call that `begin` begins, which is not sent. */
  #begun(begin: () => unknown): HeldCall {
    let held: HeldCall | undefined;
    this.#hold = (route, args) => held = { route, args };
    try {
      begin();
    } finally {
      this.#hold = null;
    }
    if (held?.route.readOnly === true) return held;
    throw errorFrom("VALIDATION", "'client.live' takes a function of this client that only reads.");
  }

  async *#liveValues(
    { route, args }: HeldCall,
    signal: AbortSignal,
    onStatus: (status: SubscriptionStatus) => void,
  ): AsyncGenerator<unknown, void, void> {
    const plain = [...args];
    await route.readFiles?.(plain);
    yield* liveValues({
      open: (end) => {
        const request = { call: route.op, arguments: route.encodeArguments([...plain]) };
        return this.#followed(request, (bytes) => bytes, end);
      },
      decode: (bytes) => route.decodeResult(bytes),
      signal,
      errors: this.#options.errors,
      onStatus,
    });
  }

  async *#connect(
    source: string | (() => Promise<string>),
    filter: Readonly<Record<string, unknown>> | undefined,
    resume: string | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<unknown, void, void> {
    const request = {
      source: typeof source === "string" ? source : await source(),
      ...(filter === undefined ? {} : { filter }),
      ...(resume === undefined ? {} : { resume }),
    };
    yield* this.#followed(request, decodeValue, signal);
  }

  /** One connection of a subscription. What it tells makes kept results old. */
  async *#followed<T>(
    request: unknown,
    decodeResult: (bytes: Uint8Array) => T,
    signal: AbortSignal,
  ): AsyncGenerator<T, void, void> {
    const route = { op: SYSTEM_OPS.SUBSCRIBE, readOnly: true, decodeResult };
    for await (const element of this.#elements(route, encodeValue(request), { signal })) {
      this.#options.results?.clear();
      yield element;
    }
  }

  async #authCall(name: string, argument: unknown, token: string | null): Promise<unknown> {
    const { carrier, transport } = this.#open();
    const reads = name === "me" || name === "sessions";
    if (!reads) this.#options.results?.clear();
    const mutation = !reads && !REPEATABLE.includes(name);
    if (carrier !== null) return await carrier.auth(name, argument, mutation);
    const { tenant, timeout = TIMEOUT_MS } = this.#settings;
    const payload = encodeValue([
      name,
      argument ?? null,
      ...(tenant === undefined ? [] : [tenant]),
    ]);
    return decodeValue(
      await transport.call(SYSTEM_OPS.AUTH, payload, { token, mutation, timeout }),
    );
  }
}

/** Serials of signed key sets beside the session; see `protocol/root_pins.ts`. */
function serialsIn(storage: ClientStorage): SerialMemory {
  const key = (pin: string): string => `kontract/serial/${pin}`;
  return {
    get: async (pin) => Number(await storage.get(key(pin))) || 0,
    set: (pin, serial) => storage.set(key(pin), String(serial)),
  };
}

function eitherOf(a: AbortSignal | undefined, b: AbortSignal | undefined): AbortSignal | undefined {
  return a === undefined || b === undefined ? a ?? b : AbortSignal.any([a, b]);
}

/** The arguments that travel as one value. */
function plainArguments(route: ClientRoute, args: readonly unknown[]): unknown[] {
  const plain = [...args];
  for (const { at } of route.inputs ?? []) plain[at] = undefined;
  return plain;
}

/**
 * The streamed arguments of a call, encoded as they are read; the code for that is a chunk of its own.
 * Progress counts bytes as the app gave them, so that a file has left when all of its size has.
 */
function inputsOf(
  { inputs }: ClientRoute,
  args: readonly unknown[],
  { onProgress }: ClientCallOptions,
): Pick<CallOptions, "inputs" | "onProgress"> {
  if (inputs === undefined) return {};
  let codec = 0;
  let told = 0;
  const onCodec = (added: number): void => void (codec += added);
  return {
    inputs: inputs.map((input) => {
      let source = args[input.at];
      return {
        async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
          const { encodeInput, SPENT } = await import("./inputs.ts");
          const whole = source;
          // The call may be sent again: it must not find the end of what it has read.
          source = SPENT;
          yield* encodeInput(input, whole, onCodec);
        },
      };
    }),
    // Several arguments are encoded at once: what another one's codec added may not have left yet.
    ...onProgress && { onProgress: (sent) => onProgress(told = Math.max(told, sent - codec)) },
  };
}

function refusesToken(error: unknown, repeatable: boolean): boolean {
  return hasCode(error, "SESSION_EXPIRED") ||
    repeatable && hasCode(error, "UNAUTHORIZED", "SESSION_REVOKED");
}
