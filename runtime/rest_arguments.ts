/**
 * Path, query and JSON body of a plain request → the arguments of a call, still unchecked: the route's
 * generated code judges them, and {@link named} makes its words those of the request.
 *
 * What has no parameter to go to is refused, in the query as in the body: a misspelled filter must not
 * answer with everything. An app whose contract says otherwise lets it be passed over (`http.unknown`).
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Found } from "../_internal/found.ts";
import type { HttpArgument, HttpBinding } from "../_internal/http_route.ts";
import { withPlace } from "./argument_names.ts";
import { parseJson } from "./json_body.ts";

/** True where the call takes something from the body. */
export function readsBody({ arguments: all }: HttpBinding): boolean {
  return all.some(({ from }) => from === "body" || from === "whole");
}

/**
 * The arguments as JSON, in the order of the function's parameters. `lenient` passes over what has no place,
 * `type` is the body's.
 *
 * @throws {KontractError} `VALIDATION`, `BAD_REQUEST`
 */
export function restArguments(
  binding: HttpBinding,
  path: ReadonlyMap<string, string>,
  query: URLSearchParams,
  bytes: Uint8Array,
  { lenient = false, type = "" }: { readonly lenient?: boolean; readonly type?: string } = {},
): unknown[] {
  if (!lenient) refuseUnknown(binding, "query", query.keys());
  const raw = binding.arguments.find((one) => one.raw !== undefined)?.raw;
  const body = raw !== undefined
    ? rawBody(raw, bytes, type)
    : readsBody(binding)
    ? bodyOf(binding, bytes, lenient)
    : undefined;
  return binding.arguments.map((argument) => {
    switch (argument.from) {
      case "path":
        return readText(argument, path.get(argument.name) ?? "");
      case "query":
        return fromQuery(argument, query.getAll(argument.name));
      case "whole":
        return body === undefined ? argument.absent : body;
      case "body":
        return fromBody(argument, body);
    }
  });
}

/** As the JSON codec writes bytes and files; no body is no bytes. */
function rawBody(raw: "bytes" | "blob", bytes: Uint8Array, type: string): unknown {
  const text = bytes.toBase64();
  return raw === "bytes" ? text : { name: "", type, bytes: text };
}

function bodyOf(binding: HttpBinding, bytes: Uint8Array, lenient: boolean): unknown {
  const value = bytes.length === 0 ? undefined : parseJson(bytes);
  if (binding.arguments.some(({ from }) => from === "whole")) return value;
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new KontractError("BAD_REQUEST", "The body is a JSON object.");
  }
  if (!lenient) refuseUnknown(binding, "body", Object.keys(value));
  return value;
}

function fromBody(argument: HttpArgument, body: unknown): unknown {
  const given = body as Readonly<Record<string, unknown>>;
  return Object.hasOwn(given, argument.name) ? given[argument.name] : absentOf(argument);
}

function absentOf(argument: HttpArgument): unknown {
  if (!("absent" in argument)) throw invalid(argument.name, "present", "missing", argument.from);
  return argument.absent;
}

function fromQuery(argument: HttpArgument, values: readonly string[]): unknown {
  const { name, list } = argument;
  if (values.length === 0) return absentOf(argument);
  if (list) return values.map((value) => readText(argument, value));
  if (values.length > 1) throw invalid(name, "given once", "array", "query");
  return readText(argument, values[0] ?? "");
}

const NUMBER = /^-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/** What cannot be read stays a text, for the shape to refuse. */
function readText({ text }: HttpArgument, value: string): unknown {
  if (text === "number" && NUMBER.test(value)) return Number(value);
  if (text === "boolean" && (value === "true" || value === "false")) return value === "true";
  return value;
}

function refuseUnknown(
  { arguments: all }: HttpBinding,
  from: "query" | "body",
  names: Iterable<string>,
): void {
  const known = new Set(all.filter((one) => one.from === from).map(({ name }) => name));
  for (const name of names) {
    if (!known.has(name)) {
      throw invalid(name, "left out: there is no such parameter", "extra", from);
    }
  }
}

function invalid(
  path: string,
  expected: string,
  found: Found,
  from: HttpArgument["from"],
): KontractError {
  return new KontractError("VALIDATION", `'${path}' must be ${expected}.`, {
    data: { path, expected, found, in: from === "whole" ? "body" : from },
  });
}

/** Runs the check of arguments; a problem at `[1].x` is told by the parameter's name and place. */
export function named<T>(binding: HttpBinding, check: () => T): T {
  return withPlace(check, (at, rest, expected, found) => {
    const argument = binding.arguments[at];
    if (argument === undefined) return null;
    const whole = argument.from === "whole";
    const path = whole ? rest.replace(/^\./, "") || "body" : argument.name + rest;
    return invalid(path, expected, found, argument.from);
  });
}
