/**
 * Base of an app's own errors: a code outside Kontract's table, an HTTP status, typed data. The
 * client catches it with the same code and data.
 *
 * @module
 */
import { isErrorCode, KontractError } from "./errors.ts";

const CODE = /^[A-Z][A-Z0-9_]{0,63}$/;

/** Options of {@link AppError}. */
export interface AppErrorOptions<Data> {
  /** HTTP status on the plain JSON surface, 400 to 599; 400 where missing. */
  readonly status?: number;
  /** Plain data for the caller. */
  readonly data?: Data;
  /** For the server's log only; never sent. */
  readonly cause?: unknown;
}

/**
 * An error of the app, sent to the caller with its code, message and data.
 *
 * @example
 * ```ts
 * import { AppError } from "@kontract/kontract";
 * class RoomFull extends AppError<"ROOM_FULL", { seats: number }> {
 *   constructor(seats: number) {
 *     super("ROOM_FULL", `All ${seats} seats are taken.`, { status: 409, data: { seats } });
 *   }
 * }
 * console.assert(new RoomFull(4).status === 409);
 * ```
 */
export class AppError<Code extends string = string, Data = unknown> extends Error {
  /** Stable code: capitals, digits and `_`, at most 64; not one of Kontract's own. */
  readonly code: Code;
  /** HTTP status on the plain JSON surface. */
  readonly status: number;
  /** Plain data for the caller. */
  readonly data: Data;

  /**
   * Makes an error; `message` is sent to the caller.
   *
   * @throws {KontractError} `CONFIG` for a code or status that does not fit
   */
  constructor(code: Code, message?: string, options: AppErrorOptions<Data> = {}) {
    super(message ?? code, { cause: options.cause });
    const status = options.status ?? 400;
    if (!CODE.test(code) || isErrorCode(code)) {
      throw new KontractError(
        "CONFIG",
        `An app's error code has capitals, digits and '_', at most 64, and is none of Kontract's own: it is '${code}'.`,
      );
    }
    if (!Number.isInteger(status) || status < 400 || status > 599) {
      throw new KontractError(
        "CONFIG",
        `An app's error has a status from 400 to 599: ${code} has ${status}.`,
      );
    }
    // A front end's minifier renames classes; the generated ones of a client name themselves.
    this.name = new.target === AppError ? "AppError" : new.target.name;
    this.code = code;
    this.status = status;
    this.data = options.data as Data;
  }
}
