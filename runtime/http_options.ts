/**
 * What an app chooses for its plain HTTP: `http` of `defineServer`. For APIs whose form was decided elsewhere.
 *
 * `error` is the app's code outside of any call. It sees a failure as a caller may see it and nothing more;
 * where it throws or gives what is no answer, the answer is Kontract's own and the log says why.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";

/** A failure at a plain REST address or beside one, as its caller may see it. */
export interface HttpFailure {
  /** The code's status. */
  readonly status: number;
  /** One of Kontract's codes, or of the app's own errors. */
  readonly code: string;
  /** A sentence for a person. */
  readonly message: string;
  /** Typed by the code. */
  readonly data?: unknown;
  /** Finds the call in the server's log. */
  readonly requestId: string;
  /** Name of the function, or null where none was reached: no such path or method, a page that may not call. */
  readonly route: string | null;
}

/** What is answered in place of `{ "error": … }`. */
export interface HttpFailureAnswer {
  /** 400 to 599; the failure's own where missing. */
  readonly status?: number;
  /** Plain JSON. */
  readonly body: unknown;
}

/** Choices for plain HTTP; all have defaults. */
export interface HttpOptions {
  /** A scheme that `Authorization` may have beside `Bearer`, as `Token`. */
  readonly scheme?: string;
  /**
   * What happens to query parameters, and to properties of JSON bodies at REST addresses, that the function
   * has no place for. `refuse` where missing: a misspelled filter must not answer with everything.
   */
  readonly unknown?: "refuse" | "ignore";
  /** Status and body of a failure at a REST address or beside one, the framework's own failures included. */
  readonly error?: (failure: HttpFailure) => HttpFailureAnswer;
}

/** Checks the options. @throws {KontractError} `CONFIG` */
export function checkHttpOptions(http: HttpOptions): HttpOptions {
  if (typeof http !== "object" || http === null) throw refused("http", "an object of options");
  const { scheme, unknown, error } = http;
  if (
    scheme !== undefined && !(typeof scheme === "string" && /^[A-Za-z][\w-]{0,31}$/.test(scheme))
  ) {
    throw refused("http.scheme", "a word of letters, digits, '-' and '_'");
  }
  if (unknown !== undefined && unknown !== "refuse" && unknown !== "ignore") {
    throw refused("http.unknown", "'refuse' or 'ignore'");
  }
  if (error !== undefined && typeof error !== "function") {
    throw refused("http.error", "a function");
  }
  return http;
}

function refused(name: string, rule: string): KontractError {
  return new KontractError("CONFIG", `'${name}' of defineServer must be ${rule}.`);
}
