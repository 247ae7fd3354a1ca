/**
 * Connections of `npm:postgres`, one statement at a time each, thrown away at the first sign of a break.
 *
 * The driver's own pool is not used. It sends statements of several callers down one connection, so a
 * commit that waits for a lock holds up whoever was put behind it; and a statement sent between the
 * `error` and the `close` of a socket is never answered, nor is the connection ever used again (3.4.9).
 * With one statement per connection and no connection used after a break, neither can happen.
 *
 * Idle clients are ended here as well: one timer for all of them, where the driver would set one per query.
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
}

interface Idle {
  readonly client: postgres.Sql;
  readonly since: number;
}

/** A pool of single connections. */
export class ConnectionPool {
  readonly #open: OpenClient;
  readonly #limits: PoolLimits;
  readonly #clients = new Set<postgres.Sql>();
  /** The one that has idled longest comes first. */
  readonly #idle: Idle[] = [];
  readonly #waiting: PromiseWithResolvers<postgres.Sql>[] = [];
  #closed: (() => Error) | null = null;
  #sweep: ReturnType<typeof setTimeout> | null = null;

  /** Clients are made by `open`, as they are needed. */
  constructor(open: OpenClient, limits: PoolLimits) {
    this.#open = open;
    this.#limits = limits;
  }

  /**
   * Runs `work` with a client that nobody else uses meanwhile. Where it fails and `isBroken` says so, the
   * client is not used again.
   */
  async use<T>(
    work: (client: postgres.Sql) => Promise<T>,
    isBroken: (error: unknown) => boolean,
  ): Promise<T> {
    const client = await this.#take();
    let broken = false;
    try {
      return await work(client);
    } catch (error) {
      broken = isBroken(error);
      throw error;
    } finally {
      this.#give(client, broken);
    }
  }

  /** Ends all clients; whoever waits or comes later gets what `refusal` makes. */
  async close(refusal: () => Error): Promise<void> {
    this.#closed = refusal;
    if (this.#sweep !== null) clearTimeout(this.#sweep);
    for (const waiter of this.#waiting.splice(0)) waiter.reject(refusal());
    await Promise.all([...this.#clients].map((client) => client.end({ timeout: 5 })));
  }

  #take(): Promise<postgres.Sql> | postgres.Sql {
    if (this.#closed !== null) throw this.#closed();
    // The one used last: those that are not needed idle until their own time is out.
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle.client;
    if (this.#clients.size < this.#limits.max) return this.#add();
    const waiter = Promise.withResolvers<postgres.Sql>();
    this.#waiting.push(waiter);
    return waiter.promise;
  }

  #add(): postgres.Sql {
    const client = this.#open();
    this.#clients.add(client);
    return client;
  }

  #give(client: postgres.Sql, broken: boolean): void {
    if (broken) this.#end(client);
    if (this.#closed !== null) return;
    const next = this.#waiting.shift();
    if (next !== undefined) next.resolve(broken ? this.#add() : client);
    else if (!broken) {
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
