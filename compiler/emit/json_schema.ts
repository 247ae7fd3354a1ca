/**
 * Shapes → JSON Schema 2020-12: the plain JSON that `_internal/json_codec.ts` reads and writes.
 *
 * Two things are left out, since tools that read a schema do better without them: numbers that JSON has no
 * word for (`NaN`, the infinities, minus zero travel as texts), and `undefined` beside `null`.
 *
 * @module
 */
import type { NumberWidth, Shape, ShapeField, ShapeTable } from "../../_internal/shape.ts";

/** A schema. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Where the schemas of named types stand. */
const COMPONENTS = "#/components/schemas/";

/** Name of a type's schema: what the specification does not let stand in one is spelled out. */
export function schemaName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9._-]/gu, (one) => `_u${one.codePointAt(0)!.toString(16)}_`);
}

/** The schema of a shape. */
export function jsonSchema(shape: Shape, types: ShapeTable): JsonSchema {
  switch (shape.kind) {
    case "string":
      return { type: "string", ...(shape.pattern === undefined ? {} : { pattern: shape.pattern }) };
    case "number":
      return numberSchema(shape.width);
    case "boolean":
      return { type: "boolean" };
    case "bigint":
      return { type: "string", pattern: "^-?\\d+$" };
    case "null":
    case "undefined":
      return { type: "null" };
    case "literal":
      return { const: shape.value };
    case "enum":
      return { enum: shape.values };
    case "date":
      return { type: "string", format: "date-time" };
    case "bytes":
    case "typed_array":
      return { type: "string", contentEncoding: "base64" };
    case "array":
    case "set":
      return { type: "array", items: jsonSchema(shape.element, types) };
    case "stream":
      return jsonSchema(shape.element, types);
    case "tuple":
      return tupleSchema(shape, types);
    case "record":
      return { type: "object", additionalProperties: jsonSchema(shape.value, types) };
    case "map":
      return { type: "array", items: pairSchema(shape.key, shape.value, types) };
    case "object":
      return objectSchema(shape.fields, types);
    case "union":
      return unionSchema(shape, types);
    case "nullable":
      return { anyOf: [jsonSchema(shape.inner, types), { type: "null" }] };
    case "unknown":
      return {};
    case "file":
      return objectSchema(FILE, types);
    case "error":
      return objectSchema(
        shape.data === undefined ? ERROR : [...ERROR, dataField(shape.data)],
        types,
      );
    case "ref":
      return { $ref: COMPONENTS + schemaName(shape.name) };
  }
}

const RANGES: Readonly<Partial<Record<NumberWidth, readonly [number, number]>>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
};

function numberSchema(width: NumberWidth): JsonSchema {
  const range = RANGES[width];
  if (range === undefined) {
    return { type: "number", format: width === "float32" ? "float" : "double" };
  }
  return { type: "integer", minimum: range[0], maximum: range[1] };
}

function tupleSchema(shape: Extract<Shape, { kind: "tuple" }>, types: ShapeTable): JsonSchema {
  const { elements, rest } = shape;
  const required = elements.filter(({ optional }) => !optional).length;
  return {
    type: "array",
    ...(elements.length === 0 ? {} : {
      prefixItems: elements.map((element) => {
        const schema = jsonSchema(element.shape, types);
        // One that is left out before one that is not has null in its place.
        return element.optional ? { anyOf: [schema, { type: "null" }] } : schema;
      }),
    }),
    items: rest === undefined ? false : jsonSchema(rest, types),
    minItems: required,
  };
}

function pairSchema(key: Shape, value: Shape, types: ShapeTable): JsonSchema {
  return {
    type: "array",
    prefixItems: [jsonSchema(key, types), jsonSchema(value, types)],
    items: false,
    minItems: 2,
  };
}

function objectSchema(fields: readonly ShapeField[], types: ShapeTable): JsonSchema {
  const required = fields.filter(({ shape, optional }) => !optional && !mayMiss(shape, types));
  return {
    type: "object",
    properties: Object.fromEntries(fields.map(({ name, shape, doc }) => [
      name,
      described(jsonSchema(shape, types), doc),
    ])),
    ...(required.length === 0 ? {} : { required: required.map(({ name }) => name) }),
    additionalProperties: false,
  };
}

/** A schema with a description. */
export function described(schema: JsonSchema, doc: string | undefined): JsonSchema {
  return doc === undefined || doc === "" ? schema : { ...schema, description: doc };
}

function mayMiss(shape: Shape, types: ShapeTable, depth = 0): boolean {
  if (depth > 100) return false;
  if (shape.kind === "undefined") return true;
  if (shape.kind === "nullable") return shape.undefined || mayMiss(shape.inner, types, depth + 1);
  const target = shape.kind === "ref" ? types[shape.name] : undefined;
  return target !== undefined && mayMiss(target, types, depth + 1);
}

/** Without a discriminator a value that an earlier variant would also take says which it is. */
function unionSchema(shape: Extract<Shape, { kind: "union" }>, types: ShapeTable): JsonSchema {
  const variants = shape.variants.map((variant) => jsonSchema(variant.shape, types));
  const tagged = shape.discriminator !== undefined &&
    shape.variants.every((variant) => variant.tag !== undefined);
  if (tagged) return { oneOf: variants };
  const ids = shape.variants.map((variant) => variant.id);
  const explicit = {
    type: "object",
    properties: { $variant: { enum: ids }, value: {} },
    required: ["$variant", "value"],
    additionalProperties: false,
  };
  return { anyOf: [...variants, explicit] };
}

const text = (name: string, id: number): ShapeField => ({
  name,
  id,
  shape: { kind: "string" },
  optional: false,
});
const FILE: readonly ShapeField[] = [
  text("name", 0),
  text("type", 1),
  { name: "bytes", id: 2, shape: { kind: "bytes" }, optional: false },
];
const ERROR: readonly ShapeField[] = [text("code", 0), text("message", 1)];
const dataField = (shape: Shape): ShapeField => ({ name: "data", id: 2, shape, optional: true });
