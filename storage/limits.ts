/**
 * Bounds of storage, each with what it bounds.
 *
 * @module
 */
import { errorFrom } from "../_internal/error_classes.ts";

export const STORAGE_LIMITS = {
  /** UTF-8 bytes of a key: it stands in index pages of 8 kB. */
  keyBytes: 1024,
  /** UTF-8 bytes of one row's JSON: memory per row in gateway and database. */
  rowBytes: 4 * 1024 * 1024,
  /** UTF-8 bytes of one commit: one parameter of one statement. */
  commitBytes: 32 * 1024 * 1024,
  /** UTF-8 bytes of what a filter, or a query of `exec`, compares with: one parameter of one statement. */
  valuesBytes: 4 * 1024 * 1024,
  /** Bytes of a stored answer. */
  answerBytes: 16 * 1024 * 1024,
  /** Keys read and written by one call: the time its locks are held. */
  callKeys: 20_000,
  /** Rows of a query without a limit: memory; iteration has no such bound. */
  queryRows: 10_000,
  /** Rows of one piece of an iteration. */
  pieceRows: 500,
  /** Bytes of one piece as they are stored, where that is more than a row: long values are compressed there. */
  pieceBytes: 512 * 1024,
  /** Rows of a page where none is said. */
  pageRows: 50,
} as const;

/** True where texts have more bytes of UTF-8 together. A unit of UTF-16 has one to three of them. */
export function isLarger(texts: readonly string[], bytes: number): boolean {
  const units = texts.reduce((sum, text) => sum + text.length, 0);
  if (units > bytes || units * 3 <= bytes) return units > bytes;
  const encoder = new TextEncoder();
  return texts.reduce((sum, text) => sum + encoder.encode(text).length, 0) > bytes;
}

/**
 * JSON of what a filter or a query compares with.
 *
 * @throws {KontractError} `TOO_LARGE`
 */
export function valuesJson(values: unknown): string {
  const text = JSON.stringify(values);
  if (!isLarger([text], STORAGE_LIMITS.valuesBytes)) return text;
  throw errorFrom("TOO_LARGE", "The values to compare with are too large: 4 MiB at most.");
}
