/**
 * Connections of `npm:postgres`, one statement at a time each, thrown away at the first sign of a break.
 *
 * The driver's own pool is not used. It sends statements of several callers down one connection, so a
 * commit that waits for a lock holds up whoever was put behind it; and a statement sent between the
 * `error` and the `close` of a socket is never answered, nor is the connection ever used again (3.4.9).
 * With one statement per connection and no connection used after a break, neither can happen.
 *
 * @module
 */
import type postgres from "postgres";

/** Makes a client with a single connection; connects on first use. */
export type OpenClient = () => postgres.Sql;

/** A pool of single connections. */
export class ConnectionPool {
  readonly #open: OpenClient;
  readonly #max: number;
  readonly #clients = new Set<postgres.Sql>();
  readonly #idle: postgres.Sql[] = [];
  readonly #waiting: PromiseWithResolvers<postgres.Sql>[] = [];
  #closed: (() => Error) | null = null;

  /** At most `max` clients, each made by `open`. */
  constructor(open: OpenClient, max: number) {
    this.#open = open;
    this.#max = max;
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
    for (const waiter of this.#waiting.splice(0)) waiter.reject(refusal());
    await Promise.all([...this.#clients].map((client) => client.end({ timeout: 5 })));
  }

  #take(): Promise<postgres.Sql> | postgres.Sql {
    if (this.#closed !== null) throw this.#closed();
    // The one used last: those that are not needed idle until their own time is out.
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#clients.size < this.#max) return this.#add();
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
    if (broken) {
      this.#clients.delete(client);
      // Its end concerns nobody any more.
      client.end({ timeout: 0 }).catch(() => {});
    }
    if (this.#closed !== null) return;
    const next = this.#waiting.shift();
    if (next !== undefined) next.resolve(broken ? this.#add() : client);
    else if (!broken) this.#idle.push(client);
  }
}
