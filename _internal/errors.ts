/**
 * The one error base and the closed table of codes.
 *
 * Every failure that Kontract itself reports is a {@link KontractError} with a stable `code`. The
 * table below is the single place that says which HTTP status a code has and whether its message may
 * leave the server; anything not in it leaves as an opaque `INTERNAL`.
 *
 * `message` of a KontractError is written for the person who called: it never holds SQL, a stack, a
 * key, or a value of somebody else's. What only the operator may see goes into `cause`.
 *
 * @module
 */

/** What a code means. */
export interface CodeInfo {
  /** HTTP status of the plain JSON surface. */
  readonly status: number;
  /** True where the same bytes may be sent again without asking anyone. */
  readonly retryable: boolean;
  /** The sentence used where the thrower gave none. */
  readonly message: string;
}

const code = (status: number, message: string, retryable = false): CodeInfo => ({
  status,
  retryable,
  message,
});

/** A stable, public error code. */
export type ErrorCode =
  | "BAD_REQUEST"
  | "VALIDATION"
  | "UNAUTHORIZED"
  | "SESSION_EXPIRED"
  | "SESSION_REVOKED"
  | "FORBIDDEN"
  | "PERMISSION_DENIED"
  | "NOT_FOUND"
  | "ROUTE_NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "CONFLICT"
  | "UNIQUE_VIOLATION"
  | "REPLAY"
  | "SNAPSHOT_TOO_OLD"
  | "TOO_LARGE"
  | "TOO_SLOW"
  | "RATE_LIMITED"
  | "CANCELLED"
  | "INTERNAL"
  | "CONTEXT_MISSING"
  | "CONTEXT_ENDED"
  | "SCHEMA_MISMATCH"
  | "DATABASE_UNAVAILABLE"
  | "OVERLOADED"
  | "DEADLINE_EXCEEDED"
  | "RAY_PROTOCOL"
  | "RAY_DECODE"
  | "RAY_SERVER_KEY"
  | "RAY_TICKET"
  | "NETWORK"
  | "OUTCOME_UNKNOWN"
  | "CONFIG"
  | "BUILD_FAILED"
  | "MIGRATION_REFUSED"
  | "PORT_IN_USE"
  | "UNSUPPORTED_PLATFORM";

/** All codes. A code is never renamed or reused: clients switch on it. */
export const ERROR_CODES: Readonly<Record<ErrorCode, CodeInfo>> = {
  // The caller's fault.
  BAD_REQUEST: code(400, "The request is malformed."),
  VALIDATION: code(400, "A value does not have the declared type."),
  UNAUTHORIZED: code(401, "Sign in first."),
  SESSION_EXPIRED: code(401, "The session has expired."),
  SESSION_REVOKED: code(401, "The session has been ended."),
  FORBIDDEN: code(403, "You may not do this."),
  PERMISSION_DENIED: code(403, "The permission bits do not allow this operation."),
  NOT_FOUND: code(404, "Not found."),
  ROUTE_NOT_FOUND: code(404, "There is no such function."),
  METHOD_NOT_ALLOWED: code(405, "This method is not allowed here."),
  CONFLICT: code(409, "Somebody else changed the same data.", true),
  UNIQUE_VIOLATION: code(409, "A row with this value exists already."),
  REPLAY: code(409, "This request was already applied."),
  SNAPSHOT_TOO_OLD: code(409, "The snapshot is too old to read from.", true),
  TOO_SLOW: code(408, "The body came too slowly."),
  TOO_LARGE: code(413, "The value is larger than the limit."),
  RATE_LIMITED: code(429, "Too many requests.", true),
  CANCELLED: code(499, "The call was cancelled."),
  // The server's fault.
  INTERNAL: code(500, "Something went wrong on the server."),
  CONTEXT_MISSING: code(500, "env and ctx exist only while a backend call runs."),
  CONTEXT_ENDED: code(500, "The call that owned this handle has ended."),
  SCHEMA_MISMATCH: code(500, "The database schema does not match this build."),
  DATABASE_UNAVAILABLE: code(503, "The database does not answer.", true),
  OVERLOADED: code(503, "The server is busy.", true),
  DEADLINE_EXCEEDED: code(504, "No answer came in time."),
  // raystream.
  RAY_PROTOCOL: code(400, "The channel was broken off: a frame breaks the protocol."),
  RAY_DECODE: code(
    400,
    "The bytes are not of the declared type: reload the page if it is of another build.",
  ),
  RAY_SERVER_KEY: code(421, "The server does not hold the pinned key."),
  RAY_TICKET: code(401, "The channel ticket is not valid any more.", true),
  // Seen by a client only.
  NETWORK: code(503, "The server could not be reached.", true),
  OUTCOME_UNKNOWN: code(503, "The connection broke before the answer; the call may have happened."),
  // Command line and start-up.
  CONFIG: code(500, "The configuration is not usable."),
  BUILD_FAILED: code(500, "The build failed."),
  MIGRATION_REFUSED: code(500, "The migration would lose data."),
  PORT_IN_USE: code(500, "The port is taken."),
  UNSUPPORTED_PLATFORM: code(500, "No embedded PostgreSQL exists for this platform."),
};

/** What can be said beside code and message. */
export interface KontractErrorOptions {
  /** Typed detail for the caller; must be plain data. */
  readonly data?: unknown;
  /** For the server's log only; never sent. */
  readonly cause?: unknown;
}

/**
 * Base of every error that Kontract reports.
 *
 * @example
 * ```ts
 * import { KontractError } from "@kontract/kontract";
 * const error = new KontractError("NOT_FOUND", "There is no entry 'e1'.");
 * console.assert(error.status === 404);
 * ```
 */
export class KontractError extends Error {
  /** Stable code; see `docs/reference/errors`. */
  readonly code: ErrorCode;
  /** Plain data for the caller, or undefined. */
  readonly data: unknown;

  /** Makes an error; `message` defaults to the code's own sentence. */
  constructor(code: ErrorCode, message?: string, options: KontractErrorOptions = {}) {
    super(message ?? ERROR_CODES[code].message, { cause: options.cause });
    // A front end's minifier renames classes; ours below this one name themselves.
    this.name = new.target === KontractError ? "KontractError" : new.target.name;
    this.code = code;
    this.data = options.data;
  }

  /** HTTP status on the plain JSON surface. */
  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}

/** True for a code of the closed table. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERROR_CODES, value);
}
