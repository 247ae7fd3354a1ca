/**
 * One attempt of a call: its tables, its open operations, its end.
 *
 * Life: open (operations run) → draining (the body has returned; what it did not await is waited for) →
 * ended (everything throws `CONTEXT_ENDED`).
 *
 * @module
 */
import type { TableDef } from "../_internal/manifest.ts";
import { errorFrom, PermissionError } from "../_internal/error_classes.ts";
import { KontractError } from "../_internal/errors.ts";
import type { CallOptions, Transaction } from "./contract.ts";
import type { Database } from "./database.ts";
import { ExecCall } from "./exec/exec_call.ts";
import type { ExecStatements } from "./exec/statements.ts";
import { STORAGE_LIMITS } from "./limits.ts";
import { checkAlive, ReadContext } from "./read_context.ts";
import { tableHandle } from "./table_handle.ts";
import type { TableRules } from "./table_rules.ts";
import { type TableOps, TableState } from "./table_state.ts";

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
export class Attempt implements Transaction {
  readonly storage: Readonly<Record<string, unknown>>;
  readonly reads: ReadContext;
  readonly #options: AttemptOptions;
  readonly #states = new Map<string, TableState>();
  readonly #open = new Set<Promise<unknown>>();
  #ended = false;

  /** Begins; no round trip. */
  constructor(options: AttemptOptions) {
    this.#options = options;
    this.reads = new ReadContext(options.database, options.call, options.now);
    this.storage = this.#proxy();
  }

  /** True where something is to be committed. */
  get dirty(): boolean {
    return [...this.#states.values()].some((state) => state.dirty);
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

  #operate<T>(work: () => Promise<T>): Promise<T> {
    if (this.#ended) return Promise.reject(new KontractError("CONTEXT_ENDED"));
    const run = (async () => {
      checkAlive(this.#options.call, this.#options.now);
      return await work();
    })();
    this.#open.add(run);
    // What the body does not await must not end the process; a failure still fails the body that does.
    run.then(() => this.#open.delete(run), () => this.#open.delete(run));
    return run;
  }

  #state(table: TableDef): TableState {
    let state = this.#states.get(table.name);
    if (state === undefined) {
      const { call, rules } = this.#options;
      state = new TableState(rules(table, call), this.reads, call.session.owner);
      this.#states.set(table.name, state);
    }
    return state;
  }

  #exec(): ExecCall {
    const { call, execs, tables } = this.#options;
    return new ExecCall({
      statements: execs,
      reads: this.reads,
      grants: call.grants,
      operate: (work) => this.#operate(work),
      states: () => this.#states.values(),
      state: (name) => this.#state(tables.get(name)!),
    });
  }

  #proxy(): Readonly<Record<string, unknown>> {
    const handles = new Map<string, unknown>();
    const exec = this.#exec();
    const owner = {
      operate: <T>(work: () => Promise<T>): Promise<T> => this.#operate(work),
      demandWrite: (): void => {
        if (this.#options.call.readOnly) {
          throw new PermissionError("A read-only function cannot write.");
        }
      },
    };
    return new Proxy(Object.freeze(Object.create(null)), {
      get: (_target, name): unknown => {
        if (typeof name !== "string" || name === "then") return undefined;
        if (name === "exec") return exec.tag;
        const table = this.#options.tables.get(name);
        if (table === undefined || (name.startsWith("_") && !this.#options.call.session.system)) {
          throw new KontractError("SCHEMA_MISMATCH", `There is no table '${name}'.`);
        }
        let handle = handles.get(name);
        if (handle === undefined) {
          handle = tableHandle(this.#state(table), owner);
          handles.set(name, handle);
        }
        return handle;
      },
    });
  }
}
