/**
 * What the doctor says.
 *
 * @module
 */

/** `problem`: something does not work or is not safe. `warning`: it works, and should be known. */
export type FindingLevel = "ok" | "warning" | "problem";

/** What was looked at. */
export type CheckName =
  | "server"
  | "privileges"
  | "functions"
  | "schema"
  | "queries"
  | "tenants"
  | "restore"
  | "clock"
  | "pooler"
  | "garbage"
  | "transactions";

/** One thing found. */
export interface Finding {
  readonly check: CheckName;
  readonly level: FindingLevel;
  /** What was found, in one sentence. */
  readonly message: string;
  /** What to do about it; null where nothing is to be done. */
  readonly fix: string | null;
}

/** A finding that needs nothing. */
export function ok(check: CheckName, message: string): Finding {
  return { check, level: "ok", message, fix: null };
}

/** Works, and should be known. */
export function warning(check: CheckName, message: string, fix: string): Finding {
  return { check, level: "warning", message, fix };
}

/** Does not work, or is not safe. */
export function trouble(check: CheckName, message: string, fix: string): Finding {
  return { check, level: "problem", message, fix };
}
