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

/** Expression over `w.id` and `w.data`. */
export function rowCheck(table: TableDef, types: ShapeTable): string {
  const known = literal(`{${table.fields.map((f) => quoteElement(f.name)).join(",")}}`);
  const parts = table.fields.map((field) => {
    const present = `w.data ? ${literal(field.name)}`;
    const valid = valueCheck(field.shape, `w.data->${literal(field.name)}`, types, 0);
    return field.optional ? `(not ${present} or ${valid})` : `(${present} and ${valid})`;
  });
  return [
    `w.data->>${literal(table.primkey)} = w.id`,
    `w.data - ${known}::text[] = '{}'::jsonb`,
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
