/**
 * What stands where a value of a declared type should: `found` in the data of `VALIDATION`, for programs to
 * decide by. The value itself is never repeated.
 *
 * @module
 */

/**
 * `missing`: nothing, or `undefined`. `extra`: something that no field or parameter takes. Any other word is
 * the kind of value.
 */
export type Found =
  | "missing"
  | "null"
  | "extra"
  | "string"
  | "number"
  | "boolean"
  | "bigint"
  | "array"
  | "object"
  | "function"
  | "symbol";

/** The word for a value. */
export function foundIn(value: unknown): Found {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  const kind = typeof value;
  return kind === "undefined" ? "missing" : kind;
}
