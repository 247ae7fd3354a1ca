/**
 * What one call may do with one table: pure, from the table's declaration and the route's bits. The
 * database decides again in every statement; this is for early, clear errors and for shaping rows.
 *
 * @module
 */
import type { Bits, FieldDef, TableDef } from "../_internal/manifest.ts";
import type { ShapeTable } from "../_internal/shape.ts";
import { PermissionError, ValidationError } from "../_internal/error_classes.ts";
import { isStorableText } from "../_internal/storable_text.ts";
import {
  decodeValue,
  encodeValue,
  fromPairs,
  type Json,
  type JsonObject,
  setOwn,
} from "./row_codec.ts";
import { takes } from "./field_kind.ts";
import { isSameJson } from "./filter.ts";
import { STORAGE_LIMITS } from "./limits.ts";

const READ = 4;
const WRITE = 2;

/** Rules by table and by what a route may do: a route's `grants` are one object for its whole life. */
export function rulesCache(
  types: ShapeTable,
): (table: TableDef, call: RouteRights) => TableRules {
  const cache = new WeakMap<RouteRights["grants"], Map<TableDef, TableRules[]>>();
  return (table, { perm, grants }) => {
    let known = cache.get(grants);
    if (known === undefined) cache.set(grants, known = new Map());
    let byBits = known.get(table);
    if (byBits === undefined) known.set(table, byBits = []);
    return byBits[perm] ??= new TableRules(table, types, perm, grants);
  };
}

interface RouteRights {
  readonly perm: Bits;
  readonly grants: Readonly<Record<string, Bits>>;
}

/** Rules of one table in one call. */
export class TableRules {
  readonly table: TableDef;
  readonly types: ShapeTable;
  /** Table bits ∧ route bits. */
  readonly bits: number;
  /** Bits beyond the fields' own, as the database takes them, or null. */
  readonly grants: string | null;
  /** True where some field may not be read or not be written by this call. */
  readonly guarded: boolean;
  /** True where the table declares neither rights of single fields nor a unique index. */
  readonly plain: boolean;
  readonly #fields: ReadonlyMap<string, { readonly def: FieldDef; readonly bits: number }>;
  /** Those this call may read. */
  readonly #shown: readonly FieldDef[];

