/**
 * Shapes: the one plain description of a TypeScript type that crosses a boundary.
 *
 * The compiler lowers checker types to shapes in one place (`compiler/lower`); every emitter (codec,
 * validator, `.fbs`, client `.d.ts`, cookbook, OpenAPI) and every schema tool reads shapes only.
 * A shape is JSON: it can be stored in the manifest, compared, hashed and shipped in a bundle.
 *
 * Invariants:
 * - Recursive and named types appear in a {@link ShapeTable} and are pointed to by `ref`.
 * - Field, variant and enum ids come from the lock file: append only, never reused. Order in arrays
 *   is by id; it is the wire order.
 * - `nullable` never nests directly in `nullable`; unions never hold `null` or `undefined` (these are
 *   lifted into one `nullable` around the union).
 *
 * @module
 */

/** Number widths: plain `number` is `float64`; brands narrow it. */
export type NumberWidth =
  | "float64"
  | "float32"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32";

/** A field of an object shape. */
export interface ShapeField {
  /** Property name in TypeScript. */
  readonly name: string;
  /** Wire id (FlatBuffers field id), from the lock. */
  readonly id: number;
  /** The field's shape. */
  readonly shape: Shape;
  /** True for `name?: T`: the key may be missing. */
  readonly optional: boolean;
  /** Doc comment, if any. */
  readonly doc?: string;
}

/** One variant of a union. */
export interface ShapeVariant {
  /** Wire tag, from the lock; 0 is never used. */
  readonly id: number;
  /** The variant's shape (an object or a ref to one where the union is discriminated). */
  readonly shape: Shape;
  /** The discriminator's literal, where the union is discriminated. */
  readonly tag?: string | number | boolean;
}

/** A type, as data. */
export type Shape =
  | {
    readonly kind: "string"; /** Template literal as an anchored RegExp source. */
    readonly pattern?: string;
  }
  | { readonly kind: "number"; readonly width: NumberWidth }
  | { readonly kind: "boolean" }
  | { readonly kind: "bigint"; readonly width: "big" | "int64" | "uint64" }
  | { readonly kind: "null" }
  /** `void` and `undefined`. */
  | { readonly kind: "undefined" }
  /** One literal: nothing but presence travels. */
  | { readonly kind: "literal"; readonly value: string | number | boolean }
  /** A union of literals, or a TypeScript enum: `values[i]` has wire tag `ids[i]`. */
  | {
    readonly kind: "enum";
    readonly values: readonly (string | number | boolean)[];
    readonly ids: readonly number[];
  }
  | { readonly kind: "date" }
  /** Uint8Array. */
  | { readonly kind: "bytes" }
  /** The other typed arrays. */
  | {
    readonly kind: "typed_array";
    readonly element: Exclude<NumberWidth, "uint8"> | "int64" | "uint64";
  }
  | { readonly kind: "array"; readonly element: Shape }
  | {
    readonly kind: "tuple";
    readonly elements: readonly { readonly shape: Shape; readonly optional: boolean }[];
    readonly rest?: Shape;
  }
  /** `Record<string, V>`. */
  | { readonly kind: "record"; readonly value: Shape }
  | { readonly kind: "map"; readonly key: Shape; readonly value: Shape }
  | { readonly kind: "set"; readonly element: Shape }
  | { readonly kind: "object"; readonly fields: readonly ShapeField[] }
  | {
    readonly kind: "union";
    /** Property that tells variants apart, where there is one. */
    readonly discriminator?: string;
    readonly variants: readonly ShapeVariant[];
  }
  /** `T | null`, `T | undefined`, or both. */
  | {
    readonly kind: "nullable";
    readonly inner: Shape;
    readonly null: boolean;
    readonly undefined: boolean;
  }
  /** `unknown`: any plain value, self-describing on the wire. */
  | { readonly kind: "unknown" }
  | { readonly kind: "file"; readonly of: "File" | "Blob" }
  /** An async generator or ReadableStream; only as a result or a top-level argument. */
  | {
    readonly kind: "stream";
    readonly element: Shape;
    /** True for an argument that the function declares as a ReadableStream. */
    readonly readable?: true;
  }
  /** A KontractError or subclass as data: code, message, typed data, never a stack. */
  | { readonly kind: "error"; readonly data?: Shape }
  /** A named type in the table. */
  | { readonly kind: "ref"; readonly name: string };

/** Named shapes, by name unique in the app. */
export type ShapeTable = Readonly<Record<string, Shape>>;
