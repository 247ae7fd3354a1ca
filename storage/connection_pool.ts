/**
 * Connections of `npm:postgres`, one statement at a time each, thrown away at the first sign of a break.
 *
 * The driver's own pool is not used. It sends statements of several callers down one connection, so a
 * commit that waits for a lock holds up whoever was put behind it; and a statement sent between the
 * `error` and the `close` of a socket is never answered, nor is the connection ever used again (3.4.9).
 * With one statement per connection and no connection used after a break, neither can happen.
 *
 * Where the server has no room for another connection, a statement waits for one of those there are, or until
 * there is room; one more connection is tried every tenth of a second, as long as anybody waits.
 *
 * Idle clients are ended here as well: one timer for all of them, where the driver would set one per query. So
 * are those that have met many tables, each of which PostgreSQL remembers as long as the connection lasts.
 *
 * @module
 */
import type postgres from "postgres";

/** Makes a client with a single connection; connects on first use. */
export type OpenClient = () => postgres.Sql;

/** Bounds of a pool. */
export interface PoolLimits {
  /** Clients at most. */
  readonly max: number;
  /** Milliseconds after which a client that nobody needed is ended. */
  readonly idleMs: number;
  /** Tables after which a client is ended and another one takes its place. */
  readonly tables: number;
  /** Milliseconds that a statement waits where the server has no room for a single client. */
  readonly fullMs: number;
}

/** Milliseconds between two trials whether the server has room. */
const TRIAL_MS = 100;

/** What a pool has to know of a statement. */
export interface Use {
  /** Whether a client may be used again after this error. */
  readonly isBroken: (error: unknown) => boolean;
  /** Whether the server had no room for the client, and so nothing was sent. */
  readonly isFull: (error: unknown) => boolean;
  /** Tables that the client may meet for the first time. */
  readonly tables: number;
}

interface Idle {
  readonly client: postgres.Sql;
  readonly since: number;
}

interface Waiting extends PromiseWithResolvers<postgres.Sql> {
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** A pool of single connections. */
export class ConnectionPool {
  readonly #open: OpenClient;
  readonly #limits: PoolLimits;
  /** Clients with the number of tables they have met. */
  readonly #clients = new Map<postgres.Sql, number>();
  /** The one that has idled longest comes first. */
  readonly #idle: Idle[] = [];
  #waiting: Waiting[] = [];
  /** Set while the server has no room: until then nobody tries. */
  #trial: ReturnType<typeof setTimeout> | null = null;
  #closed: (() => Error) | null = null;
  #sweep: ReturnType<typeof setTimeout> | null = null;

  /** Clients are made by `open`, as they are needed. */
  constructor(open: OpenClient, limits: PoolLimits) {
    this.#open = open;
    this.#limits = limits;
  }

  /** Runs `work` with a client that nobody else uses meanwhile. */
  use<T>(work: (client: postgres.Sql) => PromiseLike<T>, use: Use): PromiseLike<T> {
    try {
      const client = this.#take();
      return client instanceof Promise
        ? client.then((given) => this.#run(given, work, use))
        : this.#run(client, work, use);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Callbacks, not an async function: what every statement goes through has no more turns than it needs. */
  #run<T>(
    client: postgres.Sql,
    work: (client: postgres.Sql) => PromiseLike<T>,
    use: Use,
    refused?: number,
  ): PromiseLike<T> {
    const { isBroken, isFull, tables } = use;
    const spent = tables > 0 && this.#meets(client, tables);
    return work(client).then((value) => {
      this.#give(client, spent);
      return value;
    }, (error) => {
      if (isFull(error)) {
        const since = refused ?? Date.now();
        return this.#refused(client, error, since).then((given) =>
          this.#run(given, work, use, since)
        );
      }
      this.#give(client, spent || isBroken(error));
      throw error;
    });
  }

  /** The turn of a statement whose client the server had no room for: the next one; too late where there is no other. */
  #refused(client: postgres.Sql, error: unknown, since: number): Promise<postgres.Sql> {
    this.#end(client);
    if (this.#closed !== null) throw this.#closed();
    const idle = this.#takeIdle();
    if (idle !== undefined) return Promise.resolve(idle);
    const waiter = { ...Promise.withResolvers<postgres.Sql>(), since };
    const late = this.#clients.size > 0 ? 0 : Date.now() - this.#limits.fullMs;
    this.#waiting = [waiter, ...this.#waiting].filter((each) => {
      if (each.since > late) return true;
      each.reject(error);
      return false;
    });
    this.#trial ??= setTimeout(this.#try, TRIAL_MS);
    return waiter.promise;
  }

  readonly #try = (): void => {
    this.#trial = null;
    if (this.#clients.size >= this.#limits.max) return;
    this.#waiting.shift()?.resolve(this.#add());
    // Where it finds room and works for long, nobody else would try for those who wait.
    if (this.#waiting.length > 0) this.#trial = setTimeout(this.#try, TRIAL_MS);
  };

  /** True where the client has met enough. */
  #meets(client: postgres.Sql, tables: number): boolean {
    const met = (this.#clients.get(client) ?? 0) + tables;
    this.#clients.set(client, met);
    return met >= this.#limits.tables;
  }

  /** Ends all clients; whoever waits or comes later gets what `refusal` makes. */
  async close(refusal: () => Error): Promise<void> {
    this.#closed = refusal;
    if (this.#sweep !== null) clearTimeout(this.#sweep);
    if (this.#trial !== null) clearTimeout(this.#trial);
    for (const waiter of this.#waiting.splice(0)) waiter.reject(refusal());
    await Promise.all([...this.#clients.keys()].map((client) => client.end({ timeout: 5 })));
  }

  #take(): Promise<postgres.Sql> | postgres.Sql {
    if (this.#closed !== null) throw this.#closed();
    const idle = this.#takeIdle();
    if (idle !== undefined) return idle;
    if (this.#clients.size < this.#limits.max && this.#trial === null) return this.#add();
    const waiter = { ...Promise.withResolvers<postgres.Sql>(), since: Date.now() };
    this.#waiting.push(waiter);
    return waiter.promise;
  }

  /** The one used last: those that are not needed idle until their own time is out. */
  #takeIdle(): postgres.Sql | undefined {
    return this.#idle.pop()?.client;
  }

  #add(): postgres.Sql {
    const client = this.#open();
    this.#clients.set(client, 0);
    return client;
  }

  #give(client: postgres.Sql, spent: boolean): void {
    if (spent) this.#end(client);
    if (this.#closed !== null) return;
    const next = this.#waiting.shift();
    if (next !== undefined) next.resolve(spent ? this.#add() : client);
    else if (!spent) {
      this.#idle.push({ client, since: Date.now() });
      this.#sweep ??= setTimeout(this.#endIdle, this.#limits.idleMs);
    }
  }

  /** Its end concerns nobody any more. */
  #end(client: postgres.Sql): void {
    this.#clients.delete(client);
    client.end({ timeout: 0 }).catch(() => {});
  }

  readonly #endIdle = (): void => {
    this.#sweep = null;
    const oldest = Date.now() - this.#limits.idleMs;
    while (this.#idle[0] !== undefined && this.#idle[0].since <= oldest) {
      this.#end(this.#idle.shift()!.client);
    }
    const [next] = this.#idle;
    if (next !== undefined) {
      this.#sweep = setTimeout(this.#endIdle, Math.max(next.since - oldest, 1));
    }
  };
}
