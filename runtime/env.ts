/**
 * `env`, `ctx` and `secret`: views of the running call. They are constants that hold nothing; every
 * operation looks up the call it runs in, so a handle kept beyond its call never acts as somebody
 * else (see `context.ts`).
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { type CallContext, currentCall } from "./context.ts";
import { type EnvAuth, envAuth } from "./env_auth.ts";
import type { StorageOperations } from "../storage/types.ts";
import { type EnvTenants, envTenants } from "./env_tenants.ts";
import type { ContextAdditions, StorageRegistry } from "./registry.ts";
import { isOwnName } from "./own_names.ts";
import { checkHeader } from "./response.ts";
import { type SharedStore, sharedStore } from "./shared_store.ts";
import { unit } from "./unit.ts";

/**
 * `env.storage`: one table handle per table of the app, as `.kontract/types.d.ts` declares them, and the
 * operations beside them.
 */
export type EnvStorage = Readonly<StorageRegistry> & StorageOperations;

/** Custom topics. */
export interface EnvEvents {
  /**
   * Sends a message to whoever follows the topic, once this call has committed; in a part of the call
   * (`env.storage.transaction`) that writes, once that part has.
   *
   * @throws {KontractError} `VALIDATION` or `TOO_LARGE` at once, where the message cannot be sent
   */
  emit(topic: string, data?: unknown): void;
  /**
   * A source by which the caller, and nobody else, may follow the topic: give it back to the client, which
   * hands it to `client.subscribe` (or `GET /events?source=`). Without one no topic can be followed.
   *
   * @throws {KontractError} `VALIDATION` for a name or lifetime that cannot be
   */
  grant(topic: string, options?: TopicGrantOptions): Promise<string>;
}

/** Options of {@link EnvEvents.grant}. */
export interface TopicGrantOptions {
  /** Milliseconds for which the caller may follow; an hour where missing, a day at most. */
  readonly lifetime?: number;
}

/** What a backend function can reach. */
export interface Env {
  /** Tables: snapshot reads, writes applied together when the call ends. */
  readonly storage: EnvStorage;
  /** Key-value state shared by all calls of the tenant. */
  readonly shared: SharedStore;
  /** Custom topics. */
  readonly events: EnvEvents;
  /** The caller's account and sign-in; accounts and groups in functions that declare a `ugroup`. */
  readonly auth: EnvAuth;
  /** Tenants beside `main`, in functions of `main` that declare a `ugroup`. */
  readonly tenants: EnvTenants;
}

/** Who is calling, and the call itself. */
export interface BaseContext {
  /** Stable id of the caller. */
  readonly owner: string;
  /** True until the caller has signed up. */
  readonly isAnonymous: boolean;
  /**
   * True for a caller without a session, where the function's `session` lets one in. Guests are anonymous,
   * have one `owner` together, and store nothing in tables with `rows: "owner"`.
   */
  readonly isGuest: boolean;
  /** Groups of the caller, at most five seconds old; as of now after {@link confirm}. */
  readonly ugroups: readonly string[];
  /** Tenant of the caller. */
  readonly tenant: string;
  /** Name of this call in the log and in error answers. */
  readonly requestId: string;
  /** Name of the called function. */
  readonly route: string;
  /** Client address, or "unknown". */
  readonly address: string;
  /** Origin header of the request, or null. */
  readonly origin: string | null;
  /** Aborted when the caller cancels, goes away, or the deadline passes. */
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch at which the call is given up. */
  readonly deadline: number;
  /** Makes a value once in this call: `ctx.memo("me", () => env.storage.users.get(ctx.owner))`. */
  memo<T>(key: string, make: () => T): T;
  /**
   * Makes sure, in one round trip, that the session has not been ended, and brings `ugroups` up to date. Every
   * storage operation does the first by itself, and a route with `ugroup` starts with it: this is for
   * what a function or a middleware does elsewhere on the strength of who is calling.
   *
   * @throws {KontractError} `SESSION_REVOKED`, `DATABASE_UNAVAILABLE`
   */
  confirm(): Promise<void>;
  /**
   * A header of a request over plain HTTP, as a webhook's signature; null where there is none. Cookies are
   * not shown, and calls of the generated client have no headers of their own.
   */
  header(name: string): string | null;
  /** Sets a header of the plain JSON answer. */
  setHeader(name: string, value: string): void;
}

