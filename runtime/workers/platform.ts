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
  /** Keeps the isolate alive until `work` settles. */
  waitUntil(work: Promise<unknown>): void;
}

/** `DurableObjectId`. */
export interface ObjectId {
  /** The id as text. */
  toString(): string;
}

/** `DurableObjectStub`. */
export interface ObjectStub {
  /** Sends a request to the object. */
  fetch(request: Request): Promise<Response>;
}

/** `DurableObjectNamespace`. */
export interface ObjectNamespace {
  /** The id that belongs to a name. */
  idFromName(name: string): ObjectId;
  /** An id that no other object has. */
  newUniqueId(): ObjectId;
  /** The object of an id. */
  get(id: ObjectId): ObjectStub;
}

/** `SqlStorage`. */
export interface ObjectSql {
  /** Runs one statement. */
  exec(
    sql: string,
    ...bindings: (string | number | null | ArrayBuffer)[]
  ): { toArray(): Record<string, unknown>[] };
}

/** `DurableObjectStorage`. */
export interface ObjectStorage {
  /** SQLite. */
  readonly sql: ObjectSql;
  /** Runs `body` all or nothing. */
  transactionSync<T>(body: () => T): T;
}

/** The server's end of a `WebSocketPair`. */
export interface ObjectSocket {
  /** Sends one message. */
  send(message: ArrayBuffer | Uint8Array | string): void;
  /** Ends the socket. */
  close(code?: number, reason?: string): void;
  /** Keeps a value with the socket while the object hibernates. */
  serializeAttachment(value: unknown): void;
  /** The value that was kept. */
  deserializeAttachment(): unknown;
}

/** `DurableObjectState`. */
export interface ObjectState {
  /** What the object stores. */
  readonly storage: ObjectStorage;
  /** Accepts a socket that lets the object hibernate. */
  acceptWebSocket(socket: ObjectSocket): void;
  /** All accepted sockets. */
  getWebSockets(): ObjectSocket[];
  /** Runs `body` before any other event. */
  blockConcurrencyWhile<T>(body: () => Promise<T>): Promise<T>;
  /** Keeps the object alive until `work` settles. */
  waitUntil(work: Promise<unknown>): void;
}

/** A `fetch` binding: static files, or a service. */
export interface Fetcher {
  /** Answers a request. */
  fetch(request: Request): Promise<Response>;
}

/** `Hyperdrive`. */
export interface HyperdriveBinding {
  /** Where the pool listens. */
  readonly connectionString: string;
}

/** Bindings of a Kontract Worker; secrets and variables of the app stand beside them. */
export interface WorkerEnv {
  /** Class `SessionDO`. */
  readonly SESSION: ObjectNamespace;
  /** Class `KvcDO`. */
  readonly KVC: ObjectNamespace;
  /** Class `ChangeHubDO`. */
  readonly CHANGE_HUB: ObjectNamespace;
  /** Class `DbPoolDO`. */
  readonly DB_POOL?: ObjectNamespace;
  /** Hyperdrive, where there is one; used in place of the pool. */
  readonly HYPERDRIVE?: HyperdriveBinding;
  /** The front end's files. */
  readonly ASSETS?: Fetcher;
  /** Connection string of the gateway role. */
  readonly DATABASE_URL?: string;
  /** See `kontract keys new`. */
  readonly KONTRACT_SECRET?: string;
  /** Web origins beside the Worker's own, separated by commas. */
  readonly KONTRACT_ORIGINS?: string;
  /** `hyperdrive`, `pool` or `direct`, where the choice shall not be made by what is bound. */
  readonly KONTRACT_DATABASE?: string;
  /** Number of pools, each with up to 5 connections; 1 where missing. */
  readonly KONTRACT_POOL_SHARDS?: string;
  /** Secrets and variables of the app. */
  readonly [name: string]: unknown;
}
