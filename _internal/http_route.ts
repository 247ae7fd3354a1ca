/**
 * Plain REST addresses: path templates, and where each argument of a call comes from.
 *
 * A template is `/` and segments between slashes; a segment is a literal of unreserved characters or one
 * `{parameter}`. Templates are compared and matched by segment, case counts, and so does a slash at the end.
 *
 * @module
 */

/** One segment of a template. */
export type PathSegment =
  | { readonly literal: string }
  | { readonly parameter: string };

const LITERAL = /^(?!\.{1,2}$)[A-Za-z0-9._~@:-]+$/;
const PARAMETER = /^\{([A-Za-z_$][\w$]*)\}$/;

/** First segments that are Kontract's own. */
export const RESERVED_SEGMENTS: ReadonlySet<string> = new Set([
  "__kontract",
  "auth",
  "events",
  "health",
  "openapi.json",
  "raystream",
  "rpc",
]);

/** The segments of a template, or what is wrong with it, as the end of a sentence. */
export function parsePath(path: string): readonly PathSegment[] | string {
  if (!path.startsWith("/")) return "must start with '/'";
  if (path === "/") return "must have a segment: '/' itself is the front end's";
  const segments: PathSegment[] = [];
  for (const text of path.slice(1).split("/")) {
    const parameter = PARAMETER.exec(text)?.[1];
    if (parameter !== undefined) segments.push({ parameter });
    else if (text === "") return "has an empty segment: no '//' and no '/' at its end";
    else if (LITERAL.test(text)) segments.push({ literal: text });
    else return `has the segment '${text}', which is neither plain text nor one '{parameter}'`;
  }
  const first = segments[0];
  if (first !== undefined && "literal" in first && RESERVED_SEGMENTS.has(first.literal)) {
    return `begins with '/${first.literal}', which is Kontract's own`;
  }
  if (first !== undefined && "parameter" in first) {
    return "begins with a parameter, and would take every page and file of the front end";
  }
  return segments;
}

/** Where one argument of a REST call comes from, and how it is read. */
export interface HttpArgument {
  /** The parameter's name: in the path, in the query, or a property of the body. */
  readonly name: string;
  /** `body`: a property of the body. `whole`: the body itself. */
  readonly from: "path" | "query" | "body" | "whole";
  /** What a text of path or query is turned into before the shape judges it. */
  readonly text: "string" | "number" | "boolean";
  /** True for a query parameter that may be repeated. */
  readonly list: boolean;
  /** Of a `whole`: the body is no JSON but the bytes of a Uint8Array, or a Blob of the request's type. */
  readonly raw?: "bytes" | "blob";
  /** JSON that stands for an argument that was not given; missing where it must be given. */
  readonly absent?: unknown;
}

/** A function at a plain REST address. */
export interface HttpBinding {
  /** `GET`, `POST`, `PUT`, `PATCH` or `DELETE`. */
  readonly method: string;
  /** Template, valid as {@link parsePath} says. */
  readonly path: string;
  /** In the order of the function's parameters. */
  readonly arguments: readonly HttpArgument[];
  /** True for a function without a result: the answer is 204. */
  readonly empty: boolean;
  /** True where the result is bytes, a file or a stream of bytes, which are the answer's body as they are. */
  readonly raw?: true;
}