/** `ctx`: {@link BaseContext} and what middleware adds. */
export type Context = BaseContext & ContextAdditions;

/**
 * What the running call can reach: storage, shared state, topics, accounts, tenants. Outside a call its
 * operations fail with `CONTEXT_MISSING`, after its end with `CONTEXT_ENDED`.
 *
 * @example
 * ```ts
 * import { backend, env } from "@kontract/kontract";
 * export const visit = backend({}, async () => await env.shared.increment("visits"));
 * ```
 */
export const env: Env = {
  get storage(): EnvStorage {
    return STORAGE;
  },
  get shared(): SharedStore {
    return SHARED;
  },
  get events(): EnvEvents {
    return EVENTS;
  },
  get auth(): EnvAuth {
    return AUTH;
  },
  get tenants(): EnvTenants {
    return TENANTS;
  },
};

/**
 * A secret of the deployment, by name, on either host: a variable of the environment, or a Worker's secret.
 * Only inside a call; in `src/server.ts` use the `secret` that `defineServer` hands over.
 *
 * @example
 * ```ts
 * import { backend, secret } from "@kontract/kontract";
 * export const forecast = backend({ readOnly: true }, async (city: string): Promise<string> => {
 *   const answer = await fetch(`https://weather.example.com/${encodeURIComponent(city)}`, {
 *     headers: { authorization: `Bearer ${secret("WEATHER_KEY")}` },
 *   });
 *   return await answer.text();
 * });
 * ```
 *
 * @throws {KontractError} `CONFIG` where it is not set; the caller of the route sees `INTERNAL`
 */
export function secret(name: string): string {
  const { options } = currentCall("secret()");
  if (isOwnName(name)) {
    throw new KontractError("CONFIG", `'${name}' is Kontract's own and is given to no function.`);
  }
  const value = options.secret(name);
  if (value === undefined) {
    throw new KontractError(
      "CONFIG",
      `The secret '${name}' is not set: give the server an environment variable of that name, a Worker ` +
        `'wrangler secret put ${name}'.`,
    );
  }
  return value;
}

const EVENTS: EnvEvents = {
  emit(topic: string, data: unknown = null): void {
    const call = currentCall("env.events");
    call.emitted.push({ topic, data: call.options.checkMessage(topic, data) });
  },
  grant: async (topic: string, { lifetime }: TopicGrantOptions = {}): Promise<string> =>
    await currentCall("env.events").options.grantTopic(topic, lifetime),
};

const SHARED: SharedStore = sharedStore(() => {
  const { shared, tenant } = currentCall("env.shared").options;
  return { shared, tenant };
});

const AUTH: EnvAuth = envAuth(() => currentCall("env.auth"));

const transaction = <T>(body: () => T | Promise<T>): Promise<T> =>
  unit(currentCall("env.storage.transaction"), body);
const TENANTS: EnvTenants = envTenants(() => currentCall("env.tenants"));

const STORAGE = new Proxy({} as EnvStorage, {
  get(_target, name): unknown {
    if (typeof name !== "string" || name === "then") return undefined;
    return name === "transaction" ? transaction : handle(name);
  },
  has: (_target, name) => typeof name === "string",
  set: refuseChange,
  deleteProperty: refuseChange,
});

/** Handles by table name: stateless, so one per name serves all calls. */
const HANDLES = new Map<string, unknown>();

