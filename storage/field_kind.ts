/**
 * How a field's stored JSON compares: one of four kinds, decided by shape, used alike by index DDL, SQL
 * filters and the gateway's own evaluation over buffered rows.
 *
 * @module
 */
import type { TableDef } from "../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../_internal/shape.ts";

/** `text` by code point, `number` exactly, `boolean`, or `json` (equality and containment only). */
export type FieldKind = "text" | "number" | "boolean" | "json";

/** A field or a nested one, found in a table. */
export interface ResolvedPath {
  readonly path: readonly string[];
  readonly shape: Shape;
  readonly kind: FieldKind;
}

/** Follows refs and takes `null` and `undefined` off. */
export function bareShape(shape: Shape, types: ShapeTable): Shape {
  for (let depth = 0; depth < 32; depth++) {
    if (shape.kind === "nullable") shape = shape.inner;
    else if (shape.kind === "ref" && types[shape.name] !== undefined) shape = types[shape.name]!;
    else return shape;
  }
  return shape;
}

/** True where this is a value of the shape: undefined is one of `string | undefined`, of a field that is always there. */
export function takes(nothing: "null" | "undefined", shape: Shape, types: ShapeTable): boolean {
  for (let depth = 0; depth < 32; depth++) {
    if (shape.kind === nothing || shape.kind === "nullable" && shape[nothing]) return true;
    if (shape.kind === "nullable") shape = shape.inner;
    else if (shape.kind === "ref" && types[shape.name] !== undefined) shape = types[shape.name]!;
    else return false;
  }
  return false;
}

/** The kind of a shape. */
export function fieldKind(shape: Shape, types: ShapeTable): FieldKind {
  const bare = bareShape(shape, types);
  switch (bare.kind) {
    case "string":
    case "date":
    case "bytes":
    case "typed_array":
      return "text";
    case "number":
    case "bigint":
      return "number";
    case "boolean":
      return "boolean";
    case "literal":
      return kindOfValues([bare.value]);
    case "enum":
      return kindOfValues(bare.values);
    default:
      return "json";
  }
}

/** True where its values have an order; text of base64 has another one than the bytes. */
export function isOrdered(shape: Shape, kind: FieldKind, types: ShapeTable): boolean {
  const bare = bareShape(shape, types).kind;
  return kind !== "json" && bare !== "bytes" && bare !== "typed_array";
}

function kindOfValues(values: readonly (string | number | boolean)[]): FieldKind {
  const kinds = new Set(values.map((value) => typeof value));
  if (kinds.size !== 1) return "json";
  if (kinds.has("string")) return "text";
  return kinds.has("number") ? "number" : "boolean";
}

/** Finds a dotted path in a table, or null. A field whose own name holds a dot wins. */
export function resolvePath(
  table: TableDef,
  dotted: string,
  types: ShapeTable,
): ResolvedPath | null {
  const whole = table.fields.find((field) => field.name === dotted);
  if (whole !== undefined) {
    return { path: [dotted], shape: whole.shape, kind: fieldKind(whole.shape, types) };
  }
  const path = dotted.split(".");
  let shape = table.fields.find((field) => field.name === path[0])?.shape;
  for (const part of path.slice(1)) {
    if (shape === undefined) return null;
    const bare = bareShape(shape, types);
    if (bare.kind === "object") shape = bare.fields.find((field) => field.name === part)?.shape;
    else if (bare.kind === "record") shape = bare.value;
    else return null;
  }
  return shape === undefined ? null : { path, shape, kind: fieldKind(shape, types) };
}
