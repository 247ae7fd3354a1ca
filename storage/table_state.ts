/**
 * What one attempt of a call knows of one table: rows it has read (by version), predicates it has
 * evaluated, writes it has buffered. Reads are answered from here first.
 *
 * @module
 */
import { errorFrom, ValidationError } from "../_internal/error_classes.ts";
import { KontractError } from "../_internal/errors.ts";
import { compareRows, type Condition, matches, type OrderKey } from "./filter.ts";
import { STORAGE_LIMITS, valuesJson } from "./limits.ts";
import type { ReadContext } from "./read_context.ts";
import type { Json, JsonObject } from "./row_codec.ts";
import type { TableRules } from "./table_rules.ts";
import { getManyStatement, getStatement } from "./read_statement.ts";
import { statementOf } from "./tenant_name.ts";

/** A row as read or as buffered. */
export interface Row {
  readonly id: string;
  readonly data: JsonObject;
  /** Null where it is not known: a read by key does not tell. */
  readonly owner: string | null;
  /** Position in insertion order; rows that are only buffered come last. */
  readonly order: number;
}

interface Version extends Row {
  readonly txid: string;
}

interface Write {
  /** Null for a delete. */
  readonly data: JsonObject | null;
  /** Position where the row is new. */
  readonly sequence: number;
}

/** A query, parsed. */
export interface Selection {
  readonly where: readonly Condition[];
  readonly order: readonly OrderKey[];
  readonly limit: number;
  /** Order values and insertion order of the row to begin after, or null. */
  readonly after: readonly Json[] | null;
  readonly backward: boolean;
  /** Bytes after which the rows may end before their limit. */
  readonly bytes?: number;
}

/** Rows that match. */
export interface Selected {
  readonly rows: readonly Row[];
  /** True where they end before their limit though more follow. */
  readonly cut: boolean;
}

/** One table's part of a commit. */
export interface TableOps {
  readonly t: string;
  /** True where no field has rights of its own and no index is unique. */
  readonly plain: boolean;
  /** Bits beyond the fields' own, as JSON, or null. */
  readonly g: string | null;
  readonly r: readonly (readonly [string, string | null])[];
  readonly q: readonly (readonly Condition[])[];
  readonly w: readonly (readonly [string, JsonObject | null])[];
}

/** Rows that are only buffered sort after all stored ones: their place is known when they are committed. */
export const AFTER_STORED = 2 ** 52;

/** State of one table in one attempt. */
export class TableState {
  readonly rules: TableRules;
  readonly #reads: ReadContext;
  readonly #owner: string;
  /** Rows known from this snapshot, so that none is read twice. */
  readonly #versions = new Map<string, Version | null>();
  /** Keys read as such: validated by version identity. Rows a query found are its predicate's matter. */
  readonly #points = new Set<string>();
  readonly #predicates = new Map<string, readonly Condition[]>();
  readonly #writes = new Map<string, Write>();
  #sequence = AFTER_STORED;

  /** Empty state; `owner` owns the rows this call makes. */
  constructor(rules: TableRules, reads: ReadContext, owner: string) {
    this.rules = rules;
    this.#reads = reads;
    this.#owner = owner;
  }

  /** True where something is to be written. */
  get dirty(): boolean {
    return this.#writes.size > 0;
  }

