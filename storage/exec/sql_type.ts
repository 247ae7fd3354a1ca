/**
 * Which SQL type a value of a shape has in a query of `env.storage.exec`: of its parameters, of the columns
 * of the logical tables, and of the columns that it gives.
 *
 * Text compares by code point, a `number` is `numeric` (exact, as it is stored; a branded integer is
 * `integer` or `bigint`), a `bigint` is `numeric`, a `Date` is `timestamptz`. Bytes are base64 text, whatever
 * else is `jsonb`.
 *
 * @module
 */
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { bareShape, fieldKind } from "../field_kind.ts";

/** A type of PostgreSQL that a value can have here. */
export type SqlType =
  | "text"
  | "numeric"
  | "integer"
  | "bigint"
  | "boolean"
  | "timestamptz"
  | "jsonb";

/** Type of a parameter; arrays of simple values are SQL arrays, for `= any (…)`. */
export function parameterType(shape: Shape, types: ShapeTable): SqlType | `${SqlType}[]` {
  const bare = bareShape(shape, types);
  if (bare.kind !== "array" && bare.kind !== "set") return valueType(bare, types);
  const element = valueType(bare.element, types);
  return element === "jsonb" ? "jsonb" : `${element}[]`;
}

/** Type of a column of a logical table. */
export function columnType(shape: Shape, types: ShapeTable): SqlType {
  const bare = bareShape(shape, types);
  if (bare.kind === "date") return "timestamptz";
  const kind = fieldKind(bare, types);
  return kind === "number" ? "numeric" : kind === "json" ? "jsonb" : kind;
}

function valueType(shape: Shape, types: ShapeTable): SqlType {
  const bare = bareShape(shape, types);
  if (bare.kind === "number" && !bare.width.startsWith("float")) {
    return bare.width === "uint32" ? "bigint" : "integer";
  }
  return columnType(bare, types);
}

/**
 * Expression for parameter `index` of the JSON array `source`: in brackets, on one line, without quotes and
 * comments, so that it is one value wherever it stands. JSON's null is NULL.
 */
export function parameterExpression(
  type: SqlType | `${SqlType}[]`,
  index: number,
  source: string,
): string {
  const text = `${source}->>${index}`;
  if (type.endsWith("[]")) {
    const list = `array(select e.v::${type.slice(0, -2)} from ` +
      `jsonb_array_elements_text(${source}->${index}) with ordinality e(v, n) order by e.n)`;
    return `(case when (${text}) is not null then ${list} end)`;
  }
  if (type === "jsonb") return `(case when (${text}) is not null then ${source}->${index} end)`;
  return type === "text" ? `(${text})` : `((${text})::${type})`;
}

const TEXTS: ReadonlySet<string> = new Set(["text", "character varying", "character", "uuid"]);
const INTEGERS: ReadonlySet<string> = new Set(["smallint", "integer", "bigint", "numeric"]);
const NUMBERS: ReadonlySet<string> = new Set([...INTEGERS, "real", "double precision"]);
/** What has the era behind it is no date: only the years 1 to 9999 are written so. */
const instant = (at: string): string =>
  `replace(to_char(${at}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"BC'), 'AD', '')`;

/**
 * Expression that gives column `at` of SQL type `sqlType` in the form rows are stored in, or null where a value
 * of this type is never one of `shape`.
 */
export function resultExpression(
  shape: Shape,
  types: ShapeTable,
  sqlType: string,
  at: string,
): string | null {
  const bare = bareShape(shape, types);
  if (bare.kind === "unknown") return at;
  if (bare.kind === "bigint") return INTEGERS.has(sqlType) ? `${at}::text` : null;
  if (bare.kind === "date") {
    if (sqlType === "timestamp with time zone") {
      return instant(`${at} at time zone 'UTC'`);
    }
    if (sqlType === "date" || sqlType === "timestamp without time zone") {
      return instant(`${at}::timestamp`);
    }
    return null;
  }
  switch (fieldKind(bare, types)) {
    case "text":
      return TEXTS.has(sqlType) ? `${at}::text` : null;
    case "number":
      return NUMBERS.has(sqlType) ? at : null;
    case "boolean":
      return sqlType === "boolean" ? at : null;
    default:
      return /^jsonb?$|\[\]$/.test(sqlType) ? at : null;
  }
}
