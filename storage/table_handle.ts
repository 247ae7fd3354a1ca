/**
 * One property of `env.storage`: checks arguments, asks the table's state, decodes rows. Holds nothing
 * itself; every operation asks whether its call is still running.
 *
 * @module
 */
import { errorFrom, NotFoundError, ValidationError } from "../_internal/error_classes.ts";
import { parseFilter, parseOrder, valueAt } from "./filter.ts";
import { STORAGE_LIMITS } from "./limits.ts";
import type { Json } from "./row_codec.ts";
import type { Row, Selection, TableState } from "./table_state.ts";
import type { Page, Table, TableMeta } from "./types.ts";

type AnyRow = Record<string, unknown>;

const READ = 4;
const WRITE = 2;
const DELETE = 1;

/** What a handle needs of its transaction. */
export interface HandleOwner {
  /** Runs one operation: throws `CONTEXT_ENDED` after the end, and is waited for before the commit. */
  operate<T>(work: () => Promise<T>): Promise<T>;
  /** Throws where the call may not write. */
  demandWrite(): void;
}

/** Makes the handle of one table. */
export function tableHandle(state: TableState, owner: HandleOwner): Table<AnyRow, TableMeta> {
  return new Handle(state, owner);
}

class Handle implements Table<AnyRow, TableMeta> {
  readonly #state: TableState;
  readonly #owner: HandleOwner;

  constructor(state: TableState, owner: HandleOwner) {
    this.#state = state;
    this.#owner = owner;
  }

  get(id: string): Promise<AnyRow | null> {
    return this.#owner.operate(async () => this.#decode(await this.#row(id)));
  }