  /** This table's part of the commit, or null where it was not touched. */
  ops(): TableOps | null {
    if (this.#points.size + this.#predicates.size + this.#writes.size === 0) return null;
    return {
      t: this.rules.table.name,
      plain: this.rules.plain,
      g: this.rules.grants,
      r: [...this.#points].map((id) => [id, this.#versions.get(id)?.txid ?? null]),
      q: [...this.#predicates.values()],
      w: [...this.#writes].map(([id, write]) => [id, write.data]),
    };
  }

  /** What is buffered, as a query over the whole table needs it. */
  get written(): readonly (readonly [string, JsonObject | null])[] {
    return [...this.#writes].map(([id, { data }]) => [id, data]);
  }

  /** Notes that this call has read the whole table: a row that comes, goes or changes spoils it. */
  readAll(): void {
    this.#predicate([]);
  }

  /** Buffers a row or, with null, a delete. */
  write(id: string, data: JsonObject | null): void {
    const sequence = this.#writes.get(id)?.sequence ?? this.#sequence++;
    this.#writes.set(id, { data, sequence });
  }

  /** The row as this call sees it. */
  get(id: string): Promise<Row | null> {
    const write = this.#writes.get(id);
    return write === undefined ? this.stored(id) : Promise.resolve(this.#buffered(id, write));
  }

  /** The stored row in the call's snapshot, read at most once. */
  stored(id: string): Promise<Row | null> {
    const known = this.#versions.get(id);
    if (known !== undefined) return Promise.resolve(known);
    this.#demandRoom(1);
    const [statement, rest] = getStatement(this.#reads.tenant, this.rules.table.name, id);
    return this.#reads.read(statement, this.rules.grants, rest).then((row) => {
      const version = row.txid === null ? null : {
        id,
        data: row.data as JsonObject,
        txid: String(row.txid),
        owner: null,
        order: Number(row.ord),
      };
      this.#points.add(id);
      return this.#remember(id, version);
    });
  }

  /** Who owns the row, or null where there is none: the stored owner, or this call's where it is new. */
  async ownerOf(id: string): Promise<string | null> {
    const row = await this.get(id);
    if (row === null) return null;
    const stored = this.#versions.get(id) ?? await this.stored(id);
    if (stored !== null && stored.owner === null) await this.#fetch([id]);
    return this.#versions.get(id)?.owner ?? row.owner;
  }

  /** Reads those of `ids` that are not known yet, in one round trip. */
  async load(ids: readonly string[]): Promise<void> {
    const missing = [...new Set(ids)].filter((id) => !this.#versions.has(id));
    if (missing.length > 0) await this.#fetch(missing);
  }

  async #fetch(missing: readonly string[]): Promise<void> {
    this.#demandRoom(missing.length);
    for (const id of missing) this.#points.add(id);
    const [statement, rest] = getManyStatement(this.#reads.tenant, this.rules.table.name, missing);
    const row = await this.#reads.read(statement, this.rules.grants, rest);
    const found = this.#take(row.rows);
    for (const id of missing) {
      if (!found.some((version) => version.id === id)) this.#remember(id, null);
    }
  }

  /** Rows that match, as this call sees them. */
  async select(selection: Selection): Promise<readonly Row[]> {
    return (await this.piece(selection)).rows;
  }

  /** The same, where they may be too many bytes for one answer. */
  async piece(selection: Selection): Promise<Selected> {
    this.#predicate(selection.where);
    const exclude = [...this.#writes.keys()];
    const row = await this.#reads.read(
      statementOf(this.#reads.tenant, "query"),
      this.rules.grants,
      [
        this.rules.table.name,
        JSON.stringify({ ...selection, exclude }),
      ],
    );
    const found = row.rows as readonly unknown[];
    const cut = found.at(-1) === null;
    const stored = this.#take(cut ? found.slice(0, -1) : found);
    const buffered = await this.#overlay(exclude, selection);
    if (buffered.length === 0) return { rows: stored, cut };
    const rows = [...stored, ...buffered]
      .sort((a, b) => compareRows(a, b, selection.order, selection.backward));
    // What comes after the last stored one may come after others that are stored, too.
    const end = cut ? rows.indexOf(stored.at(-1)!) + 1 : rows.length;
    return { rows: rows.slice(0, Math.min(end, selection.limit)), cut };
  }

  /** Rows that an iteration has gone past: read again where they are asked for again. */
  forget(rows: readonly Row[]): void {
    for (const { id } of rows) {
      if (!this.#points.has(id) && !this.#writes.has(id)) this.#versions.delete(id);
    }
  }

  /** How many rows match, as this call sees them. */
  async count(where: readonly Condition[]): Promise<number> {
    this.#predicate(where);
    const exclude = [...this.#writes];
    const row = await this.#reads.read(
      statementOf(this.#reads.tenant, "count"),
      this.rules.grants,
      [
        this.rules.table.name,
        JSON.stringify({ where, exclude: exclude.map(([id]) => id) }),
      ],
    );
    const own = exclude.filter(([, write]) => write.data !== null && matches(write.data, where));
    return Number(row.total) + own.length;
  }

  #predicate(where: readonly Condition[]): void {
    this.#predicates.set(valuesJson(where), where);
  }

  /** Buffered rows that belong to a selection; where they stand among stored rows is looked up. */
  async #overlay(ids: readonly string[], selection: Selection): Promise<readonly Row[]> {
    const matching = ids.filter((id) => {
      const data = this.#writes.get(id)?.data ?? null;
      return data !== null && matches(data, selection.where);
    });
    if (matching.length === 0) return [];
    await this.load(matching);
    const rows: Row[] = [];
    for (const id of matching) {
      const row = this.#buffered(id, this.#writes.get(id)!);
      if (row !== null && isAfter(row, selection)) rows.push(row);
    }
    return rows;
  }

  #buffered(id: string, write: Write): Row | null {
    if (write.data === null) return null;
    const before = this.#versions.get(id);
    return {
      id,
      data: write.data,
      owner: before?.owner ?? this.#owner,
      order: before?.order ?? write.sequence,
    };
  }

  #take(rows: unknown): readonly Version[] {
    return (rows as readonly [string, JsonObject, string, string, number][]).map((item) => {
      const [id, data, txid, owner, order] = item;
      return this.#remember(id, { id, data, txid, owner, order }) as Version;
    });
  }

  #remember(id: string, version: Version | null): Version | null {
    // Two reads of one snapshot that disagree would be a broken promise, not a conflict.
    const known = this.#versions.get(id);
    if (known !== undefined && known?.txid !== version?.txid) throw new KontractError("INTERNAL");
    // A cache only: past its bound (a long iteration) rows are not kept.
    if (this.#versions.size < STORAGE_LIMITS.callKeys || this.#points.has(id)) {
      this.#versions.set(id, version);
    }
    return version;
  }

  #demandRoom(keys: number): void {
    if (this.#points.size + keys <= STORAGE_LIMITS.callKeys) return;
    throw errorFrom("TOO_LARGE", `A call reads at most ${STORAGE_LIMITS.callKeys} keys.`);
  }
}

function isAfter(row: Row, selection: Selection): boolean {
  if (selection.after === null) return true;
  const { order, after, backward } = selection;
  const data = after.slice(0, -1);
  const last = after.at(-1);
  if (data.length !== order.length || typeof last !== "number") {
    throw new ValidationError("The cursor does not fit this order.");
  }
  // A stand-in row with the cursor's values under the same paths.
  const stand = data.map((value, i) => nest(order[i]![0], value));
  const merged = stand.reduce<JsonObject>((all, part) => mergeDeep(all, part), {});
  return compareRows(row, { data: merged, order: last }, order, backward) > 0;
}

function nest(path: readonly string[], value: Json): JsonObject {
  return path.reduceRight<Json>((inner, part) => ({ [part]: inner }), value) as JsonObject;
}

function mergeDeep(a: JsonObject, b: JsonObject): JsonObject {
  const result: Record<string, Json> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const old = result[key];
    result[key] = isObject(old) && isObject(value) ? mergeDeep(old, value) : value;
  }
  return result;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
