/**
 * The part of Cloudflare's platform that is used here, as types of our own: nothing of the runtime
 * imports `cloudflare:workers`, so it can be checked, documented and tested anywhere.
 *
 * Durable Objects are called by `fetch` with encoded values and not by remote procedure calls: those
 * need a base class that exists only there, and carry neither classes nor errors.
 *
 * @module
 */

/** `ExecutionContext`. */
export interface ExecutionContext {
  waitUntil(work: Promise<unknown>): void;
}

/** `DurableObjectId`. */
export interface ObjectId {
  toString(): string;
}

/** `DurableObjectStub`. */
export interface ObjectStub {
  fetch(request: Request): Promise<Response>;
}

/** `DurableObjectNamespace`. */
export interface ObjectNamespace {
  idFromName(name: string): ObjectId;
  newUniqueId(): ObjectId;
  get(id: ObjectId): ObjectStub;
}

/** `SqlStorage`. */
export interface ObjectSql {
  exec(
    sql: string,
    ...bindings: (string | number | null | ArrayBuffer)[]
  ): { toArray(): Record<string, unknown>[] };
}

/** `DurableObjectStorage`. */
export interface ObjectStorage {
  readonly sql: ObjectSql;
  transactionSync<T>(body: () => T): T;
}

/** The server's end of a `WebSocketPair`. */
export interface ObjectSocket {
  send(message: ArrayBuffer | Uint8Array | string): void;
  close(code?: number, reason?: string): void;
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
}

/** `DurableObjectState`. */
export interface ObjectState {
  readonly storage: ObjectStorage;
  acceptWebSocket(socket: ObjectSocket): void;
  getWebSockets(): ObjectSocket[];
  blockConcurrencyWhile<T>(body: () => Promise<T>): Promise<T>;
  waitUntil(work: Promise<unknown>): void;
}

/** A `fetch` binding: static files, or a service. */
export interface Fetcher {
  fetch(request: Request): Promise<Response>;
}

/** `Hyperdrive`. */
export interface HyperdriveBinding {
  readonly connectionString: string;
}

/** Bindings of a Kontract Worker; secrets and variables of the app stand beside them. */
export interface WorkerEnv {
  readonly SESSION: ObjectNamespace;
  readonly KVC: ObjectNamespace;
  readonly CHANGE_HUB: ObjectNamespace;
  readonly DB_POOL?: ObjectNamespace;
  readonly HYPERDRIVE?: HyperdriveBinding;
  readonly ASSETS?: Fetcher;
  readonly DATABASE_URL?: string;
  readonly KONTRACT_SECRET?: string;
  readonly KONTRACT_ORIGINS?: string;
  /** `hyperdrive`, `pool` or `direct`, where the choice shall not be made by what is bound. */
  readonly KONTRACT_DATABASE?: string;
  /** Number of pools, each with up to 5 connections; 1 where missing. */
  readonly KONTRACT_POOL_SHARDS?: string;
  readonly [name: string]: unknown;
}
