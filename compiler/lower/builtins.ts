/**
 * Types of the platform by name: which shape they have, or why they cannot cross.
 *
 * Consulted only for symbols declared in a library file, so an author's own `Map` is an interface like
 * any other.
 *
 * @module
 */
import type { NumberWidth } from "../../_internal/shape.ts";
import type { RefusalKind } from "./refusal.ts";

type TypedElement = Exclude<NumberWidth, "uint8"> | "int64" | "uint64";

/** What a platform type is. */
export type Builtin =
  | { readonly is: "date" | "bytes" | "map" | "set" | "array" | "stream" | "error" }
  | { readonly is: "file"; readonly of: "File" | "Blob" }
  | { readonly is: "typed_array"; readonly element: TypedElement }
  | { readonly is: "refused"; readonly why: RefusalKind };

const refused = (why: RefusalKind): Builtin => ({ is: "refused", why });
const typed = (element: TypedElement): Builtin => ({ is: "typed_array", element });

const BUILTINS: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  ["Date", { is: "date" }],
  ["Uint8Array", { is: "bytes" }],
  ["Uint8ClampedArray", refused("buffer")],
  ["Int8Array", typed("int8")],
  ["Int16Array", typed("int16")],
  ["Uint16Array", typed("uint16")],
  ["Int32Array", typed("int32")],
  ["Uint32Array", typed("uint32")],
  ["Float32Array", typed("float32")],
  ["Float64Array", typed("float64")],
  ["BigInt64Array", typed("int64")],
  ["BigUint64Array", typed("uint64")],
  ["Map", { is: "map" }],
  ["ReadonlyMap", { is: "map" }],
  ["Set", { is: "set" }],
  ["ReadonlySet", { is: "set" }],
  ["Array", { is: "array" }],
  ["ReadonlyArray", { is: "array" }],
  ["File", { is: "file", of: "File" }],
  ["Blob", { is: "file", of: "Blob" }],
  ["ReadableStream", { is: "stream" }],
  ["AsyncGenerator", { is: "stream" }],
  ["AsyncIterable", { is: "stream" }],
  ["AsyncIterableIterator", { is: "stream" }],
  ["AsyncIteratorObject", { is: "stream" }],
  ["Error", { is: "error" }],
  ...[
    "EvalError",
    "RangeError",
    "ReferenceError",
    "SyntaxError",
    "TypeError",
    "URIError",
    "AggregateError",
  ]
    .map((name): [string, Builtin] => [name, refused("errorClass")]),
  ...[
    "Instant",
    "PlainDate",
    "PlainDateTime",
    "PlainTime",
    "PlainYearMonth",
    "PlainMonthDay",
    "ZonedDateTime",
    "Duration",
  ]
    .map((name): [string, Builtin] => [name, refused("temporal")]),
  ...["Iterable", "IterableIterator", "IteratorObject", "Iterator", "Generator", "ArrayLike"]
    .map((name): [string, Builtin] => [name, refused("iterable")]),
  ...["FormData", "Headers", "URLSearchParams"]
    .map((name): [string, Builtin] => [name, refused("pairs")]),
  ["Promise", refused("promise")],
  ["PromiseLike", refused("promise")],
  ["RegExp", refused("regexp")],
  ["URL", refused("url")],
  ["Response", refused("response")],
  ["Request", refused("request")],
  ["ArrayBuffer", refused("buffer")],
  ["SharedArrayBuffer", refused("buffer")],
  ["DataView", refused("buffer")],
  ["WeakMap", refused("weak")],
  ["WeakSet", refused("weak")],
  ["WeakRef", refused("weak")],
  ["Function", refused("function")],
  ["CallableFunction", refused("function")],
  ["NewableFunction", refused("function")],
  ["Symbol", refused("symbol")],
  ["Object", refused("object")],
  ["String", refused("boxed")],
  ["Number", refused("boxed")],
  ["Boolean", refused("boxed")],
  ["BigInt", refused("boxed")],
]);

/** What a library symbol is; whatever is not listed belongs to the host and cannot cross. */
export function builtin(name: string): Builtin {
  return BUILTINS.get(name) ?? refused("host");
}

/** Names of number widths, as brands carry them. */
export const WIDTHS: ReadonlySet<string> = new Set<NumberWidth>([
  "float64",
  "float32",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
]);
