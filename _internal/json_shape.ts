/**
 * What both directions of the JSON codec ask of a shape, and checks that do not depend on the direction.
 *
 * @module
 */
import { KontractError } from "./errors.ts";
import { atPath, Mismatch, must, numberToJson, type Walk } from "./json_walk.ts";
import type { NumberWidth, Shape, ShapeField, ShapeVariant } from "./shape.ts";

/** Follows refs. */
export function resolve(walk: Walk, shape: Shape): Exclude<Shape, { kind: "ref" }> {
  let steps = 0;
  while (shape.kind === "ref") {
    const target: Shape | undefined = Object.hasOwn(walk.types, shape.name)
      ? walk.types[shape.name]
      : undefined;
    if (target === undefined || ++steps > 1000) {
      throw new KontractError("INTERNAL", undefined, { cause: `no type '${shape.name}'` });
    }
    shape = target;
  }
  return shape;
}

/** Whether undefined, and null, are values of the shape, and what remains. */
export function peel(
  walk: Walk,
  shape: Shape,
): { inner: Shape; null: boolean; undefined: boolean } {
  const flags = { inner: shape, null: false, undefined: false };
  for (;;) {
    const s = resolve(walk, flags.inner);
    if (s.kind === "null") flags.null = true;
    if (s.kind === "undefined") flags.undefined = true;
    if (s.kind !== "nullable") return flags;
    flags.null ||= s.null;
    flags.undefined ||= s.undefined;
    flags.inner = s.inner;
  }
}

/** Whether the shape is null or undefined and nothing else. */
export function isEmpty(walk: Walk, shape: Shape): boolean {
  const { kind } = resolve(walk, shape);
  return kind === "null" || kind === "undefined";
}

/** Whether anything goes. */
export function isAny(walk: Walk, shape: Shape): boolean {
  return resolve(walk, shape).kind === "unknown";
}

/** The discriminator, where every variant has a tag. */
export function discriminator(s: Extract<Shape, { kind: "union" }>): string | null {
  return s.discriminator !== undefined && s.variants.every((v) => v.tag !== undefined)
    ? s.discriminator
    : null;
}

/** Order in which variants are tried: wider objects first, as on the binary wire. */
export function ordered(walk: Walk, s: Extract<Shape, { kind: "union" }>): ShapeVariant[] {
  const weight = (v: ShapeVariant): number => {
    const target = resolve(walk, v.shape);
    return target.kind === "object" ? target.fields.length : 0;
  };
  return [...s.variants].sort((a, b) => weight(b) - weight(a) || a.id - b.id);
}

/** Runs `work`; null where the value does not match. Counted, so that nested unions cannot explode. */
export function attempt(walk: Walk, work: () => unknown): { readonly value: unknown } | null {
  if (++walk.tries > 10_000) {
    throw new KontractError(
      "VALIDATION",
      "Cannot tell the variants of a union apart in 10000 attempts: give it a discriminator.",
    );
  }
  const { depth } = walk;
  try {
    return { value: work() };
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    walk.depth = depth;
    return null;
  }
}

const INTEGERS: Readonly<Partial<Record<NumberWidth, readonly [number, number]>>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
};

/** A number of the given width; integers lose the sign of zero, floats are rounded. */
export function checkNumber(value: number, width: NumberWidth): number {
  const range = INTEGERS[width];
  if (range !== undefined) {
    const [low, high] = range;
    must(
      Number.isInteger(value) && value >= low && value <= high,
      `an integer from ${low} to ${high}`,
    );
    return value + 0;
  }
  return width === "float32" ? Math.fround(value) : value;
}

/** A bigint of the given width. */
export function checkBigint(value: bigint, width: "big" | "int64" | "uint64"): bigint {
  if (width === "int64") must(BigInt.asIntN(64, value) === value, "a 64-bit bigint");
  if (width === "uint64") must(BigInt.asUintN(64, value) === value, "an unsigned 64-bit bigint");
  return value;
}

type Literals = Extract<Shape, { kind: "literal" | "enum" }>;

/** One of the literals. */
export function checkLiteral(s: Literals, value: unknown): unknown {
  const values: readonly unknown[] = s.kind === "literal" ? [s.value] : s.values;
  must(values.includes(value), oneOf(values));
  return value;
}

/** A number literal that JSON cannot say arrives as a string. */
export function unquote(s: Literals, json: string): unknown {
  const values: readonly unknown[] = s.kind === "literal" ? [s.value] : s.values;
  if (values.includes(json)) return json;
  return values.find((value) => typeof value === "number" && numberToJson(value) === json) ?? json;
}

/** The rule of a list of literals in words; cut where there are many. */
export function oneOf(values: readonly unknown[]): string {
  const shown = values.slice(0, 8).map((value) => JSON.stringify(value)).join(", ");
  return `one of ${shown}${values.length > 8 ? ", …" : ""}`;
}

/** Maps an array; failures know their index. */
export function each<T>(items: unknown, work: (item: unknown) => T): T[] {
  must(Array.isArray(items), "an array");
  return Array.from(items, (item: unknown, i) => atPath(i, () => work(item)));
}

/** A plain object without `__proto__`. */
export function plain(json: unknown): Record<string, unknown> {
  must(typeof json === "object" && json !== null && !Array.isArray(json), "an object");
  must(!Object.hasOwn(json, "__proto__"), "free of a key '__proto__'");
  return json as Record<string, unknown>;
}

/** Typed arrays by element. */
export const TYPED = {
  float64: Float64Array,
  float32: Float32Array,
  int8: Int8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
} as const;

/** A file as an object. */
export const FILE_FIELDS: readonly ShapeField[] = [
  { name: "name", id: 0, shape: { kind: "string" }, optional: false },
  { name: "type", id: 1, shape: { kind: "string" }, optional: false },
  { name: "bytes", id: 2, shape: { kind: "bytes" }, optional: false },
];

/** An error as an object. */
export function errorFields(data: Shape | undefined): readonly ShapeField[] {
  const fields: ShapeField[] = [
    { name: "code", id: 0, shape: { kind: "string" }, optional: false },
    { name: "message", id: 1, shape: { kind: "string" }, optional: false },
  ];
  if (data !== undefined) fields.push({ name: "data", id: 2, shape: data, optional: true });
  return fields;
}
