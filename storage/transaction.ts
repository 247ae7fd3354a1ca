/**
 * One attempt of a call: its tables, its open operations, its end.
 *
 * Life: open (operations run) → draining (the body has returned; what it did not await is waited for) →
 * ended (everything throws `CONTEXT_ENDED`).
 *
 * @module
 */
import type { TableDef } from "../_internal/manifest.ts";
import type { ShapeTable } from "../_internal/shape.ts";
import { errorFrom, PermissionError } from "../_internal/error_classes.ts";
import { KontractError } from "../_internal/errors.ts";
import type { CallOptions, Transaction } from "./contract.ts";
import type { Database } from "./database.ts";
import { STORAGE_LIMITS } from "./limits.ts";
import { checkAlive, ReadContext } from "./read_context.ts";
import { tableHandle } from "./table_handle.ts";
import { TableRules } from "./table_rules.ts";
import { type TableOps, TableState } from "./table_state.ts";

/** What an attempt is made from. */
export interface AttemptOptions {
  readonly database: Database;
  readonly tables: ReadonlyMap<string, TableDef>;
  readonly types: ShapeTable;
  readonly call: CallOptions;
  readonly now: () => number;
}

/** What a commit sends: one row of one table, or everything. */
export type Payload =
  | {
    readonly kind: "one";
    readonly table: string;
    readonly grants: string | null;
    readonly id: string;
    /** The row's version as read (null: there was none); undefined where it was not read. */
    readonly seen: string | null | undefined;
    /** JSON; null deletes. */
    readonly data: string | null;
  }
  | { readonly kind: "many"; readonly ops: string };

/** The parts as one row, where all that was read and written is one key. */
function singleRow(ops: readonly TableOps[]): Extract<Payload, { kind: "one" }> | null {
  const [part, ...others] = ops;
  if (part === undefined || others.length > 0 || part.q.length > 0 || part.w.length !== 1) {
    return null;
  }
  const [id, data] = part.w[0]!;
  const read = part.r[0];
  if (part.r.length > 1 || (read !== undefined && read[0] !== id)) return null;
  return {
    kind: "one",
    table: part.t,
    grants: part.g,
    id,
    seen: read?.[1],
    data: encodeRow(part.t, id, data),
  };
}

function encodeRow(table: string, id: string, data: unknown): string | null {
  if (data === null) return null;
  const text = JSON.stringify(data);
  if (text.length > STORAGE_LIMITS.rowBytes) {
    throw errorFrom("TOO_LARGE", `Row '${id}' of table '${table}' is too large.`);
  }
  return text;
}

/** JSON of one table's part; each row is turned into text once. */
function encodeOps(part: TableOps): string {
  const rows = part.w.map(([id, data]) =>
    `[${JSON.stringify(id)},${encodeRow(part.t, id, data) ?? "null"}]`
  );
  return `{"t":${JSON.stringify(part.t)},"g":${part.g ?? "null"},"r":${
    JSON.stringify(part.r)
  },"q":${JSON.stringify(part.q)},"w":[${rows.join(",")}]}`;
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
  }

  /** What is to be committed. @throws {KontractError} `TOO_LARGE` */
  payload(): Payload {
    const ops = [...this.#states.values()].map((state) => state.ops())
      .filter((part): part is TableOps => part !== null);
    const written = ops.reduce((sum, part) => sum + part.w.length, 0);
    if (written > STORAGE_LIMITS.callKeys) {
      throw errorFrom("TOO_LARGE", `A call writes at most ${STORAGE_LIMITS.callKeys} rows.`);
    }
    const single = singleRow(ops);
    const parts = single === null ? ops.map(encodeOps) : [];
    const text = single === null ? `[${parts.join(",")}]` : single.data ?? "";
    if (text.length > STORAGE_LIMITS.commitBytes) {
      throw errorFrom("TOO_LARGE", "The call writes too much at once.");
    }
    return single ?? { kind: "many", ops: text };
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
      const { call, types } = this.#options;
      const rules = new TableRules(table, types, call.perm, call.grants);
      state = new TableState(rules, this.reads, call.session.owner);
      this.#states.set(table.name, state);
    }
    return state;
  }

  #proxy(): Readonly<Record<string, unknown>> {
    const handles = new Map<string, unknown>();
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
