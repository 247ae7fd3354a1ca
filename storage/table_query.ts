/**
 * A query being built: immutable steps, run when awaited, iterated or asked.
 *
 * @module
 */
import { errorFrom, ValidationError } from "../_internal/error_classes.ts";
import { isStorableText } from "../_internal/storable_text.ts";
import type { FieldKind } from "./field_kind.ts";
import { comparableAt, type Condition, isOfKind, orderKey, parseFilter } from "./filter.ts";
import { STORAGE_LIMITS } from "./limits.ts";
import type { Json } from "./row_codec.ts";
import {
  AFTER_STORED,
  type Row,
  type Selected,
  type Selection,
  type TableState,
} from "./table_state.ts";
import type { Page, Query } from "./types.ts";

type AnyRow = Record<string, unknown>;

const READ = 4;

/** What a handle needs of its transaction. */
export interface HandleOwner {
  /** Runs one operation: throws `CONTEXT_ENDED` after the end, and is waited for before the commit. */
  operate<T>(work: () => Promise<T>): Promise<T>;
  /** Throws where the call may not write. */
  demandWrite(): void;
}

interface Steps {
  readonly filter: unknown;
  readonly order: readonly (readonly [unknown, unknown])[];
  readonly limit: number | null;
  readonly cursor: unknown;
}

/** Begins a query. Nothing is checked or sent before it runs. */
export function tableQuery(state: TableState, owner: HandleOwner, filter: unknown): Query<AnyRow> {
  return new Building(state, owner, { filter, order: [], limit: null, cursor: null });
}

class Building implements Query<AnyRow> {
  readonly #state: TableState;
  readonly #owner: HandleOwner;
  readonly #steps: Steps;

  constructor(state: TableState, owner: HandleOwner, steps: Steps) {
    this.#state = state;
    this.#owner = owner;
    this.#steps = steps;
  }

  orderBy(field: string, direction: "asc" | "desc" = "asc"): Query<AnyRow> {
    return this.#with({ order: [...this.#steps.order, [field, direction]] });
  }

  limit(rows: number): Query<AnyRow> {
    if (!Number.isSafeInteger(rows) || rows < 1 || rows > STORAGE_LIMITS.queryRows) {
      throw new ValidationError(
        `'limit' must be an integer from 1 to ${STORAGE_LIMITS.queryRows}.`,
      );
    }
    return this.#with({ limit: rows });
  }

  after(cursor: string | null | undefined): Query<AnyRow> {
    return this.#with({ cursor });
  }

  then<A = AnyRow[], B = never>(
    onRows?: ((rows: AnyRow[]) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#all().then(onRows, onError);
  }

  catch<B = never>(
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<AnyRow[] | B> {
    return this.#all().catch(onError);
  }

  finally(onEnd?: (() => void) | null): Promise<AnyRow[]> {
    return this.#all().finally(onEnd);
  }

  get [Symbol.toStringTag](): string {
    return "Query";
  }

  page(): Promise<Page<AnyRow>> {
    return this.#owner.operate(async () => {
      const limit = this.#steps.limit ?? STORAGE_LIMITS.pageRows;
      const selection = await this.#selection(limit + 1);
      const rows = await this.#state.select(selection);
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      return {
        rows: this.#decode(shown),
        cursor: rows.length > limit && last !== undefined ? makeCursor(last, selection) : null,
      };
    });
  }

