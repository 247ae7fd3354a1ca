/**
 * `HttpResp`: status and headers of the plain JSON answer, said where the value is returned.
 *
 * `return HttpResp.created(user, { headers })` has the type of `user`: callers over raystream and from
 * server code simply get the value. The note counts only where the value it was made with is what the
 * call finally gives, so a helper's note never leaks into another answer.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import { currentCall } from "./context.ts";

/** Type of what {@link HttpResp} gives: the value's own. */
export type HttpResp<T> = T;

/** Options of an answer. */
export interface HttpRespOptions {
  /** Response headers. `set-cookie`, framing and CORS headers are refused. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Media type of a result that is bytes, at a plain REST address: `text/csv; charset=utf-8`. A Blob's own,
   * else `application/octet-stream`, where missing.
   */
  readonly type?: string;
}

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
// Printable ASCII and tab: no line breaks, so no header can be smuggled in.
const VALUE = /^[\t\x20-\x7e]{0,2048}$/;
const RESERVED =
  /^(?:set-cookie|content-(?:length|encoding|type)|transfer-encoding|connection|upgrade|access-control-.*|x-request-id)$/i;

// RFC 9110, 8.3.1: type/subtype, then parameters.
const TYPE = /^[\w!#$&^.+-]{1,64}\/[\w!#$&^.+-]{1,64}(?:; ?[\w-]{1,32}=[\w".+-]{1,64}){0,4}$/;

/** Checks one header that app code set. @throws {KontractError} `VALIDATION` */
export function checkHeader(name: string, value: string): void {
  if (!NAME.test(name) || RESERVED.test(name)) {
    throw new KontractError("VALIDATION", `The response header '${name}' may not be set.`);
  }
  if (typeof value !== "string" || !VALUE.test(value)) {
    throw new KontractError(
      "VALIDATION",
      `The value of the response header '${name}' must be printable ASCII, at most 2048 characters.`,
    );
  }
}

function note<T>(value: T, status: number, options: HttpRespOptions): T {
  const headers = options.headers ?? {};
  for (const [name, text] of Object.entries(headers)) checkHeader(name, text);
  const { type } = options;
  if (type !== undefined && !TYPE.test(type)) {
    throw new KontractError("VALIDATION", "The 'type' of HttpResp is a media type, as text/csv.");
  }
  currentCall("HttpResp").response = {
    ...{ value, status, headers },
    ...(type === undefined ? {} : { type }),
  };
  return value;
}

/**
 * Makes answers with a status and headers of their own, for plain HTTP; callers over raystream get the value.
 *
 * @example
 * ```ts
 * import { backend, HttpResp } from "@kontract/kontract";
 * export const order = backend({}, (item: string) => {
 *   const id = crypto.randomUUID();
 *   return Promise.resolve(HttpResp.created({ id, item }, { headers: { "x-order": id } }));
 * });
 * ```
 */
export const HttpResp: {
  /** 200. */
  ok<T>(value: T, options?: HttpRespOptions): T;
  /** 201. */
  created<T>(value: T, options?: HttpRespOptions): T;
  /** 204, without a body. */
  noContent(options?: HttpRespOptions): void;
  /** 303 (or another redirect) to an absolute path of this app or an https address. */
  redirect(
    location: string,
    options?: HttpRespOptions & { readonly status?: 301 | 302 | 303 | 307 | 308 },
  ): void;
} = {
  ok: (value, options = {}) => note(value, 200, options),
  created: (value, options = {}) => note(value, 201, options),
  noContent: (options = {}) => note(undefined, 204, options),
  redirect: (location, options = {}) => {
    if (!/^(?:\/(?![/\\])|https:\/\/)/.test(location)) {
      throw new KontractError(
        "VALIDATION",
        "HttpResp.redirect takes a path that starts with one '/', or an https address.",
      );
    }
    const headers = { ...options.headers, location };
    return note(undefined, options.status ?? 303, { headers });
  },
};
