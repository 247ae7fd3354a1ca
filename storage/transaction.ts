/**
 * One attempt of a call: its tables, its open operations, its end.
 *
 * Life: open (operations run) → draining (the body has returned; what it did not await is waited for) →
 * ended (everything throws `CONTEXT_ENDED`).
 *
 * @module
 */
import type { TableDef } from "../_internal/manifest.ts";
import { errorFrom, PermissionError, UnauthorizedError } from "../_internal/error_classes.ts";
import { KontractError } from "../_internal/errors.ts";
import type { CallOptions, Transaction } from "./contract.ts";
import type { Database } from "./database.ts";
import { ExecCall } from "./exec/exec_call.ts";
import type { ExecStatements } from "./exec/statements.ts";
import { feedName } from "./feed_name.ts";
import { STORAGE_LIMITS } from "./limits.ts";
import { checkAlive, ReadContext } from "./read_context.ts";
import { tableHandle } from "./table_handle.ts";
import type { HandleOwner } from "./table_query.ts";
import type { TableRules } from "./table_rules.ts";
import { type TableOps, TableState } from "./table_state.ts";

const READ = 4;

/** What an attempt is made from. */
export interface AttemptOptions {
  readonly database: Database;
  readonly tables: ReadonlyMap<string, TableDef>;
  readonly rules: (table: TableDef, call: CallOptions) => TableRules;
  readonly execs: ExecStatements;
  readonly call: CallOptions;
  readonly now: () => number;
}

/** One attempt. */
export class Attempt implements Transaction, HandleOwner {
  readonly storage: Readonly<Record<string, unknown>>;
  readonly reads: ReadContext;
  readonly #options: AttemptOptions;
  readonly #states = new Map<string, TableState>();
  readonly #handles = new Map<string, unknown>();
  readonly #open = new Set<Promise<unknown>>();
  #exec: ExecCall | null = null;
  #ended = false;

  /** Begins; no round trip. */
  constructor(options: AttemptOptions) {
    this.#options = options;
    this.reads = new ReadContext(options.database, options.call, options.now);
    this.storage = new Proxy<Transaction["storage"]>(
      NOTHING,
      new Properties((name) => this.#property(name)),
    );
  }

  /** True where something is to be committed. */
  get dirty(): boolean {
    for (const state of this.#states.values()) if (state.dirty) return true;
    return false;
  }

  /** Waits for operations the body did not await, then refuses new ones. Their failure is the call's. */
  async drain(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open);
    this.#ended = true;
  }

  /** Refuses all further operations. */
  end(): void {
    this.#ended = true;
    this.reads.end();
  }

  /** What is to be committed, by table. @throws {KontractError} `TOO_LARGE` */
  ops(): readonly TableOps[] {
    const ops = [...this.#states.values()].map((state) => state.ops())
      .filter((part): part is TableOps => part !== null);
    const written = ops.reduce((sum, part) => sum + part.w.length, 0);
    if (written > STORAGE_LIMITS.callKeys) {
      throw errorFrom("TOO_LARGE", `A call writes at most ${STORAGE_LIMITS.callKeys} rows.`);
    }
    return ops;
  }

  /** As {@link HandleOwner} says. */
  operate<T>(work: () => Promise<T>): Promise<T> {
    if (this.#ended) return Promise.reject(new KontractError("CONTEXT_ENDED"));
    let run: Promise<T>;
    try {
      checkAlive(this.#options.call, this.#options.now);
      run = work();
    } catch (error) {
      run = Promise.reject(error);
    }
    this.#open.add(run);
    // What the body does not await must not end the process; a failure still fails the body that does.
    const closed = (): void => void this.#open.delete(run);
    run.then(closed, closed);
    return run;
  }

  /** As {@link HandleOwner} says. */
  demandWrite(): void {
    if (this.#options.call.readOnly) {
      throw new PermissionError("A read-only function cannot write.");
    }
  }

  #state(table: TableDef): TableState {
    let state = this.#states.get(table.name);
    if (state === undefined) {
      const { call, rules } = this.#options;
      const rights = rules(table, call);
      state = new TableState(rights, this.reads, call.session.owner);
      this.#states.set(table.name, state);
      // What may not be read is not followed either: the call has been refused, or bears the refusal.
      if ((rights.bits & READ) !== 0) {
        call.reading?.table(table.name, feedName(call.session, table));
      }
    }
    return state;
  }

  #execCall(): ExecCall {
    const { call, execs, tables } = this.#options;
    return new ExecCall({
      statements: execs,
      reads: this.reads,
      grants: call.grants,
      operate: (work) => this.operate(work),
      states: () => this.#states.values(),
      state: (name) => this.#state(tables.get(name)!),
    });
  }

  #property(name: string): unknown {
    const known = this.#handles.get(name);
    if (known !== undefined) return known;
    if (name === "exec") return (this.#exec ??= this.#execCall()).tag;
    const { tables, call } = this.#options;
    const table = tables.get(name);
    if (table === undefined || (name.startsWith("_") && !call.session.system)) {
      throw new KontractError("SCHEMA_MISMATCH", `There is no table '${name}'.`);
    }
    // Who has no identity owns nothing: such a row would belong to all of them.
    const mayOwn = table.rows !== "owner" || call.guest !== true;
    const handle = tableHandle(this.#state(table), mayOwn ? this : this.#nobody());
    this.#handles.set(name, handle);
    return handle;
  }

  /** As this, but nothing is written. */
  #nobody(): HandleOwner {
    return {
      operate: (work) => this.operate(work),
      demandWrite: () => {
        throw new UnauthorizedError();
      },
    };
  }
}

/** What a transaction's properties are looked up on; it has none itself. */
const NOTHING: Transaction["storage"] = Object.freeze(Object.create(null));

/** The handler of `env.storage`: one small object for each attempt. */
class Properties implements ProxyHandler<Transaction["storage"]> {
  readonly #property: (name: string) => unknown;

  constructor(property: (name: string) => unknown) {
    this.#property = property;
  }

  get(_target: unknown, name: string | symbol): unknown {
    if (typeof name !== "string" || name === "then") return undefined;
    return this.#property(name);
  }
}
