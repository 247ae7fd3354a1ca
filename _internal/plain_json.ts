/**
 * JSON text of what is plain JSON, and of nothing else: `JSON.stringify` turns a `Map` into `{}` and `NaN` into
 * `null` without a word.
 *
 * @module
 */

/**
 * The text; undefined where there is no value.
 *
 * @throws {TypeError} for a value that would come back as another one; dates are texts, as ever
 */
export function plainJson(value: unknown): string | undefined {
  return JSON.stringify(value, refuseOthers);
}

function refuseOthers(_key: string, value: unknown): unknown {
  const lost = typeof value === "number"
    ? !Number.isFinite(value)
    : value instanceof Map || value instanceof Set || ArrayBuffer.isView(value);
  if (lost) throw new TypeError("The value has no JSON.");
  return value;
}
