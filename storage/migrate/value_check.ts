/**
 * A SQL expression that is true where a stored value has its declared shape: the database's own check,
 * for writers that are not this build. Run inside the commit, per written row.
 *
 * @module
 */
import type { TableDef } from "../../_internal/manifest.ts";
import type { Shape, ShapeTable, ShapeVariant } from "../../_internal/shape.ts";
import { isPlainUnion } from "../row_codec.ts";
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
  return check(table, lazy, "w.", types);
}

/** As {@link rowCheck} over the row that a trigger sees. */
export function triggerCheck(
  table: TableDef,
  types: ShapeTable,
  lazy: Readonly<Record<string, unknown>>,
): string {
  return check(table, lazy, "new.", types);
}

function check(
  table: TableDef,
  lazy: Readonly<Record<string, unknown>>,
  prefix: string,
  types: ShapeTable,
): string {
  const data = `${prefix}data`;
  const known = literal(`{${table.fields.map((f) => quoteElement(f.name)).join(",")}}`);
  const paths: string[] = [];
  const parts: string[] = [];
  for (const { name, shape, optional } of table.fields) {
    const mayMiss = optional || Object.hasOwn(lazy, name);
    const path = `@.${JSON.stringify(name)}`;
    const scalar = scalarTypes(shape)?.map((type) => `${path}.type() == "${type}"`).join(" || ");
    if (scalar !== undefined) {
      paths.push(`(${mayMiss ? `!exists(${path}) || ` : ""}${scalar})`);
      continue;
    }
    const present = `${data} ? ${literal(name)}`;
    const valid = valueCheck(shape, `${data}->${literal(name)}`, types, 0);
    parts.push(mayMiss ? `(not ${present} or ${valid})` : `(${present} and ${valid})`);
  }
  // One call for all of them: setting up a call of its own costs the server more than the whole path does.
  if (paths.length > 0) {
    parts.unshift(`${data} @? ${literal(`$ ? (${paths.join(" && ")})`)}::jsonpath`);
  }
  return [
    `${data}->>${literal(table.primkey)} = ${prefix}id`,
    `${data} - ${known}::text[] = '{}'::jsonb`,
    ...parts,
  ].join(" and ");
}

/** The JSON types of a shape that says no more than that, or null. */
function scalarTypes(shape: Shape): readonly string[] | null {
  switch (shape.kind) {
    case "string":
    case "date":
    case "bytes":
    case "bigint":
    case "typed_array":
      return ["string"];
    case "number":
      return ["number"];
    case "boolean":
      return ["boolean"];
    case "null":
    case "undefined":
      return ["null"];
    case "nullable": {
      const inner = scalarTypes(shape.inner);
      return inner === null ? null : ["null", ...inner];
    }
    default:
      return null;
  }
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
  const scalar = scalarTypes(shape);
  if (scalar?.length === 1) return ofType(at, scalar[0]!);
  switch (shape.kind) {
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
      return everyElement(at, element, (v) => valueCheck(shape.element, v, types, depth + 1));
    case "tuple":
      return tupleCheck(shape, at, types, depth);
    case "map":
      return everyElement(at, element, (pair) =>
        ofLength(pair, "= 2", [
          valueCheck(shape.key, `${pair}->0`, types, depth + 1),
          valueCheck(shape.value, `${pair}->1`, types, depth + 1),
        ]));
    case "union":
      return unionCheck(shape, at, types, depth);
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

/** An array all of whose elements pass; `element` is a name for them. */
function everyElement(at: string, element: string, check: (value: string) => string): string {
  return `case when ${
    ofType(at, "array")
  } then not exists (select 1 from jsonb_array_elements(${at}) ${element}(v)
        where (${check(`${element}.v`)}) is not true) else false end`;
}

/** An array of a length, of which more holds. */
function ofLength(at: string, length: string, checks: readonly string[]): string {
  return `case when ${ofType(at, "array")} then ${
    [`jsonb_array_length(${at}) ${length}`, ...checks].map((check) => `(${check})`).join(" and ")
  } else false end`;
}

/** Elements that are left out at the end are optional; one left out before them is null. */
function tupleCheck(
  shape: Extract<Shape, { kind: "tuple" }>,
  at: string,
  types: ShapeTable,
  depth: number,
): string {
  const least = shape.elements.filter((element) => !element.optional).length;
  const most = shape.rest === undefined ? ` and ${shape.elements.length}` : "";
  const checks = shape.elements.map((element, i) => {
    const here = valueCheck(element.shape, `${at}->${i}`, types, depth + 1);
    if (!element.optional) return here;
    return `jsonb_array_length(${at}) <= ${i} or ${ofType(`${at}->${i}`, "null")} or ${here}`;
  });
  if (shape.rest !== undefined) {
    const element = identifier(`e${depth}`);
    checks.push(
      `not exists (select 1 from jsonb_array_elements(${at}) with ordinality ${element}(v, n)
        where ${element}.n > ${shape.elements.length} and (${
        valueCheck(shape.rest, `${element}.v`, types, depth + 1)
      }) is not true)`,
    );
  }
  return ofLength(at, most === "" ? `>= ${least}` : `between ${least}${most}`, checks);
}

/**
 * As `row_codec.ts` encodes it: told apart by a property, by JSON type, or as `[variant id, value]`. It counts
 * for two levels of depth, or the text of a type with many variants of itself would be large.
 */
function unionCheck(
  shape: Extract<Shape, { kind: "union" }>,
  at: string,
  types: ShapeTable,
  depth: number,
): string {
  const { discriminator, variants } = shape;
  const of = (variant: ShapeVariant, value: string): string =>
    valueCheck(variant.shape, value, types, depth + 2);
  const equals = (value: string, constant: unknown): string =>
    `${value} = ${literal(JSON.stringify(constant))}::jsonb`;
  const any = (checks: readonly string[]): string => `(${checks.join(" or ")})`;
  if (discriminator !== undefined) {
    return any(
      variants.map((variant) =>
        `${equals(`${at}->${literal(discriminator)}`, variant.tag)} and ${of(variant, at)}`
      ),
    );
  }
  if (isPlainUnion(variants, types)) return any(variants.map((variant) => of(variant, at)));
  return ofLength(at, "= 2", [
    any(
      variants.map((variant) => `${equals(`${at}->0`, variant.id)} and ${of(variant, `${at}->1`)}`),
    ),
  ]);
}
