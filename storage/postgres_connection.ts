/**
 * One connection of the gateway. The driver opens it (addresses, encryption, passwords) and runs its first statement;
 * where it is a plain socket and statements are prepared, the later ones go over a {@link StatementLine}. Over TLS, on
 * Workers and through a pooler the driver runs all: there the way to the server takes far longer than its work.
 *
 * @module
 */
import type { Socket } from "node:net";
import type postgres from "postgres";
import type { StatementLine } from "./statement_line.ts";

/** Where the driver would connect to, from its own options. */
export interface Address {
  readonly host: readonly string[];
  readonly port: readonly number[];
  /** A socket in the file system, or false. */
  readonly path: string | false;
}

/** What a host with Node's sockets has: `direct.ts`. */
export interface Direct {
  /** Begins to connect; to the next of several addresses with each attempt. */
  openSocket(address: Address, attempt: number): Socket;
  /** The line over a socket on which the driver waits for nothing. */
  takeOver(socket: Socket): StatementLine;
}

/** Makes a client with a single connection; connects on first use, through `socket` where one is given. */
export type OpenClient = (socket?: (address: Address) => Socket) => postgres.Sql;

/** Milliseconds; as the driver asks for it, which does so before this socket is connected. */
const KEEP_ALIVE = 60_000;

/** A connection, or several, one after the other: where one is gone the next statement opens another. */
export class PostgresConnection {
  readonly #openClient: OpenClient;
  readonly #direct: Direct | null;
  #client: postgres.Sql;
  #socket: Socket | null = null;
  #line: StatementLine | null = null;

  /** Connects on first use. `direct` is null where the driver is to run everything. */
  constructor(openClient: OpenClient, direct: Direct | null) {
    this.#openClient = openClient;
    this.#direct = direct;
    this.#client = this.#open();
  }

  /** Runs one statement. The caller waits for the answer before it sends another. */
  execute(
    text: string,
    values: readonly unknown[],
    prepare: boolean,
  ): PromiseLike<readonly Readonly<Record<string, unknown>>[]> {
    if (this.#line?.open === true) return this.#line.execute(text, values);
    if (this.#line !== null) this.#renew();
    const parameters = values as postgres.ParameterOrJSON<never>[];
    const rows = this.#client.unsafe(text, parameters, { prepare });
    return this.#direct === null ? rows : rows.then((value) => {
      this.#takeOver();
      return value;
    });
  }

  /** Ends it. A statement under way is still answered, within so many seconds. */
  end(options: { readonly timeout: number }): Promise<void> {
    return this.#client.end(options);
  }

  #open(): postgres.Sql {
    const direct = this.#direct;
    if (direct === null) return this.#openClient();
    let attempt = 0;
    const client = this.#openClient((address) =>
      this.#socket = direct.openSocket(address, attempt++)
    );
    return client.options.ssl === false ? client : this.#openClient();
  }

  /** The driver would connect again by itself, but not before it has seen the socket close. */
  #renew(): void {
    this.#client.end({ timeout: 0 }).catch(() => {});
    this.#line = null;
    this.#client = this.#open();
  }

  /** The driver has its answer and waits for nothing. */
  #takeOver(): void {
    if (this.#direct === null || this.#socket === null || !this.#socket.writable) return;
    this.#socket.setKeepAlive(true, KEEP_ALIVE);
    this.#line = this.#direct.takeOver(this.#socket);
  }
}