  getMany(ids: readonly string[]): Promise<(AnyRow | null)[]> {
    return this.#owner.operate(async () => {
      this.#rules.demand(READ);
      if (!Array.isArray(ids) || ids.length > STORAGE_LIMITS.queryRows) {
        throw new ValidationError(`'getMany' takes up to ${STORAGE_LIMITS.queryRows} keys.`);
      }
      const keys = ids.map((id) => this.#rules.key(id));
      await this.#state.load(keys);
      return await Promise.all(keys.map(async (id) => this.#decode(await this.#state.get(id))));
    });
  }

  has(id: string): Promise<boolean> {
    return this.#owner.operate(async () => await this.#row(id) !== null);
  }

  ownerOf(id: string): Promise<string | null> {
    return this.#owner.operate(async () => {
      const row = await this.#row(id);
      // Who owns a row that this call only overwrites stands in the stored one.
      const stored = row === null ? null : await this.#state.stored(row.id);
      return stored?.owner ?? row?.owner ?? null;
    });
  }

  set(id: string, row: AnyRow): Promise<AnyRow> {
    return this.#owner.operate(async () => {
      this.#owner.demandWrite();
      this.#rules.demand(WRITE);
      const key = this.#rules.key(id);
      const looks = this.#rules.guarded && (this.#rules.bits & READ) !== 0;
      const before = looks ? await this.#state.get(key) : null;
      return this.#store(key, this.#rules.encodeRow(key, row, before?.data ?? null));
    });
  }

  update(id: string, patch: AnyRow): Promise<AnyRow> {
    return this.#owner.operate(async () => {
      this.#owner.demandWrite();
      this.#rules.demand(READ | WRITE);
      const row = await this.#row(id);
      if (row === null) {
        throw new NotFoundError(`Table '${this.#rules.table.name}' has no row '${id}'.`);
      }
      return this.#store(row.id, this.#rules.encodePatch(row.id, patch, row.data));
    });
  }

  delete(id: string): Promise<void> {
    return this.#owner.operate(() => {
      this.#owner.demandWrite();
      this.#rules.demand(DELETE);
      this.#state.write(this.#rules.key(id), null);
      return Promise.resolve();
    });
  }

  query(filter?: unknown, options: AnyRow = {}): Promise<AnyRow[]> {
    return this.#owner.operate(async () => {
      const limit = options.limit === undefined ? null : count(options.limit);
      const most = limit ?? STORAGE_LIMITS.queryRows + 1;
      const rows = await this.#state.select(this.#selection(filter, options.orderBy, most));
      if (limit === null && rows.length > STORAGE_LIMITS.queryRows) {
        throw errorFrom(
          "TOO_LARGE",
          `More than ${STORAGE_LIMITS.queryRows} rows match: give a limit or iterate.`,
        );
      }
      return rows.map((row) => this.#rules.decodeRow(row.data));
    });
  }

  page(filter?: unknown, options: AnyRow = {}): Promise<Page<AnyRow>> {
    return this.#owner.operate(async () => {
      const limit = options.limit === undefined ? STORAGE_LIMITS.pageRows : count(options.limit);
      const selection = this.#selection(filter, options.orderBy, limit + 1);
      const after = parseCursor(options.cursor, selection);
      const rows = await this.#state.select({ ...selection, after });
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      return {
        rows: shown.map((row) => this.#rules.decodeRow(row.data)),
        cursor: rows.length > limit && last !== undefined ? makeCursor(last, selection) : null,
      };
    });
  }

  first(filter?: unknown, options: AnyRow = {}): Promise<AnyRow | null> {
    return this.#owner.operate(async () => {
      const rows = await this.#state.select(this.#selection(filter, options.orderBy, 1));
      return this.#decode(rows[0] ?? null);
    });
  }

  count(filter?: unknown): Promise<number> {
    return this.#owner.operate(async () => {
      this.#rules.demand(READ);
      return await this.#state.count(parseFilter(filter, this.#rules));
    });
  }

  push(row: AnyRow): Promise<AnyRow> {
    const given = row?.[this.#rules.table.primkey];
    return this.set(typeof given === "string" ? given : crypto.randomUUID(), row);
  }

  pop(): Promise<AnyRow | null> {
    return this.#take(true);
  }

  shift(): Promise<AnyRow | null> {
    return this.#take(false);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AnyRow, void, undefined> {
    let after: readonly Json[] | null = null;
    for (;;) {
      const selection: Selection = {
        ...this.#selection(undefined, undefined, STORAGE_LIMITS.pieceRows),
        after,
      };
      const rows = await this.#owner.operate(() => this.#state.select(selection));
      for (const row of rows) yield this.#rules.decodeRow(row.data);
      if (rows.length < STORAGE_LIMITS.pieceRows) return;
      after = [rows.at(-1)!.order];
    }
  }

  get #rules(): TableState["rules"] {
    return this.#state.rules;
  }

  async #row(id: string): Promise<Row | null> {
    this.#rules.demand(READ);
    return await this.#state.get(this.#rules.key(id));
  }

  #decode(row: Row | null): AnyRow | null {
    return row === null ? null : this.#rules.decodeRow(row.data);
  }

  #store(key: string, data: Row["data"]): AnyRow {
    this.#state.write(key, data);
    return this.#rules.decodeRow(data);
  }

  #take(backward: boolean): Promise<AnyRow | null> {
    return this.#owner.operate(async () => {
      this.#owner.demandWrite();
      this.#rules.demand(READ | DELETE);
      const selection = this.#selection(undefined, undefined, 1);
      const [row] = await this.#state.select({ ...selection, backward });
      if (row === undefined) return null;
      this.#state.write(row.id, null);
      return this.#rules.decodeRow(row.data);
    });
  }

  #selection(filter: unknown, orderBy: unknown, limit: number): Selection {
    this.#rules.demand(READ);
    return {
      where: parseFilter(filter, this.#rules),
      order: parseOrder(orderBy, this.#rules),
      limit,
      after: null,
      backward: false,
    };
  }
}

function count(value: unknown): number {
  if (
    !Number.isSafeInteger(value) || (value as number) < 1 ||
    (value as number) > STORAGE_LIMITS.queryRows
  ) {
    throw new ValidationError(`'limit' must be an integer from 1 to ${STORAGE_LIMITS.queryRows}.`);
  }
  return value as number;
}

/** Values of the order keys and the insertion order, as base64url JSON. */
function makeCursor(row: Row, selection: Selection): string {
  const values = [...selection.order.map(([path]) => valueAt(row.data, path)), row.order];
  return new TextEncoder().encode(JSON.stringify(values))
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

function parseCursor(cursor: unknown, selection: Selection): readonly Json[] | null {
  if (cursor === undefined || cursor === null) return null;
  let values: unknown;
  try {
    const bytes = Uint8Array.fromBase64(String(cursor), { alphabet: "base64url" });
    values = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ValidationError("The cursor is not one of this table's.", { cause });
  }
  const fits = Array.isArray(values) && values.length === selection.order.length + 1 &&
    values.every((value, i) =>
      i === selection.order.length
        ? Number.isSafeInteger(value)
        : isOrderValue(value, selection.order[i]![2])
    );
  if (!fits) throw new ValidationError("The cursor does not fit this order.");
  return values as readonly Json[];
}

function isOrderValue(value: unknown, kind: string): boolean {
  if (value === null) return true;
  if (kind === "number") {
    return typeof value === "number" || (typeof value === "string" && /^-?\d+$/.test(value));
  }
  return kind === "text" ? typeof value === "string" : typeof value === "boolean";
}