function handle(table: string): unknown {
  const known = HANDLES.get(table);
  if (known !== undefined) return known;
  const find = (): object | ((...args: unknown[]) => unknown) => {
    const { storage } = currentCall("env.storage").options;
    // Names with '_' are Kontract's own; the database refuses them as well.
    const found = table.startsWith("_") ? undefined : storage[table];
    if ((typeof found !== "object" && typeof found !== "function") || found === null) {
      throw new KontractError("CONFIG", `There is no table '${table}' in this build.`);
    }
    return found;
  };
  const made = new Proxy(function () {}, {
    get(_target, name): unknown {
      if (name === Symbol.asyncIterator) {
        return () => (find() as AsyncIterable<unknown>)[Symbol.asyncIterator]();
      }
      if (typeof name !== "string" || name === "then") return undefined;
      return (...args: unknown[]): unknown => {
        const target = find() as Record<string, unknown>;
        const operation = target[name];
        if (typeof operation !== "function") {
          throw new KontractError("CONFIG", `A table has no operation '${name}'.`);
        }
        return Reflect.apply(operation, target, args);
      };
    },
    apply: (_target, _self, args): unknown =>
      Reflect.apply(find() as () => unknown, undefined, args),
    set: refuseChange,
    deleteProperty: refuseChange,
    construct: () => refuseChange(),
  });
  // Names come from source code, but a computed one could be a caller's: bound it.
  if (HANDLES.size < 10_000) HANDLES.set(table, made);
  return made;
}

function refuseChange(): never {
  throw new KontractError("CONFIG", "env.storage cannot be changed: use 'set' of a table.");
}

type Reader = (call: CallContext) => unknown;

const FIELDS: Readonly<Record<keyof BaseContext, Reader>> = {
  owner: (call) => call.options.owner,
  isAnonymous: (call) => call.options.isAnonymous,
  isGuest: (call) => call.options.isGuest,
  ugroups: (call) => call.ugroups,
  tenant: (call) => call.options.tenant,
  requestId: (call) => call.options.requestId,
  route: (call) => call.options.route,
  address: (call) => call.options.request.address,
  origin: (call) => call.options.request.origin,
  signal: (call) => call.options.signal,
  deadline: (call) => call.options.deadline,
  memo: (call) => call.memo.bind(call),
  confirm: (call) => call.confirm.bind(call),
  header: ({ options: { request } }) => (name: string): string | null =>
    name.toLowerCase() === "cookie" ? null : request.headers?.get(name) ?? null,
  setHeader: (call) => (name: string, value: string): void => {
    checkHeader(name, value);
    call.headers.set(name.toLowerCase(), value);
  },
};

function isField(name: string): name is keyof BaseContext {
  return Object.hasOwn(FIELDS, name);
}

/**
 * Who is calling. Middleware may add properties; its own cannot be changed. Outside a call reading one throws
 * `CONTEXT_MISSING`, after its end `CONTEXT_ENDED`.
 *
 * @example
 * ```ts
 * import { backend, ctx } from "@kontract/kontract";
 * export const whoami = backend({ readOnly: true }, () =>
 *   Promise.resolve(ctx.isAnonymous ? "a visitor" : ctx.owner));
 * ```
 */
export const ctx: Context = new Proxy({} as Context, {
  get(_target, name): unknown {
    if (typeof name !== "string" || name === "then") return undefined;
    const call = currentCall(`ctx.${name}`);
    return isField(name) ? FIELDS[name](call) : call.additions.get(name);
  },
  has: (_target, name) =>
    typeof name === "string" && (isField(name) || currentCall("ctx").additions.has(name)),
  set(_target, name, value): boolean {
    if (typeof name !== "string" || isField(name)) {
      throw new KontractError("CONFIG", `ctx.${String(name)} cannot be changed.`);
    }
    currentCall(`ctx.${name}`).additions.set(name, value);
    return true;
  },
  deleteProperty(_target, name): boolean {
    return typeof name === "string" && currentCall("ctx").additions.delete(name);
  },
});
