/**
 * Named error classes over the closed table of codes: what an app throws on the server is what its
 * client catches, so `instanceof` works on both sides of the channel.
 *
 * A class stands for a small family of codes; the first is the one it has when thrown by hand. Its
 * `name` is a literal, since a front end's minifier renames classes.
 *
 * @module
 */
import { type ErrorCode, isErrorCode, KontractError, type KontractErrorOptions } from "./errors.ts";

/** Options of a named error: a code of its family beside message data. */
export interface NamedErrorOptions<C extends ErrorCode> extends KontractErrorOptions {
  /** A narrower code of the same family. */
  readonly code?: C;
}

/** The caller has no session, or its session has ended. */
export class UnauthorizedError extends KontractError {
  /** `UnauthorizedError`. */
  override name = "UnauthorizedError";

  /** Code `UNAUTHORIZED` where none is given. */
  constructor(
    message?: string,
    options: NamedErrorOptions<"UNAUTHORIZED" | "SESSION_EXPIRED" | "SESSION_REVOKED"> = {},
  ) {
    super(options.code ?? "UNAUTHORIZED", message, options);
  }
}

/** The caller is known and may not do this. */
export class ForbiddenError extends KontractError {
  /** `ForbiddenError`. */
  override name = "ForbiddenError";

  /** Code `FORBIDDEN`. */
  constructor(message?: string, options: NamedErrorOptions<"FORBIDDEN"> = {}) {
    super("FORBIDDEN", message, options);
  }
}

/** Permission bits of a table, a field or a route forbid the operation. */
export class PermissionError extends KontractError {
  /** `PermissionError`. */
  override name = "PermissionError";

  /** Code `PERMISSION_DENIED`. */
  constructor(message?: string, options: NamedErrorOptions<"PERMISSION_DENIED"> = {}) {
    super("PERMISSION_DENIED", message, options);
  }
}

/** What was asked for does not exist, or not for this caller. */
export class NotFoundError extends KontractError {
  /** `NotFoundError`. */
  override name = "NotFoundError";

  /** Code `NOT_FOUND` where none is given. */
  constructor(
    message?: string,
    options: NamedErrorOptions<"NOT_FOUND" | "ROUTE_NOT_FOUND"> = {},
  ) {
    super(options.code ?? "NOT_FOUND", message, options);
  }
}

/** Somebody else was faster, or the value must be unique. */
export class ConflictError extends KontractError {
  /** `ConflictError`. */
  override name = "ConflictError";

  /** Code `CONFLICT` where none is given. */
  constructor(
    message?: string,
    options: NamedErrorOptions<"CONFLICT" | "UNIQUE_VIOLATION" | "REPLAY" | "SNAPSHOT_TOO_OLD"> =
      {},
  ) {
    super(options.code ?? "CONFLICT", message, options);
  }
}

/** A value does not have its declared type or breaks a rule of the app. */
export class ValidationError extends KontractError {
  /** `ValidationError`. */
  override name = "ValidationError";

  /** Code `VALIDATION` where none is given. */
  constructor(
    message?: string,
    options: NamedErrorOptions<"VALIDATION" | "BAD_REQUEST" | "TOO_LARGE"> = {},
  ) {
    super(options.code ?? "VALIDATION", message, options);
  }
}

/** Too many requests; `data.retryAfter` holds milliseconds where the server said so. */
export class RateLimitedError extends KontractError {
  /** `RateLimitedError`. */
  override name = "RateLimitedError";

  /** Code `RATE_LIMITED`. */
  constructor(message?: string, options: NamedErrorOptions<"RATE_LIMITED"> = {}) {
    super("RATE_LIMITED", message, options);
  }
}

/**
 * An error from what crossed the channel: the named class where the code has one, the base class
 * otherwise, `INTERNAL` for a code that this build does not know.
 */
export function errorFrom(
  code: string,
  message?: string,
  options: KontractErrorOptions = {},
): KontractError {
  switch (code) {
    case "UNAUTHORIZED":
    case "SESSION_EXPIRED":
    case "SESSION_REVOKED":
      return new UnauthorizedError(message, { ...options, code });
    case "FORBIDDEN":
      return new ForbiddenError(message, options);
    case "PERMISSION_DENIED":
      return new PermissionError(message, options);
    case "NOT_FOUND":
    case "ROUTE_NOT_FOUND":
      return new NotFoundError(message, { ...options, code });
    case "CONFLICT":
    case "UNIQUE_VIOLATION":
    case "REPLAY":
    case "SNAPSHOT_TOO_OLD":
      return new ConflictError(message, { ...options, code });
    case "VALIDATION":
    case "BAD_REQUEST":
    case "TOO_LARGE":
      return new ValidationError(message, { ...options, code });
    case "RATE_LIMITED":
      return new RateLimitedError(message, options);
    default:
      return new KontractError(isErrorCode(code) ? code : "INTERNAL", message, options);
  }
}
