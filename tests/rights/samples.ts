/**
 * Values of any shape, told apart by a number; and queries that name each field of a table.
 *
 * @module
 */
import type { ExecDef, FieldDef, TableDef } from "../../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { bareShape, fieldKind, isOrdered } from "../../storage/field_kind.ts";
import { tableKey } from "../../storage/table_key.ts";

/** The n-th value of a shape; a shape with few values begins again. */
export function sample(shape: Shape, types: ShapeTable, n: number): unknown {
  const bare = bareShape(shape, types);
  switch (bare.kind) {
    case "string":
      return `value ${n}`;
    case "number":
      return n % 100;
    case "bigint":
      return BigInt(n);
    case "boolean":
      return n % 2 === 0;
    case "date":
      return new Date(n * 1000);
    case "bytes":
      return new Uint8Array([n % 256]);
    case "literal":
      return bare.value;
    case "enum":
      return bare.values[n % bare.values.length];
    case "array":
      return [sample(bare.element, types, n)];
    case "object":
      return Object.fromEntries(
        bare.fields.map((field) => [field.name, sample(field.shape, types, n)]),
      );
    case "record":
      return { a: sample(bare.value, types, n) };
    case "unknown":
      return { n };
    default:
      throw new Error(`the matrix has no sample of a ${bare.kind}: add one`);
  }
}

/** A filter that names the field and holds for any value; into an object it goes one level down. */
export function filterOf(field: FilteredField, types: ShapeTable): Record<string, unknown> {
  const bare = bareShape(field.shape, types);
  const inner = bare.kind === "object" ? filterOf(bare.fields[0]!, types) : { ne: null };
  return { [field.name]: inner };
}

type FilteredField = Pick<FieldDef, "name" | "shape">;

/** True where rows can be ordered by the field. */
export function hasOrder(field: FieldDef, types: ShapeTable): boolean {
  return isOrdered(field.shape, fieldKind(field.shape, types), types);
}

/** The queries of the matrix. */
export interface TableQueries {
  readonly count: ExecDef;
  /** By field: its values, and how many rows a condition on it has. */
  readonly fields: ReadonlyMap<string, readonly [ExecDef, ExecDef]>;
}

/** One query over the table and two over each of its fields. */
export function queriesOf(table: TableDef): TableQueries {
  const name = quote(table.name);
  return {
    count: query(`select count(*)::int as x from ${name}`),
    fields: new Map(
      table.fields.map((field) => [field.name, [
        query(`select to_jsonb(${quote(field.name)}) as x from ${name} limit 1`),
        query(`select count(*)::int as x from ${name} where ${quote(field.name)} is not null`),
      ]]),
    ),
  };
}

function query(text: string): ExecDef {
  return {
    id: tableKey(text),
    text: [text],
    parameters: [],
    columns: [{ name: "x", shape: { kind: "unknown" }, optional: true }],
    types: {},
    source: { file: "matrix", line: 1, column: 1 },
  };
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
