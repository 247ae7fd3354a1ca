/**
 * Filters and orders as data: parsed once against the table, sent to the database as
 * `[path, op, kind, value]`, and evaluated here the same way over rows that are only buffered.
 *
 * Comparison rules (the database's): text by code point, numbers exactly, nothing compares with null
 * but `eq`, `ne` and order; nulls last ascending, first descending.
 *
 * @module
 */
import type { TableDef } from "../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../_internal/shape.ts";
import { PermissionError, ValidationError } from "../_internal/error_classes.ts";
import {
  bareShape,
  type FieldKind,
  isOrdered,
  type ResolvedPath,
  resolvePath,
} from "./field_kind.ts";
import { encodeValue, type Json, type JsonObject } from "./row_codec.ts";

/** Comparison operators. */
export const OPERATORS = [
  "eq",
  "ne",
  "gt",
  "gte",
  "lt",
  "lte",
  "in",
  "prefix",
  "contains",
] as const;
/** One of {@link OPERATORS}. */
export type Operator = typeof OPERATORS[number];

/** One condition, as it travels. */
export type Condition = readonly [path: readonly string[], Operator, FieldKind, Json];
/** One order key, as it travels. */
export type OrderKey = readonly [path: readonly string[], "asc" | "desc", FieldKind];

/** What a filter is checked against. */
export interface FilterScope {
  readonly table: TableDef;
  readonly types: ShapeTable;
  /** May this call read the field? */
  readonly readable: (field: string) => boolean;
}

const MAX_CONDITIONS = 64;

/**
 * Parses a filter object.
 *
 * @throws {KontractError} `VALIDATION` for unknown fields, operators and values; `PERMISSION_DENIED`
 *   for a field the call may not read.
 */
