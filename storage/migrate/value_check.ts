/**
 * A SQL expression that is true where a stored value has its declared shape: the database's own check,
 * for writers that are not this build. Run inside the commit, per written row.
 *
 * @module
 */
import type { TableDef } from "../../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { identifier, literal } from "./definer.ts";

const MAX_DEPTH = 8;

/**
 * Expression over `w.id` and `w.data`. A field that rows may lack (a lazy default) may be missing: a
 * gateway of the build before does not know it.
 */
export function rowCheck(
  table: TableDef,
  types: ShapeTable,
  lazy: Readonly<Record<string, unknown>> = {},
): string {
  return check(table, lazy, "w.", (shape, at) => valueCheck(shape, at, types, 0));
}

/** As {@link rowCheck} over `id` and `data`. */
export function columnCheck(
  table: TableDef,
  types: ShapeTable,
  lazy: Readonly<Record<string, unknown>>,
): string {
  return check(table, lazy, "", (shape, at) => valueCheck(shape, at, types, 0));
}

function check(
  table: TableDef,
  lazy: Readonly<Record<string, unknown>>,
  prefix: string,
  value: (shape: Shape, at: string) => string,
): string {
  const data = `${prefix}data`;
  const known = literal(`{${table.fields.map((f) => quoteElement(f.name)).join(",")}}`);
  const parts = table.fields.map((field) => {
    const present = `${data} ? ${literal(field.name)}`;
    const valid = value(field.shape, `${data}->${literal(field.name)}`);
    return field.optional || Object.hasOwn(lazy, field.name)
      ? `(not ${present} or ${valid})`
      : `(${present} and ${valid})`;
  });
  return [
    `${data}->>${literal(table.primkey)} = ${prefix}id`,
    `${data} - ${known}::text[] = '{}'::jsonb`,
    ...parts,
  ].join(" and ");
}

function quoteElement(name: string): string {
  return `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function ofType(expression: string, type: string): string {
  return `jsonb_typeof(${expression}) = '${type}'`;
}

/** Expression over one jsonb expression. */
function valueCheck(shape: Shape, at: string, types: ShapeTable, depth: number): string {
  const element = identifier(`e${depth}`);
  if (depth > MAX_DEPTH) return "true";
  switch (shape.kind) {
    case "string":
    case "date":
    case "bytes":
    case "bigint":
    case "typed_array":
      return ofType(at, "string");
    case "number":
      return ofType(at, "number");
    case "boolean":
      return ofType(at, "boolean");
    case "null":
    case "undefined":
      return ofType(at, "null");
    case "literal":
      return `${at} = ${literal(JSON.stringify(shape.value))}::jsonb`;
    case "enum":
      return `${at} in (${
        shape.values.map((v) => `${literal(JSON.stringify(v))}::jsonb`).join(", ")
      })`;
    case "nullable":
      return `(${ofType(at, "null")} or ${valueCheck(shape.inner, at, types, depth)})`;
    case "array":
    case "set":
      return `case when ${
        ofType(at, "array")
      } then not exists (select 1 from jsonb_array_elements(${at}) ${element}(v)
        where (${
        valueCheck(shape.element, `${element}.v`, types, depth + 1)
      }) is not true) else false end`;
    case "tuple":
    case "map":
      return ofType(at, "array");
    case "record":
      return `case when ${
        ofType(at, "object")
      } then not exists (select 1 from jsonb_each(${at}) ${element}(k, v)
        where (${
        valueCheck(shape.value, `${element}.v`, types, depth + 1)
      }) is not true) else false end`;
    case "object":
      return `(${
        [
          ofType(at, "object"),
          ...shape.fields.map((field) => {
            const name = literal(field.name);
            const valid = valueCheck(field.shape, `${at}->${name}`, types, depth + 1);
            return field.optional ? `(not ${at} ? ${name} or ${valid})` : `${valid}`;
          }),
        ].join(" and ")
      })`;
    case "ref": {
      const target = types[shape.name];
      return target === undefined ? "true" : valueCheck(target, at, types, depth + 1);
    }
    default:
      return "true";
  }
}
