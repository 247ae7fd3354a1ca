/**
 * What went wrong, typed: every rejection of the client is a KontractError, of the named class where
 * its code has one, or the app's own AppError.
 *
 * @module
 */
import { AppError, type AppErrorOptions } from "../../_internal/app_error.ts";
import { type ErrorCode, KontractError } from "../../_internal/errors.ts";
import { errorFrom } from "../../_internal/error_classes.ts";
import { RemoteError } from "../../protocol/wire_error.ts";

/** What a call rejects with. */
export type ClientError = KontractError | AppError;

/** The app's own error classes, by code. */
export type ErrorClasses = Readonly<
  Record<string, new (message: string, options: AppErrorOptions<unknown>) => AppError>
>;

/** Any thrown value as the error a caller sees; what it was is the `cause`. */
export function toClientError(error: unknown, classes: ErrorClasses = {}): ClientError {
  if (error instanceof AppError) return error;
  if (error instanceof RemoteError && error.remoteCode !== error.code) {
    return fromApp(error, classes);
  }
  if (error instanceof KontractError) {
    const named = errorFrom(error.code, error.message, { data: error.data, cause: error });
    return error instanceof named.constructor ? error : named;
  }
  if (error instanceof DOMException && error.name === "AbortError") {
    return new KontractError("CANCELLED", undefined, { cause: error });
  }
  return new KontractError("INTERNAL", "The client failed.", { cause: error });
}

/** A code that Kontract does not know is the app's own. */
function fromApp(error: RemoteError, classes: ErrorClasses): ClientError {
  const { remoteCode, message, data } = error;
  try {
    const own = Object.hasOwn(classes, remoteCode) ? classes[remoteCode] : undefined;
    return own === undefined
      ? new AppError(remoteCode, message, { data, cause: error })
      : new own(message, { data, cause: error });
  } catch {
    return error;
  }
}

/** True where `error` has one of `codes`. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): boolean {
  return error instanceof KontractError && codes.includes(error.code);
}

/**
 * Waits for `work` no longer than `timeoutMs` and no longer than the signal lets it. The work itself
 * goes on: others may wait for it too.
 *
 * @throws {KontractError} `CANCELLED`, `DEADLINE_EXCEEDED`
 */
export async function bounded<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  timeoutMs: number,
): Promise<T> {
  if (signal?.aborted) throw new KontractError("CANCELLED");
  let stop: (() => void) | undefined;
  const ended = new Promise<never>((_resolve, reject) => {
    const timer = setTimeout(() => reject(new KontractError("DEADLINE_EXCEEDED")), timeoutMs);
    const cancel = (): void => reject(new KontractError("CANCELLED"));
    signal?.addEventListener("abort", cancel, { once: true });
    stop = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
    };
  });
  try {
    return await Promise.race([work, ended]);
  } finally {
    stop?.();
  }
}
