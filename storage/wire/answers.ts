/**
 * What PostgreSQL answers a statement with, from the text that it sends: columns, rows, errors. Values are as the
 * driver gives them, for the types that registered statements have; every other type stays text.
 *
 * @module
 */
import type { Buffer } from "node:buffer";

/** A column of an answer. */
export interface Column {
  readonly name: string;
  readonly decode: (text: string) => unknown;
}

/** An error that the server reports, with its fields' names as the driver has them. */
export interface ServerError extends Error {
  readonly severity: string;
  readonly code: string;
  readonly detail?: string;
  /** Where in the server it was raised. */
  readonly routine: string;
}

const asText = (text: string): unknown => text;
const asNumber = (text: string): unknown => Number(text);
const asJson = (text: string): unknown => JSON.parse(text);

/** By the type's oid. */
const DECODERS: ReadonlyMap<number, Column["decode"]> = new Map([
  [16, (text: string): unknown => text === "t"],
  [17, (text: string): unknown => Uint8Array.fromHex(text.slice(2))],
  ...[21, 23, 26, 700, 701].map((oid) => [oid, asNumber] as const),
  [114, asJson],
  [3802, asJson],
]);

/** Of RowDescription. */
export function readColumns(bytes: Buffer, from: number): readonly Column[] {
  const columns: Column[] = [];
  let at = from + 2;
  for (let left = bytes.readUInt16BE(from); left > 0; left--) {
    const end = bytes.indexOf(0, at);
    const name = bytes.toString("utf8", at, end);
    // After the name: table (4), its column (2), type (4), its size (2), modifier (4), format (2).
    columns.push({ name, decode: DECODERS.get(bytes.readUInt32BE(end + 7)) ?? asText });
    at = end + 19;
  }
  return columns;
}

/** Of DataRow. */
export function readRow(
  bytes: Buffer,
  from: number,
  columns: readonly Column[],
): Readonly<Record<string, unknown>> {
  const row: Record<string, unknown> = {};
  let at = from + 2;
  for (const { name, decode } of columns) {
    const length = bytes.readInt32BE(at);
    at += 4;
    row[name] = length < 0 ? null : decode(bytes.toString("utf8", at, at + length));
    if (length > 0) at += length;
  }
  return row;
}

/** Of ErrorResponse. */
export function readError(bytes: Buffer, from: number): ServerError {
  const fields = new Map<string, string>();
  for (let at = from; bytes[at] !== 0;) {
    const end = bytes.indexOf(0, at);
    if (end < 0) throw new Error("An error of PostgreSQL without an end.");
    fields.set(String.fromCharCode(bytes[at]!), bytes.toString("utf8", at + 1, end));
    at = end + 1;
  }
  const detail = fields.get("D");
  return Object.assign(new Error(fields.get("M") ?? ""), {
    name: "PostgresError",
    severity: fields.get("V") ?? fields.get("S") ?? "FATAL",
    code: fields.get("C") ?? "",
    routine: fields.get("R") ?? "",
    ...(detail === undefined ? {} : { detail }),
  });
}
