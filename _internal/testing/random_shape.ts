/**
 * Random shapes and random values of them, for property tests of everything that reads shapes.
 *
 * Values are canonical: what a round trip must give back unchanged. An optional key is missing rather
 * than undefined, optional elements at a tuple's end are left out, variants of a union without
 * discriminator can be told apart.
 *
 * @module
 */
import { ERROR_CODES, type ErrorCode, KontractError } from "../errors.ts";
import type { NumberWidth, Shape, ShapeField, ShapeTable } from "../shape.ts";
import type { Random } from "./random.ts";

/** Kinds that {@link randomShape} makes. */
export const SHAPE_KINDS = [
  "string",
  "number",
  "boolean",
  "bigint",
  "null",
  "undefined",
  "literal",
  "enum",
  "date",
  "bytes",
  "typed_array",
  "array",
  "tuple",
  "record",
  "map",
  "set",
  "object",
  "union",
  "nullable",
  "unknown",
  "error",
  "ref",
] as const;

/** One of {@link SHAPE_KINDS}. */
export type ShapeKind = typeof SHAPE_KINDS[number];

const LEAVES: readonly ShapeKind[] = [
  "string",
  "number",
  "boolean",
  "bigint",
  "literal",
  "enum",
  "date",
  "bytes",
  "typed_array",
];

const WIDTHS: readonly NumberWidth[] = [
  "float64",
  "float32",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
];

/** Named types that refer to themselves and to each other. */
export const RANDOM_TYPES: ShapeTable = {
  Tree: {
    kind: "object",
    fields: [
      { name: "label", id: 0, shape: { kind: "string" }, optional: false },
      {
        name: "children",
        id: 2,
        shape: { kind: "array", element: { kind: "ref", name: "Tree" } },
        optional: false,
      },
      {
        name: "parent",
        id: 3,
        shape: {
          kind: "nullable",
          inner: { kind: "ref", name: "Tree" },
          null: true,
          undefined: false,
        },
        optional: true,
      },
    ],
  },
  Maybe: {
    kind: "nullable",
    inner: { kind: "ref", name: "Tree" },
    null: true,
    undefined: true,
  },
  Nested: {
    kind: "union",
    variants: [
      { id: 1, shape: { kind: "string" } },
      { id: 4, shape: { kind: "array", element: { kind: "ref", name: "Nested" } } },
      { id: 5, shape: { kind: "ref", name: "Tree" } },
    ],
  },
  Lists: { kind: "array", element: { kind: "ref", name: "Lists" } },
};

/** A random shape; `kind` fixes its outermost kind. */
export function randomShape(random: Random, depth = 3, kind?: ShapeKind): Shape {
  const chosen = kind ?? random.pick(depth > 0 ? SHAPE_KINDS : LEAVES);
  const child = (): Shape => randomShape(random, depth - 1);
  switch (chosen) {
    case "string":
      return random.oneIn(5) ? { kind: "string", pattern: "^id_.*$" } : { kind: "string" };
    case "number":
      return { kind: "number", width: random.oneIn(2) ? "float64" : random.pick(WIDTHS) };
    case "bigint":
      return { kind: "bigint", width: random.pick(["big", "int64", "uint64"]) };
    case "literal":
      return {
        kind: "literal",
        value: random.pick<string | number | boolean>(["on", 7, true, "ü"]),
      };
    case "enum":
      return random.oneIn(2)
        ? { kind: "enum", values: ["admin", "member", "a-b", ""], ids: [0, 1, 5, 300] }
        : { kind: "enum", values: [1, "one", false], ids: [3, 4, 9] };
    case "typed_array":
      return {
        kind: "typed_array",
        element: random.pick(
          [
            "float64",
            "float32",
            "int8",
            "int16",
            "uint16",
            "int32",
            "uint32",
            "int64",
            "uint64",
          ] as const,
        ),
      };
    case "array":
      return { kind: "array", element: child() };
    case "set":
      return { kind: "set", element: child() };
    case "tuple": {
      const elements = random.list(3, () => ({ shape: child(), optional: false }));
      const optional = random.list(2, () => ({ shape: child(), optional: true }));
      return random.oneIn(3)
        ? { kind: "tuple", elements: [...elements, ...optional], rest: child() }
        : { kind: "tuple", elements: [...elements, ...optional] };
    }
    case "record":
      return { kind: "record", value: child() };
    case "map":
      return { kind: "map", key: randomShape(random, 0), value: child() };
    case "object":
      return { kind: "object", fields: randomFields(random, depth) };
    case "union":
      return randomUnion(random, depth);
    case "nullable": {
      const some = random.pick([[true, false], [false, true], [true, true]] as const);
      const [isNull, isUndefined] = some;
      return {
        kind: "nullable",
        inner: randomShape(random, depth - 1, random.pick([...LEAVES, "array", "object"])),
        null: isNull,
        undefined: isUndefined,
      };
    }
    case "error":
      return random.oneIn(2) ? { kind: "error" } : { kind: "error", data: child() };
    case "ref":
      return { kind: "ref", name: random.pick(Object.keys(RANDOM_TYPES)) };
    default:
      return { kind: chosen };
  }
}

