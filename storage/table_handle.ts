/**
 * One property of `env.storage`: checks arguments, asks the table's state, decodes rows. Holds nothing
 * itself; every operation asks whether its call is still running.
 *
 * @module
 */
import { NotFoundError, ValidationError } from "../_internal/error_classes.ts";
import { STORAGE_LIMITS } from "./limits.ts";
import { type HandleOwner, tableQuery } from "./table_query.ts";
import type { Row, TableState } from "./table_state.ts";
import type { Query, Table, TableMeta } from "./types.ts";

type AnyRow = Record<string, unknown>;

const READ = 4;
const WRITE = 2;
const DELETE = 1;

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
    return this.#owner.operate(() => this.#row(id).then((row) => this.#decode(row)));
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
      this.#rules.demand(READ);
      return await this.#state.ownerOf(this.#rules.key(id));
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

  query(filter?: unknown): Query<AnyRow> {
    return tableQuery(this.#state, this.#owner, filter);
  }

  first(filter?: unknown): Promise<AnyRow | null> {
    return this.query(filter).first();
  }

  count(filter?: unknown): Promise<number> {
    return this.query(filter).count();
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

  [Symbol.asyncIterator](): AsyncIterator<AnyRow> {
    return this.query()[Symbol.asyncIterator]();
  }

  get #rules(): TableState["rules"] {
    return this.#state.rules;
  }

  #row(id: string): Promise<Row | null> {
    this.#rules.demand(READ);
    return this.#state.get(this.#rules.key(id));
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
      const [row] = await this.#state.select({
        where: [],
        order: [],
        limit: 1,
        after: null,
        backward,
      });
      if (row === undefined) return null;
      this.#state.write(row.id, null);
      return this.#rules.decodeRow(row.data);
    });
  }
}