  first(): Promise<AnyRow | null> {
    return this.#owner.operate(async () => {
      const rows = await this.#state.select(await this.#selection(1));
      return this.#decode(rows)[0] ?? null;
    });
  }

  count(): Promise<number> {
    return this.#owner.operate(async () => await this.#state.count(this.#where()));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AnyRow, void, undefined> {
    let left = this.#steps.limit ?? Number.POSITIVE_INFINITY;
    let after: readonly Json[] | null | undefined;
    while (left > 0) {
      const piece = Math.min(left, STORAGE_LIMITS.pieceRows);
      const { rows, cut, selection } = await this.#piece(piece, after);
      yield* this.#decode(rows);
      if (rows.length < piece && !cut) return;
      this.#state.forget(rows);
      left -= rows.length;
      after = position(rows.at(-1)!, selection);
    }
  }

  #piece(
    limit: number,
    after: readonly Json[] | null | undefined,
  ): Promise<Selected & { readonly selection: Selection }> {
    return this.#owner.operate(async () => {
      const selection = {
        ...await this.#selection(limit, after),
        bytes: STORAGE_LIMITS.pieceBytes,
      };
      return { ...await this.#state.piece(selection), selection };
    });
  }

  #all(): Promise<AnyRow[]> {
    return this.#owner.operate(async () => {
      const { limit } = this.#steps;
      const rows = await this.#state.select(
        await this.#selection(limit ?? STORAGE_LIMITS.queryRows + 1),
      );
      if (limit === null && rows.length > STORAGE_LIMITS.queryRows) {
        throw errorFrom(
          "TOO_LARGE",
          `More than ${STORAGE_LIMITS.queryRows} rows match: give a limit or iterate.`,
        );
      }
      return this.#decode(rows);
    });
  }

  #with(step: Partial<Steps>): Query<AnyRow> {
    return new Building(this.#state, this.#owner, { ...this.#steps, ...step });
  }

  #decode(rows: readonly Row[]): AnyRow[] {
    return rows.map((row) => this.#state.rules.decodeRow(row.data));
  }

  #where(): readonly Condition[] {
    this.#state.rules.demand(READ);
    return parseFilter(this.#steps.filter, this.#state.rules);
  }

  /** `position` is where an iteration is; missing, it begins where the cursor says. */
  async #selection(limit: number, position?: readonly Json[] | null): Promise<Selection> {
    const where = this.#where();
    const order = this.#steps.order.map(([name, direction]) =>
      orderKey(name, direction, this.#state.rules)
    );
    if (order.length > 8) throw new ValidationError("A query sorts by at most 8 fields.");
    const after = position ?? await this.#place(parseCursor(this.#steps.cursor, order));
    return { where, order, limit, after, backward: false };
  }

  /** A cursor that ends on a row which was new at that time names it; by now it has its place. */
  async #place(cursor: readonly Json[] | null): Promise<readonly Json[] | null> {
    const last = cursor?.at(-1);
    if (cursor === null || typeof last !== "string") return cursor;
    const row = await this.#state.get(last);
    if (row === null) {
      throw new ValidationError(
        "The row that the cursor ends on is gone, or was never committed: begin again without a cursor.",
      );
    }
    return [...cursor.slice(0, -1), row.order];
  }
}

/** Values of the order keys, then the insertion order. */
function position(row: Row, selection: Selection): readonly Json[] {
  return [
    ...selection.order.map(([path, , kind]) => comparableAt(row.data, path, kind)),
    row.order,
  ];
}

/** The position, but with the key in place of an insertion order that is not known yet. */
function makeCursor(row: Row, selection: Selection): string {
  const values = position(row, selection);
  const text = row.order >= AFTER_STORED ? [...values.slice(0, -1), row.id] : values;
  return new TextEncoder().encode(JSON.stringify(text))
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

function parseCursor(cursor: unknown, order: Selection["order"]): readonly Json[] | null {
  if (cursor === undefined || cursor === null) return null;
  let values: unknown;
  try {
    const bytes = Uint8Array.fromBase64(String(cursor), { alphabet: "base64url" });
    values = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ValidationError("The cursor is not one of this table's.", { cause });
  }
  const fits = Array.isArray(values) && values.length === order.length + 1 &&
    values.every((value, i) =>
      i === order.length
        ? Number.isSafeInteger(value) || isKey(value)
        : isOrderValue(value, order[i]![2])
    );
  if (!fits) throw new ValidationError("The cursor does not fit this order.");
  return values as readonly Json[];
}

function isKey(value: unknown): boolean {
  return typeof value === "string" && value !== "" && value.length <= STORAGE_LIMITS.keyBytes &&
    isStorableText(value);
}

function isOrderValue(value: unknown, kind: FieldKind): boolean {
  if (value === null) return true;
  return kind === "text"
    ? typeof value === "string" && isStorableText(value)
    : isOfKind(value, kind);
}