const NAMES = [
  "id",
  "name",
  "type",
  "table",
  "a-b",
  "größe",
  "constructor",
  "toString",
  "_nulls",
  "0",
  "x y",
  "value",
  "float",
] as const;

function randomFields(random: Random, depth: number): ShapeField[] {
  const wide = random.oneIn(12) ? 70 : 6;
  let id = 0;
  return random.list(wide, (i) => {
    id += random.oneIn(4) ? 2 : 1;
    return {
      name: i < NAMES.length ? NAMES[i]! : `field${i}`,
      id: id - 1,
      shape: randomShape(random, wide > 6 ? 0 : depth - 1, randomKind(random, wide > 6)),
      optional: random.oneIn(2),
    };
  });
}

function randomKind(random: Random, leaf: boolean): ShapeKind | undefined {
  if (!leaf) return undefined;
  return random.oneIn(2) ? "nullable" : random.pick(LEAVES);
}

function randomUnion(random: Random, depth: number): Shape {
  if (random.oneIn(2)) {
    return {
      kind: "union",
      discriminator: "kind",
      variants: ["circle", 2, true].map((tag, i) => ({
        id: i * 2 + 1,
        tag,
        shape: {
          kind: "object",
          fields: [
            { name: "kind", id: 0, shape: { kind: "literal", value: tag }, optional: false },
            { name: "size", id: 1 + i, shape: randomShape(random, depth - 1), optional: false },
          ],
        },
      })),
    };
  }
  const object = (name: string): Shape => ({
    kind: "object",
    fields: [
      { name, id: 0, shape: randomShape(random, depth - 1), optional: false },
      { name: `only_${name}`, id: 1, shape: { kind: "boolean" }, optional: false },
    ],
  });
  const variants: Shape[] = [
    { kind: "string" },
    { kind: "number", width: "float64" },
    { kind: "bigint", width: "big" },
    { kind: "boolean" },
    { kind: "date" },
    { kind: "bytes" },
    { kind: "array", element: { kind: "string" } },
    object("left"),
    object("right"),
  ];
  return {
    kind: "union",
    variants: variants.map((shape, i) => ({ id: i + 1, shape })),
  };
}

/** A random value of a shape. `plain` keeps to what text formats with 12 digits can carry. */
export function randomValue(
  random: Random,
  shape: Shape,
  types: ShapeTable,
  options: { readonly plain?: boolean; readonly depth?: number } = {},
): unknown {
  const depth = options.depth ?? 0;
  const deeper = { ...options, depth: depth + 1 };
  const most = depth > 8 ? 0 : depth > 4 ? 1 : 4;
  const of = (s: Shape): unknown => randomValue(random, s, types, deeper);
  switch (shape.kind) {
    case "string":
      return (shape.pattern === undefined ? "" : "id_") + randomString(random);
    case "number":
      return randomNumber(random, shape.width, options.plain ?? false);
    case "boolean":
      return random.oneIn(2);
    case "bigint":
      return randomBigint(random, shape.width);
    case "null":
      return null;
    case "undefined":
      return undefined;
    case "literal":
      return shape.value;
    case "enum":
      return random.pick(shape.values);
    case "date":
      return new Date(random.pick([0, -1, 8.64e15, -8.64e15, random.below(2e9) * 1000]));
    case "bytes":
      return Uint8Array.from(random.list(9, () => random.below(256)));
    case "typed_array": {
      const raw = random.list(3, () => random.below(256)).map((x) => x + 1);
      return typedArray(shape.element, raw);
    }
    case "array":
      return random.list(most, () => of(shape.element));
    case "set":
      return new Set(random.list(most, () => of(shape.element)));
    case "map":
      return new Map(random.list(most, () => [of(shape.key), of(shape.value)]));
    case "record":
      return Object.fromEntries(
        random.list(
          most,
          (i) => [random.pick(["", "k", "1", "constructor", "ß"]) + i, of(shape.value)],
        ),
      );
    case "object":
      return randomObject(random, shape.fields, types, deeper);
    case "tuple":
      return randomTuple(random, shape, types, deeper);
    case "union": {
      const variants = depth > 6 ? shape.variants.slice(0, 1) : shape.variants;
      return of(random.pick(variants).shape);
    }
    case "nullable":
      if (depth > 6 || random.oneIn(3)) {
        return random.pick([...shape.null ? [null] : [], ...shape.undefined ? [undefined] : []]);
      }
      return of(shape.inner);
    case "unknown":
      return randomPlain(random, options.plain ?? false, 2);
    case "error": {
      const code = random.pick(Object.keys(ERROR_CODES)) as ErrorCode;
      const data = shape.data === undefined ? undefined : of(shape.data);
      return new KontractError(code, randomString(random), { data });
    }
    case "ref":
      return randomValue(random, types[shape.name]!, types, deeper);
    case "file":
    case "stream":
      throw new Error(`no random value for ${shape.kind}`);
  }
}

