/**
 * From what the database said to what a caller is told: the only reading of SQLSTATEs. Messages and
 * details of the server never pass; only the JSON detail our own functions raise is read.
 *
 * @module
 */
import { errorFrom } from "../_internal/error_classes.ts";
import { type ErrorCode, KontractError } from "../_internal/errors.ts";
import { SqlError } from "./database.ts";

interface Detail {
  readonly table?: string;
  readonly key?: string;
  readonly field?: string;
  readonly fields?: readonly string[];
}

const BY_STATE: ReadonlyMap<string, ErrorCode> = new Map([
  ["40001", "CONFLICT"],
  ["40P01", "CONFLICT"],
  ["55P03", "CONFLICT"],
  ["72000", "SNAPSHOT_TOO_OLD"],
  ["21000", "VALIDATION"],
  ["23505", "UNIQUE_VIOLATION"],
  ["23514", "VALIDATION"],
  ["54000", "TOO_LARGE"],
  ["53400", "TOO_LARGE"],
  ["42P01", "SCHEMA_MISMATCH"],
  ["42883", "SCHEMA_MISMATCH"],
  ["3F000", "SCHEMA_MISMATCH"],
  ["55000", "SCHEMA_MISMATCH"],
  // A setting of the gateway's role or database; `doctor` says which.
  ["25001", "DATABASE_UNAVAILABLE"],
  ["25006", "DATABASE_UNAVAILABLE"],
  // On a standby the incarnation, an UNLOGGED table, cannot be read before a function could say so itself.
  ["0A000", "DATABASE_UNAVAILABLE"],
  ["08006", "DATABASE_UNAVAILABLE"],
  ["57014", "DEADLINE_EXCEEDED"],
  ["53300", "OVERLOADED"],
  ["3D000", "DATABASE_UNAVAILABLE"],
]);

const SESSION_WORDS: ReadonlyMap<string, ErrorCode> = new Map([
  ["token", "UNAUTHORIZED"],
  ["revoked", "SESSION_REVOKED"],
  ["expired", "SESSION_EXPIRED"],
  // A tenant that is not there has no tables.
  ["tenant", "SCHEMA_MISMATCH"],
]);

/** Sentences for states that say more than their code: what a server lacks that answers, what a query cannot do. */
const SENTENCES: ReadonlyMap<string, string> = new Map([
  ["21000", "A query within a query gives several rows where it may give one."],
  ["22012", "A query divides by zero."],
  ["53100", "The database has no disk space left."],
  ["53200", "The database has no memory left."],
]);

/** The typed error for anything thrown by the database port. */
export function translateFailure(error: unknown): KontractError {
  if (error instanceof KontractError) return error;
  if (!(error instanceof SqlError)) return errorFrom("INTERNAL", undefined, { cause: error });
  const { sqlstate, message } = error.failure;
  const detail = readDetail(error.failure.detail);
  const code = codeOf(sqlstate, message);
  return errorFrom(code, SENTENCES.get(sqlstate) ?? sentence(code, detail), {
    cause: error,
    ...(Object.keys(detail).length > 0 ? { data: detail } : {}),
  });
}

function codeOf(sqlstate: string, message: string): ErrorCode {
  if (sqlstate === "28000") return SESSION_WORDS.get(message) ?? "DATABASE_UNAVAILABLE";
  if (sqlstate === "42501") {
    if (message === "group" || message === "system") return "FORBIDDEN";
    return message === "table" || message === "field" ? "PERMISSION_DENIED" : "SCHEMA_MISMATCH";
  }
  const known = BY_STATE.get(sqlstate);
  if (known !== undefined) return known;
  if (sqlstate.startsWith("22")) return "VALIDATION";
  if (/^(53|57|28)/.test(sqlstate)) return "DATABASE_UNAVAILABLE";
  return "INTERNAL";
}

function readDetail(text: string | undefined): Detail {
  if (text === undefined || !text.startsWith("{")) return {};
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    return {
      ...(typeof value.table === "string" && value.table !== "" ? { table: value.table } : {}),
      ...(typeof value.key === "string" ? { key: value.key } : {}),
      ...(typeof value.field === "string" ? { field: value.field } : {}),
      ...(Array.isArray(value.fields) ? { fields: value.fields.map(String) } : {}),
    };
  } catch {
    return {};
  }
}

/** A sentence with table, key and field where they are known; undefined for the code's own. */
function sentence(code: ErrorCode, detail: Detail): string | undefined {
  const table = detail.table === undefined ? "" : ` of table '${detail.table}'`;
  switch (code) {
    case "CONFLICT":
      return detail.key === undefined
        ? undefined
        : `Somebody else changed row '${detail.key}'${table}.`;
    case "UNIQUE_VIOLATION":
      return detail.fields === undefined
        ? undefined
        : `Another row${table} has the same value of '${detail.fields.join(", ")}'.`;
    case "PERMISSION_DENIED":
      return detail.field === undefined
        ? (table === "" ? undefined : `The permission bits${table} do not allow this operation.`)
        : `The permission bits of field '${detail.field}'${table} do not allow this operation.`;
    case "VALIDATION":
      return detail.key === undefined
        ? undefined
        : `Row '${detail.key}'${table} does not have the declared type.`;
    default:
      return undefined;
  }
}
