/**
 * What leaves the server when something fails: the one place where a thrown value becomes public.
 *
 * Errors of the closed table and the app's own leave as they are, but for those that talk about the
 * server itself; everything else is an opaque `INTERNAL`. The full story goes to the log under the
 * request's id.
 *
 * @module
 */
import { AppError } from "../_internal/app_error.ts";
import { PermissionError } from "../_internal/error_classes.ts";
import { ERROR_CODES, type ErrorCode, KontractError } from "../_internal/errors.ts";
import type { Log } from "./ports.ts";

/** An error as callers may see it. */
export interface PublicError {
  readonly code: string;
  readonly message: string;
  readonly data?: unknown;
  readonly requestId: string;
}

/** With the HTTP status it has on the plain JSON surface. */
export interface Failure {
  readonly status: number;
  readonly error: PublicError;
}

/** Codes that tell about the server's inside: the caller gets `INTERNAL`. */
const INSIDE: ReadonlySet<ErrorCode> = new Set([
  "INTERNAL",
  "CONTEXT_MISSING",
  "CONTEXT_ENDED",
  "CONFIG",
  "BUILD_FAILED",
  "MIGRATION_REFUSED",
  "PORT_IN_USE",
  "UNSUPPORTED_PLATFORM",
]);

/** Codes whose own sentence is all that leaves. */
const PLAIN: ReadonlySet<ErrorCode> = new Set(["SCHEMA_MISMATCH", "DATABASE_UNAVAILABLE"]);

const MAX_DATA = 65_536;

/** Any thrown value → what the caller may see. Pure; see {@link reportFailure} for the log. */
export function toFailure(error: unknown, requestId: string): Failure {
  if (error instanceof AppError) {
    const { code, message, status, data } = error;
    return { status, error: { code, message, ...plain(data), requestId } };
  }
  if (error instanceof KontractError && !INSIDE.has(error.code)) {
    const { code, status, data } = error;
    if (PLAIN.has(code)) {
      return { status, error: { code, message: ERROR_CODES[code].message, requestId } };
    }
    return { status, error: { code, message: error.message, ...plain(data), requestId } };
  }
  const { status, message } = ERROR_CODES.INTERNAL;
  return { status, error: { code: "INTERNAL", message, requestId } };
}

/** A method that its path does not know; `allow` becomes the header. */
export function methodNotAllowed(allow: readonly string[], message?: string): KontractError {
  return new KontractError("METHOD_NOT_ALLOWED", message, { data: { allow } });
}

/** As {@link toFailure}, and writes what only the operator may see. */
export function reportFailure(
  log: Log,
  error: unknown,
  requestId: string,
  fields: Readonly<Record<string, unknown>> = {},
): Failure {
  const failure = toFailure(error, requestId);
  const { code } = failure.error;
  if (failure.status >= 500) log.error("call_failed", { requestId, code, ...fields, error });
  else log.info("call_refused", { requestId, code, ...fields, ...reasonOf(error) });
  return failure;
}

/** A mistake in the source, as a rule; other refusals quote what the caller sent. */
function reasonOf(error: unknown): { readonly reason?: string } {
  return error instanceof PermissionError ? { reason: error.message } : {};
}

/** Data that is no plain JSON, or too much of it, stays here. */
function plain(data: unknown): { data?: unknown } {
  if (data === undefined) return {};
  try {
    const text = JSON.stringify(data);
    return text === undefined || text.length > MAX_DATA ? {} : { data: JSON.parse(text) };
  } catch {
    return {};
  }
}
