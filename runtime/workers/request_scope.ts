/**
 * What belongs to one request on Workers: its lifetime, and its database connection where there is no
 * pool. A connection must not be used by another request, so the ports find the running one here.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Database } from "../../storage/database.ts";
import { FeedWakes } from "./feed_wakes.ts";
import { SqlError } from "../../storage/database.ts";

/** One request (or one event of a Durable Object). */
export class RequestScope {
  readonly #waitUntil: (work: Promise<unknown>) => void;
  #database: Database | null = null;
  #wakes: FeedWakes | null = null;

  /** `waitUntil` keeps the host alive. */
  constructor(waitUntil: (work: Promise<unknown>) => void) {
    this.#waitUntil = waitUntil;
  }

  /** Keeps the host alive until `work` settles. */
  background(work: Promise<unknown>): void {
    this.#waitUntil(work);
  }

  /** The request's own connection, opened on first use. */
  database(open: () => Database): Database {
    this.#database ??= open();
    return this.#database;
  }

  /** Wakes of feeds for whoever follows in this request. */
  get wakes(): FeedWakes {
    return this.#wakes ??= new FeedWakes();
  }

  /** Ends the connection in the background, and leaves the feeds. */
  end(): void {
    this.#wakes?.end();
    const database = this.#database;
    this.#database = null;
    if (database !== null) this.background(database.close().catch(() => {}));
  }
}

const CURRENT = new AsyncLocalStorage<RequestScope>();

/** Runs `body` as part of a request. */
export function inScope<T>(scope: RequestScope, body: () => T): T {
  return CURRENT.run(scope, body);
}

/** The running request, or null outside of one. */
export function currentScope(): RequestScope | null {
  return CURRENT.getStore() ?? null;
}

/** A database with one connection per request. */
export function scopedDatabase(open: () => Database): Database {
  return {
    execute(statement, params) {
      const scope = currentScope();
      if (scope === null) {
        throw new SqlError({
          sqlstate: "08003",
          message: "no request is running",
          notSent: true,
        });
      }
      return scope.database(open).execute(statement, params);
    },
    close: () => Promise.resolve(),
  };
}
