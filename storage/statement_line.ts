/**
 * Prepared statements over a connection that the driver has opened: one message out, one answer in, one statement at a
 * time. What the driver does for each query (a promise of its own class, types, a wait for the loop's next turn, a
 * result with properties of its own) costs a gateway more than all else in a read by key.
 *
 * Contract:
 * - Given a plain socket on which PostgreSQL has said that it is ready and nothing is under way. From then on the
 *   line alone reads it; the driver still ends it.
 * - A statement is prepared the first time, in the same message. One that the server has forgotten, or whose answer
 *   has another type since a migration, is prepared again: neither has run.
 * - An error of the server has `severity`, `code`, `message` and `detail` as the driver's has. Where the connection
 *   breaks before the answer the error's code is `CONNECTION_CLOSED`: it may have run.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { MessageReader } from "./wire/message_reader.ts";
import { MessageWriter } from "./wire/message_writer.ts";
import { type Column, readColumns, readError, readRow, type ServerError } from "./wire/answers.ts";

type Row = Readonly<Record<string, unknown>>;

interface Prepared {
  readonly name: string;
  readonly columns: readonly Column[];
}

/** What is under way. */
interface Pending {
  readonly text: string;
  readonly values: readonly unknown[];
  readonly resolve: (rows: readonly Row[]) => void;
  readonly reject: (error: unknown) => void;
  /** Name it is being prepared under, where it is. */
  readonly preparing: string | null;
  columns: readonly Column[];
  rows: Row[];
  error: ServerError | null;
}

const [DATA, ERROR, READY, COLUMNS] = [..."DEZT"].map((type) => type.charCodeAt(0));

/** Where the server says so, a prepared statement is of no use any more, and has not run. */
const FORGOTTEN = new Set(["FetchPreparedStatement", "RevalidateCachedQuery"]);

/** Statements on one connection. */
export class StatementLine {
  readonly #socket: Socket;
  readonly #reader: MessageReader;
  readonly #writer = new MessageWriter();
  readonly #statements = new Map<string, Prepared>();
  /** A pooler may hand a server's connection on: nobody else uses these names. */
  readonly #names = `k${crypto.randomUUID().slice(0, 13)}_`;
  #named = 0;
  #pending: Pending | null = null;
  #broken = false;

  /** Takes the socket over. */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.#reader = new MessageReader((type, bytes, from) => this.#message(type, bytes, from));
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => this.#data(chunk));
    for (const end of ["error", "end", "close"]) socket.on(end, () => this.#break());
  }

  /** False once a statement would not get through. */
  get open(): boolean {
    return !this.#broken && this.#socket.writable;
  }

  /** Runs one; the caller waits for the answer before it sends another. */
  execute(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return new Promise((resolve, reject) => {
      if (this.#pending !== null) throw new Error("Invariant: one statement at a time.");
      this.#send(text, values, resolve, reject);
    });
  }

  #send(
    text: string,
    values: readonly unknown[],
    resolve: Pending["resolve"],
    reject: Pending["reject"],
  ): void {
    const known = this.#statements.get(text);
    const preparing = known === undefined ? `${this.#names}${++this.#named}` : null;
    const message = this.#writer.statement(known?.name ?? preparing!, preparing && text, values);
    this.#pending = {
      text,
      values,
      resolve,
      reject,
      preparing,
      columns: known?.columns ?? [],
      rows: [],
      error: null,
    };
    this.#socket.write(message);
  }

  #data(chunk: Buffer): void {
    try {
      this.#reader.read(chunk);
    } catch {
      // What cannot be read is no answer, and nothing after it would be.
      this.#break();
    }
  }

  #message(type: number, bytes: Buffer, from: number): void {
    const pending = this.#pending;
    if (type === ERROR) {
      const error = readError(bytes, from);
      // The server is about to close: nothing more may be sent.
      if (error.severity !== "ERROR") this.#break(error);
      else if (pending !== null) pending.error = error;
    }
    if (pending === null) return;
    if (type === DATA) pending.rows.push(readRow(bytes, from, pending.columns));
    else if (type === COLUMNS) pending.columns = readColumns(bytes, from);
    else if (type === READY) this.#answered(pending);
  }

  #answered(pending: Pending): void {
    const { text, preparing, columns, error } = pending;
    this.#pending = null;
    if (error === null) {
      if (preparing !== null) this.#statements.set(text, { name: preparing, columns });
      pending.resolve(pending.rows);
    } else if (preparing === null && FORGOTTEN.has(error.routine)) {
      this.#statements.delete(text);
      this.#send(text, pending.values, pending.resolve, pending.reject);
    } else {
      pending.reject(error);
    }
  }

  #break(
    error: unknown = Object.assign(new Error("The connection to the database was closed."), {
      code: "CONNECTION_CLOSED",
    }),
  ): void {
    this.#broken = true;
    const pending = this.#pending;
    this.#pending = null;
    pending?.reject(error);
  }
}
