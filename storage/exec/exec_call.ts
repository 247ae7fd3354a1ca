/**
 * `env.storage.exec` in one attempt of a call: one round trip for a stored query, in the call's snapshot and
 * over the call's own writes.
 *
 * What a query depends on is not known row by row. So a call that writes is validated against each table its
 * queries read as a whole (for `rows: "owner"`, the owner's rows): safe, and the price of free SQL.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { errorFrom } from "../../_internal/error_classes.ts";
import type { CallOptions } from "../contract.ts";
import { isLarger, STORAGE_LIMITS } from "../limits.ts";
import type { ReadContext } from "../read_context.ts";
import type { Json } from "../row_codec.ts";
import type { TableState } from "../table_state.ts";
import { statementOf } from "../tenant_name.ts";
import { decodeResult, encodeParameters, type ExecRow, type ExecStatements } from "./statements.ts";

/** What an attempt gives. */
export interface ExecCallParts {
  readonly statements: ExecStatements;
  readonly reads: ReadContext;
  readonly grants: CallOptions["grants"];
  operate<T>(work: () => Promise<T>): Promise<T>;
  /** Tables that the attempt has touched. */
  states(): Iterable<TableState>;
  state(table: string): TableState;
}

/** The tag and what it needs. */
export class ExecCall {
  readonly #parts: ExecCallParts;
  readonly #grants: string | null;

  /** For one attempt. */
  constructor(parts: ExecCallParts) {
    this.#parts = parts;
    this.#grants = grantsByTable(parts.grants);
  }

  /** `exec` itself. */
  readonly tag = (strings: unknown, ...values: unknown[]): Promise<ExecRow[]> =>
    this.#parts.operate(async () => {
      const exec = this.#parts.statements.of(strings);
      const row = await this.#parts.reads.read(
        statementOf(this.#parts.reads.tenant, "exec"),
        this.#grants,
        [
          exec.id,
          encodeParameters(exec, values),
          this.#written(),
        ],
      );
      if (!Array.isArray(row.rows) || !Array.isArray(row.tables)) {
        throw new KontractError("INTERNAL");
      }
      for (const table of row.tables) this.#parts.state(String(table)).readAll();
      return (row.rows as readonly (readonly Json[])[]).map((item) => decodeResult(exec, item));
    });

  /** `{ table: [[id, data | null], …] }`, or null where nothing is buffered. */
  #written(): string | null {
    const parts: string[] = [];
    for (const state of this.#parts.states()) {
      if (!state.dirty) continue;
      parts.push(`${JSON.stringify(state.rules.table.name)}:${JSON.stringify(state.written)}`);
    }
    if (parts.length === 0) return null;
    const text = `{${parts.join(",")}}`;
    if (!isLarger([text], STORAGE_LIMITS.commitBytes)) return text;
    throw errorFrom("TOO_LARGE", "The call has written too much for a query to see.");
  }
}

/** `{ table: { field: bits } }`, or null where the route grants nothing. */
function grantsByTable(grants: CallOptions["grants"]): string | null {
  const tables = new Map<string, Record<string, number>>();
  for (const [path, bits] of Object.entries(grants)) {
    const dot = path.indexOf(".");
    const table = path.slice(0, dot);
    const fields = tables.get(table) ?? {};
    fields[path.slice(dot + 1)] = bits;
    tables.set(table, fields);
  }
  return tables.size === 0 ? null : JSON.stringify(Object.fromEntries(tables));
}