  /** Rules for `table` under a route. */
  constructor(
    table: TableDef,
    types: ShapeTable,
    perm: Bits,
    grants: Readonly<Record<string, Bits>>,
  ) {
    this.table = table;
    this.types = types;
    this.bits = table.perm & perm;
    const own: Record<string, number> = {};
    for (const [path, bits] of Object.entries(grants)) {
      if (path.startsWith(`${table.name}.`)) own[path.slice(table.name.length + 1)] = bits;
    }
    this.grants = Object.keys(own).length > 0 ? JSON.stringify(own) : null;
    this.#fields = new Map(table.fields.map((def) => [def.name, {
      def,
      bits: def.name === table.primkey ? 7 : def.perm | (own[def.name] ?? 0),
    }]));
    this.#shown = table.fields.filter(({ name }) => this.readable(name));
    this.guarded = [...this.#fields.values()].some(({ bits }) => (bits & 6) !== 6);
    this.plain = table.fields.every((def) => def.perm === 7 || def.name === table.primkey) &&
      !table.indexes.some(({ unique }) => unique);
  }

  /** May this call read the field? */
  readonly readable = (field: string): boolean =>
    ((this.#fields.get(field)?.bits ?? 0) & READ) !== 0;

  /** Throws where the table ∧ route bits lack one of `bits`. */
  demand(bits: number): void {
    if ((this.bits & bits) === bits) return;
    throw new PermissionError(
      `The permission bits of table '${this.table.name}' do not allow this operation.`,
      { data: { table: this.table.name } },
    );
  }

  /** Checks a key. */
  key(id: unknown): string {
    if (
      typeof id !== "string" || id === "" || !isStorableText(id) ||
      id.length > STORAGE_LIMITS.keyBytes ||
      // A UTF-16 unit is three bytes of UTF-8 at most.
      (id.length * 3 > STORAGE_LIMITS.keyBytes &&
        new TextEncoder().encode(id).length > STORAGE_LIMITS.keyBytes)
    ) {
      throw new ValidationError(
        `A key of table '${this.table.name}' must be text of 1 to ${STORAGE_LIMITS.keyBytes} bytes.`,
      );
    }
    return id;
  }

  /** A whole row from what `set` was given and, where the table is guarded, from the row before. */
  encodeRow(id: string, value: unknown, before: JsonObject | null): JsonObject {
    const given = this.#given(value);
    const { primkey } = this.table;
    if (given.get(primkey) !== undefined && given.get(primkey) !== id) {
      throw new ValidationError(
        `'${this.table.name}.${primkey}' must be the key the row is stored under.`,
      );
    }
    given.set(primkey, id);
    return this.#assemble((name) => given.get(name), before, (name) => this.#absent(name, before));
  }

  /** The row after a patch; fields that only a later build knows stay as they are. */
  encodePatch(id: string, patch: unknown, before: JsonObject): JsonObject {
    const given = this.#given(patch);
    const { primkey } = this.table;
    if (given.get(primkey) !== undefined && given.get(primkey) !== id) {
      throw new ValidationError(`'${this.table.name}.${primkey}' cannot change.`);
    }
    given.delete(primkey);
    const row = this.#assemble(
      (name) => given.get(name),
      before,
      (name) => given.has(name) ? this.#absent(name, null) : before[name],
    );
    const unknown = Object.entries(before).filter(([name]) => !this.#fields.has(name));
    return unknown.length === 0 ? row : fromPairs([...unknown, ...Object.entries(row)]);
  }

  /** A row as the author gets it. */
  decodeRow(data: JsonObject): Record<string, unknown> {
    const row: Record<string, unknown> = {};
    for (const { name, shape } of this.#shown) {
      if (Object.hasOwn(data, name)) setOwn(row, name, decodeValue(shape, data[name]!, this.types));
    }
    return row;
  }

  #given(value: unknown): Map<string, unknown> {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new ValidationError(`A row of table '${this.table.name}' must be an object.`);
    }
    const given = new Map(Object.entries(value));
    for (const [name, item] of given) {
      if (item !== undefined && !this.#fields.has(name)) {
        throw new ValidationError(`Table '${this.table.name}' has no field '${name}'.`);
      }
    }
    return given;
  }

  /** A field that was not given: protected ones keep what they have, others get their default. */
  #absent(name: string, before: JsonObject | null): Json | undefined {
    const { def, bits } = this.#fields.get(name)!;
    if ((bits & WRITE) === 0 && before !== null) return before[name];
    if ((bits & READ) === 0) return undefined;
    return def.default as Json | undefined;
  }

  #assemble(
    given: (name: string) => unknown,
    before: JsonObject | null,
    absent: (name: string) => Json | undefined,
  ): JsonObject {
    const pairs: [string, Json][] = [];
    for (const [name, { def, bits }] of this.#fields) {
      const value = given(name);
      const at = `${this.table.name}.${name}`;
      const encoded = value === undefined
        ? absent(name)
        : encodeValue(def.shape, value, at, this.types);
      if (encoded === undefined) {
        // What this call may not read or write is the database's to keep or to fill.
        if (def.optional || (bits & 6) !== 6) continue;
        if (!takes("undefined", def.shape, this.types)) {
          throw new ValidationError(`'${at}' is missing.`, { data: { path: at } });
        }
        pairs.push([name, encodeValue(def.shape, undefined, at, this.types)]);
        continue;
      }
      if (value !== undefined && (bits & WRITE) === 0) this.#keep(def, encoded, before);
      pairs.push([name, encoded]);
    }
    return fromPairs(pairs);
  }

  /** A field without W may be named only with the value it has. */
  #keep(def: FieldDef, encoded: Json, before: JsonObject | null): void {
    if (!this.readable(def.name)) return this.#refuse(def.name);
    const current = before === null ? def.default as Json | undefined : before[def.name];
    if (current === undefined || !isSameJson(current, encoded)) this.#refuse(def.name);
  }

  #refuse(field: string): never {
    throw new PermissionError(
      `The permission bits of field '${field}' of table '${this.table.name}' do not allow this operation.`,
      { data: { table: this.table.name, field } },
    );
  }
}
