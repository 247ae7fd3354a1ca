/**
 * What generated code needs for the few classes that cross as tables: files and errors; and for property
 * names that every object inherits.
 *
 * @module
 */
import { type FileParts, filePartsOf } from "../../_internal/file_bytes.ts";
import { isErrorCode, KontractError } from "../../_internal/errors.ts";
import { no } from "./failure.ts";
import { bad } from "./reader.ts";

export { type FileParts, toBlob, toFile } from "../../_internal/file_bytes.ts";

/** A file's parts, for the encoder. */
export function fileParts(value: unknown): FileParts {
  return filePartsOf(value, (expected) => no(expected, value));
}

/** Code, message and data of an error; never its stack or cause. */
export function errorParts(value: unknown): { code: string; message: string; data: unknown } {
  if (!(value instanceof KontractError)) no("a KontractError", value);
  return { code: value.code, message: value.message, data: value.data };
}

/** Makes the error. */
export function toError(
  parts: { readonly code: string; readonly message: string; readonly data?: unknown },
): KontractError {
  if (!isErrorCode(parts.code)) bad("error code");
  return new KontractError(parts.code, parts.message, { data: parts.data });
}

/** A property whose name every object inherits (`constructor`, …): its own one only. */
export function own(value: object, name: string): unknown {
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

/** Keys of a record; `__proto__` is refused. */
export function recordKeys(value: object): string[] {
  const keys = Object.keys(value);
  if (keys.includes("__proto__")) no("an object without a key '__proto__'", value);
  return keys;
}