function randomObject(
  random: Random,
  fields: readonly ShapeField[],
  types: ShapeTable,
  options: { readonly plain?: boolean; readonly depth: number },
): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const field of fields) {
    if (field.optional && (options.depth > 6 || random.oneIn(3))) continue;
    const item = randomValue(random, field.shape, types, options);
    if (item !== undefined || !field.optional) value[field.name] = item;
  }
  return value;
}

function randomTuple(
  random: Random,
  shape: Extract<Shape, { kind: "tuple" }>,
  types: ShapeTable,
  options: { readonly plain?: boolean; readonly depth: number },
): unknown[] {
  const value = shape.elements.map((element) =>
    element.optional && random.oneIn(3)
      ? undefined
      : randomValue(random, element.shape, types, options)
  );
  const rest = shape.rest === undefined || options.depth > 6
    ? []
    : random.list(2, () => randomValue(random, shape.rest!, types, options));
  if (rest.length > 0) return [...value, ...rest];
  while (
    value.length > 0 && shape.elements[value.length - 1]!.optional && value.at(-1) === undefined
  ) {
    value.pop();
  }
  return value;
}

function randomString(random: Random): string {
  const piece = (): string =>
    random.pick([
      "",
      "a",
      "Zoë",
      "日本",
      "🎉",
      "\ufeff",
      "\u0000",
      '"\\',
      "plain text ",
      "x".repeat(130),
    ]);
  return piece() + piece();
}

function randomNumber(random: Random, width: NumberWidth, plain: boolean): number {
  switch (width) {
    case "float64":
    case "float32": {
      const small = random.below(2000) / 4 - 250;
      if (plain) return small + 0;
      const value = random.pick([
        small,
        0,
        -0,
        NaN,
        Infinity,
        -Infinity,
        1e300,
        5e-324,
        random.next(),
      ]);
      return width === "float32" ? Math.fround(value) : value;
    }
    case "int8":
      return random.pick([-128, 127, 0, 5]);
    case "uint8":
      return random.below(256);
    case "int16":
      return random.pick([-32768, 32767, 0]);
    case "uint16":
      return random.below(65536);
    case "int32":
      return random.pick([-2147483648, 2147483647, 0, 12]);
    case "uint32":
      return random.pick([4294967295, 0, 77]);
  }
}

function randomBigint(random: Random, width: "big" | "int64" | "uint64"): bigint {
  if (width === "uint64") return random.pick([0n, 1n, 2n ** 64n - 1n]);
  if (width === "int64") return random.pick([0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]);
  const magnitude = 2n ** BigInt(random.below(200)) + BigInt(random.below(3)) - 1n;
  return random.oneIn(2) ? -magnitude : magnitude;
}

function typedArray(element: string, raw: readonly number[]): unknown {
  switch (element) {
    case "int64":
      return BigInt64Array.from(raw.map((x) => -BigInt(x)));
    case "uint64":
      return BigUint64Array.from(raw.map(BigInt));
    case "float64":
      return Float64Array.from(raw);
    case "float32":
      return Float32Array.from(raw);
    case "int8":
      return Int8Array.from(raw);
    case "int16":
      return Int16Array.from(raw);
    case "uint16":
      return Uint16Array.from(raw);
    case "int32":
      return Int32Array.from(raw);
    default:
      return Uint32Array.from(raw);
  }
}

/** Any plain value, as `unknown` takes it. */
export function randomPlain(random: Random, plain: boolean, depth: number): unknown {
  const child = (): unknown => randomPlain(random, plain, depth - 1);
  switch (random.below(depth > 0 ? 13 : 9)) {
    case 0:
      return undefined;
    case 1:
      return null;
    case 2:
      return random.oneIn(2);
    case 3:
      return randomNumber(random, "float64", plain);
    case 4:
    case 5:
      return randomString(random);
    case 6:
      return randomBigint(random, "big");
    case 7:
      return new Date(random.below(1e9));
    case 8:
      return Uint8Array.from(random.list(5, () => random.below(256)));
    case 9:
      return random.list(3, child);
    case 10:
      return Object.fromEntries(
        random.list(
          3,
          (i) => [random.pick(["a", "$date", "$object", "toString", "é"]) + (i || ""), child()],
        ),
      );
    case 11:
      return new Map(random.list(3, () => [child(), child()]));
    default:
      return new Set(random.list(3, child));
  }
}