export function parseFilter(filter: unknown, scope: FilterScope): readonly Condition[] {
  const conditions: Condition[] = [];
  if (filter !== undefined && filter !== null) collect(filter, "", scope, conditions, 0);
  if (conditions.length > MAX_CONDITIONS) {
    throw new ValidationError(`A filter has at most ${MAX_CONDITIONS} conditions.`);
  }
  return conditions;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function resolve(dotted: string, scope: FilterScope): ResolvedPath {
  const found = resolvePath(scope.table, dotted, scope.types);
  if (found === null) {
    throw new ValidationError(`Table '${scope.table.name}' has no field '${dotted}'.`);
  }
  if (!scope.readable(found.path[0]!)) {
    throw new PermissionError(
      `The permission bits of field '${
        found.path[0]
      }' of table '${scope.table.name}' do not allow this operation.`,
      { data: { table: scope.table.name, field: found.path[0] } },
    );
  }
  return found;
}

function collect(
  filter: unknown,
  prefix: string,
  scope: FilterScope,
  out: Condition[],
  depth: number,
): void {
  if (!isPlainObject(filter) || depth > 16) {
    throw new ValidationError("A filter must be an object of fields.");
  }
  for (const [name, value] of Object.entries(filter)) {
    if (value === undefined) continue;
    const dotted = prefix + name;
    const found = resolve(dotted, scope);
    const bare = bareShape(found.shape, scope.types);
    if (!isPlainObject(value)) {
      out.push(condition(found, "eq", value, dotted, scope));
    } else if (bare.kind === "object" || bare.kind === "record") {
      collect(value, `${dotted}.`, scope, out, depth + 1);
    } else {
      for (const [operator, operand] of Object.entries(value)) {
        if (operand === undefined) continue;
        if (!OPERATORS.some((known) => known === operator)) {
          throw new ValidationError(
            `Field '${dotted}': there is no operator '${operator}' (${OPERATORS.join(", ")}).`,
          );
        }
        out.push(condition(found, operator as Operator, operand, dotted, scope));
      }
    }
  }
}

function condition(
  found: ResolvedPath,
  operator: Operator,
  value: unknown,
  dotted: string,
  scope: FilterScope,
): Condition {
  const { path, kind } = found;
  const shape = bareShape(found.shape, scope.types);
  const refuse = (): never => {
    throw new ValidationError(`Field '${dotted}': operator '${operator}' does not apply.`);
  };
  const encode = (item: unknown): Json =>
    encodeValue(
      shape,
      typeof item === "string" ? fromText(shape, item) : item,
      dotted,
      scope.types,
    );
  // A literal or enum is compared with any value of its kind; a pattern does not bind an operand.
  const loose = (item: unknown): Json =>
    kind === "text" && typeof item === "string" && shape.kind !== "date"
      ? encodeValue({ kind: "string" }, item, dotted, scope.types)
      : encode(item);
  switch (operator) {
    case "eq":
    case "ne":
      return [path, operator, kind, value === null ? null : loose(value)];
    case "in":
      if (!Array.isArray(value) || value.length > 1000) {
        throw new ValidationError(`Field '${dotted}': 'in' takes an array of at most 1000 values.`);
      }
      return [path, operator, kind, value.map(loose)];
    case "prefix":
      if (shape.kind !== "string" && shape.kind !== "enum") return refuse();
      return [path, operator, kind, encodeValue({ kind: "string" }, value, dotted, scope.types)];
    case "contains":
      if (shape.kind === "string") {
        return [path, operator, kind, encodeValue({ kind: "string" }, value, dotted, scope.types)];
      }
      if (shape.kind !== "array" && shape.kind !== "set") return refuse();
      return [path, operator, kind, encodeValue(shape.element, value, dotted, scope.types)];
    default:
      if (kind === "boolean" || !isOrdered(shape, kind, scope.types)) return refuse();
      return [path, operator, kind, loose(value)];
  }
}

const ISO_DATE = /^(?:\d{4}|[+-]\d{6})-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?$/;

/** A date or bigint as JSON writes it: the filter of a plain `EventSource` has no other. */
function fromText(shape: Shape, text: string): unknown {
  if (shape.kind === "date" && ISO_DATE.test(text)) return new Date(text);
  return shape.kind === "bigint" && /^-?\d{1,1000}$/.test(text) ? BigInt(text) : text;
}

/** Order by one field. @throws {KontractError} `VALIDATION`, `PERMISSION_DENIED` */
export function orderKey(name: unknown, direction: unknown, scope: FilterScope): OrderKey {
  if (typeof name !== "string") throw new ValidationError("'orderBy' must name a field.");
  const { path, kind, shape } = resolve(name, scope);
  if (direction !== "asc" && direction !== "desc") {
    throw new ValidationError(`'orderBy': direction of '${name}' must be 'asc' or 'desc'.`);
  }
  if (!isOrdered(shape, kind, scope.types)) {
    throw new ValidationError(`'orderBy': '${name}' has no order.`);
  }
  return [path, direction, kind];
}

/** The value at a path, or null where it is missing. */
export function valueAt(data: JsonObject, path: readonly string[]): Json {
  let value: Json = data;
  for (const part of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    if (!Object.hasOwn(value, part)) return null;
    value = (value as JsonObject)[part]!;
  }
  return value;
}

/** The same as it compares: a later build may store a value of another kind there, which no value is like. */
export function comparableAt(data: JsonObject, path: readonly string[], kind: FieldKind): Json {
  const value = valueAt(data, path);
  return isOfKind(value, kind) ? value : null;
}

/** Whether it compares as one of this kind; a bigint is stored as its digits. */
export function isOfKind(value: unknown, kind: FieldKind): boolean {
  if (kind === "boolean") return typeof value === "boolean";
  if (kind !== "number") return true;
  return typeof value === "number" || (typeof value === "string" && /^-?\d+$/.test(value));
}

/** True where a row's data fulfil all conditions. */
export function matches(data: JsonObject, conditions: readonly Condition[]): boolean {
  return conditions.every(([path, operator, kind, operand]) => {
    const value = comparableAt(data, path, kind);
    switch (operator) {
      case "eq":
        return operand === null ? valueAt(data, path) === null : equal(value, operand, kind);
      case "ne":
        return operand === null ? valueAt(data, path) !== null : !equal(value, operand, kind);
      case "in":
        return value !== null &&
          (operand as readonly Json[]).some((item) => equal(value, item, kind));
      case "prefix":
        return typeof value === "string" && value.startsWith(operand as string);
      case "contains":
        return kind === "text"
          ? typeof value === "string" && value.includes(operand as string)
          : Array.isArray(value) && value.some((item) => jsonContains(item, operand));
      default:
        return value !== null && operand !== null &&
          holds(operator, compareValues(value, operand, kind));
    }
  });
}

function holds(operator: "gt" | "gte" | "lt" | "lte", order: number): boolean {
  if (operator === "gt") return order > 0;
  if (operator === "gte") return order >= 0;
  return operator === "lt" ? order < 0 : order <= 0;
}

function equal(a: Json, b: Json, kind: FieldKind): boolean {
  if (a === null || b === null) return a === b;
  return kind === "json" ? isSameJson(a, b) : compareValues(a, b, kind) === 0;
}

/** Equal as jsonb: the order of an object's keys is none of its value. */
export function isSameJson(a: Json, b: Json): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

/** With keys in one order: jsonb has none. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => compareText(a, b)).map(([k, v]) => [k, sorted(v)]),
  );
}

/** PostgreSQL's `@>` for one array element: parts of objects, members of arrays. */
function jsonContains(value: Json, part: Json): boolean {
  if (Array.isArray(part)) {
    return Array.isArray(value) &&
      part.every((item) => value.some((candidate) => jsonContains(candidate, item)));
  }
  if (typeof part === "object" && part !== null) {
    return typeof value === "object" && value !== null && !Array.isArray(value) &&
      Object.entries(part).every(([key, item]) =>
        Object.hasOwn(value, key) && jsonContains((value as JsonObject)[key]!, item)
      );
  }
  return value === part;
}

/** Order of two present values of one kind. */
function compareValues(a: Json, b: Json, kind: FieldKind): number {
  if (kind === "text") return compareText(String(a), String(b));
  const left = typeof a === "string" ? BigInt(a) : Number(a);
  const right = typeof b === "string" ? BigInt(b) : Number(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** By code point, as collation C orders UTF-8. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all others of the basic plane. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** Order of two rows, insertion order last. */
export function compareRows(
  a: { readonly data: JsonObject; readonly order: number },
  b: { readonly data: JsonObject; readonly order: number },
  keys: readonly OrderKey[],
  backward: boolean,
): number {
  for (const [path, direction, kind] of keys) {
    const left = comparableAt(a.data, path, kind);
    const right = comparableAt(b.data, path, kind);
    let order: number;
    if (left === null || right === null) order = Number(left === null) - Number(right === null);
    else order = compareValues(left, right, kind);
    if (order !== 0) return direction === "desc" ? -order : order;
  }
  return backward ? b.order - a.order : a.order - b.order;
}
