/**
 * Shapes → TypeScript text, flat: what the client's declarations are made of.
 *
 * @module
 */
import type { Shape, ShapeField } from "../../_internal/shape.ts";
import { templateText } from "../template_text.ts";

/**
 * What a type stands for: a value that is given or got, an argument, which a call leaves as it is, or a result,
 * which is made anew and shares its bytes with nobody: what a Blob, a Response and `crypto` ask for.
 */
export type TypeUse = "value" | "argument" | "result";

/** The type of a shape, as it stands in a declaration. */
export function typeText(shape: Shape, use: TypeUse = "value"): string {
  const isArgument = use === "argument";
  const buffer = use === "result" ? "<ArrayBuffer>" : "";
  switch (shape.kind) {
    case "string":
      return shape.pattern === undefined ? "string" : templateText(shape.pattern);
    case "number":
    case "boolean":
    case "bigint":
    case "null":
    case "undefined":
    case "unknown":
      return shape.kind;
    case "literal":
      return JSON.stringify(shape.value);
    case "enum":
      return shape.values.map((value) => JSON.stringify(value)).join(" | ");
    case "date":
      return "Date";
    case "bytes":
      return `Uint8Array${buffer}`;
    case "typed_array":
      return TYPED_ARRAYS[shape.element] + buffer;
    case "array":
      return `${isArgument ? "readonly " : ""}${inner(shape.element, use)}[]`;
    case "tuple":
      return `${isArgument ? "readonly " : ""}${tupleText(shape, use)}`;
    case "record":
      return `Record<string, ${typeText(shape.value, use)}>`;
    case "map":
      return `${isArgument ? "Readonly" : ""}Map<${typeText(shape.key, use)}, ${
        typeText(shape.value, use)
      }>`;
    case "set":
      return `${isArgument ? "Readonly" : ""}Set<${typeText(shape.element, use)}>`;
    case "object":
      return objectText(shape.fields, use);
    case "union":
      return shape.variants.map((variant) => inner(variant.shape, use)).join(" | ");
    case "nullable":
      return [
        inner(shape.inner, use),
        ...(shape.null ? ["null"] : []),
        ...(shape.undefined ? ["undefined"] : []),
      ].join(" | ");
    case "file":
      return shape.of;
    case "stream":
      return `AsyncIterable<${typeText(shape.element)}>`;
    case "error":
      return "Error";
    case "ref":
      return shape.name;
  }
}

const TYPED_ARRAYS = {
  float64: "Float64Array",
  float32: "Float32Array",
  int8: "Int8Array",
  int16: "Int16Array",
  uint16: "Uint16Array",
  int32: "Int32Array",
  uint32: "Uint32Array",
  int64: "BigInt64Array",
  uint64: "BigUint64Array",
} as const;

/** A type that may stand before `[]` or in a union. */
function inner(shape: Shape, use: TypeUse): string {
  const text = typeText(shape, use);
  const compound = shape.kind === "enum" || shape.kind === "union" ||
    shape.kind === "nullable" || text.startsWith("readonly ");
  return compound ? `(${text})` : text;
}

function tupleText(shape: Extract<Shape, { kind: "tuple" }>, use: TypeUse): string {
  const parts = shape.elements.map((e) => inner(e.shape, use) + (e.optional ? "?" : ""));
  if (shape.rest !== undefined) parts.push(`...${inner(shape.rest, use)}[]`);
  return `[${parts.join(", ")}]`;
}

function objectText(fields: readonly ShapeField[], use: TypeUse): string {
  if (fields.length === 0) return "Record<never, never>";
  const parts = fields.map((f) =>
    `${propertyName(f.name)}${f.optional ? "?" : ""}: ${typeText(f.shape, use)}`
  );
  return `{ ${parts.join("; ")} }`;
}

/** A property's name, quoted where it must be. */
export function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

/** A doc comment with an indent, or nothing. */
export function docText(doc: string | undefined, indent = ""): string[] {
  if (doc === undefined || doc === "") return [];
  const lines = doc.replaceAll("*/", "*\\/").split("\n");
  if (lines.length === 1) return [`${indent}/** ${lines[0]} */`];
  return [
    `${indent}/**`,
    ...lines.map((line) => `${indent} * ${line}`.trimEnd()),
    `${indent} */`,
  ];
}
