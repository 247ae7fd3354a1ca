/**
 * What generated code needs for the few classes that cross as tables: files and errors; and for property
 * names that every object inherits.
 *
 * @module
 */
import { bytesOf } from "../../_internal/file_bytes.ts";
import { isErrorCode, KontractError } from "../../_internal/errors.ts";
import { no } from "./failure.ts";
import { bad } from "./reader.ts";

/** A file as it travels. */
export interface FileParts {
  /** File name; empty for a Blob. */
  readonly name: string;
  /** Media type. */
  readonly type: string;
  /** Content. */
  readonly bytes: Uint8Array;
}

/** Name, type and bytes of a file whose bytes were read, or of a plain object of the three. */
export function fileParts(value: unknown): FileParts {
  if (typeof value !== "object" || value === null) no("a file", value);
  const part = value as { name?: string; type?: string; bytes?: Uint8Array };
  const bytes = value instanceof Blob ? bytesOf(value) : part.bytes;
  if (bytes === undefined) no("a file whose bytes were read", value);
  return { name: part.name ?? "", type: part.type ?? "", bytes };
}

/** Makes the File. */
export function toFile(parts: FileParts): File {
  return new File([parts.bytes as BlobPart], parts.name, { type: parts.type });
}

/** Makes the Blob. */
export function toBlob(parts: FileParts): Blob {
  return new Blob([parts.bytes as BlobPart], { type: parts.type });
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
