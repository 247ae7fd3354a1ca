/**
 * Plain REST: a route's `http` option and parameters → where each argument comes from, or what is wrong.
 *
 * Parameters named in the path come from it; of the rest, those of `GET` and `DELETE` are query
 * parameters, those of `POST`, `PUT` and `PATCH` are properties of the JSON body. `body` names the one
 * parameter that is the whole body; the others are then query parameters.
 *
 * @module
 */
import { type HttpArgument, type HttpBinding, parsePath } from "../_internal/http_route.ts";
import type { RouteDef, RouteParameter } from "../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../_internal/shape.ts";
import type { RouteSource } from "./route_source.ts";
import type { Reporter } from "./source_place.ts";

/** The binding of a route that {@link checkHttp} found nothing wrong with; null without `http`. */
export function httpBinding(route: RouteDef, types: ShapeTable): HttpBinding | null {
  const { http } = route.meta;
  if (http === null) return null;
  const { method, path } = http;
  return {
    method,
    path,
    arguments: route.parameters.map((parameter) => argumentOf(parameter, route, types)),
    empty: route.result.kind === "undefined",
    ...(isRaw(route.result, types) ? { raw: true } : {}),
  };
}

/** True for bytes, files and streams of bytes: their own form is what HTTP has a body for. */
function isRaw(result: Shape, types: ShapeTable): boolean {
  const { inner } = peel(result, types);
  const { kind } = inner.kind === "stream" ? peel(inner.element, types).inner : inner;
  return kind === "bytes" || (kind === "file" && inner.kind !== "stream");
}

/** How a parameter that is the whole body is read where it is no JSON. */
function rawBody(inner: Shape): HttpArgument["raw"] {
  if (inner.kind === "bytes") return "bytes";
  return inner.kind === "file" && inner.of === "Blob" ? "blob" : undefined;
}

function argumentOf(parameter: RouteParameter, route: RouteDef, types: ShapeTable): HttpArgument {
  const from = sourceOf(parameter, route);
  const { inner, flags } = peel(parameter.shape, types);
  const list = from === "query" && inner.kind === "array";
  const text = textOf(list && inner.kind === "array" ? inner.element : inner, types);
  const mayMiss = parameter.optional || flags.undefined;
  const raw = from === "whole" ? rawBody(inner) : undefined;
  const absent = list && !mayMiss ? [] : flags.null ? { $undefined: true } : null;
  return {
    name: parameter.name,
    from,
    text: text ?? "string",
    list,
    ...(raw === undefined ? {} : { raw }),
    ...(mayMiss || list ? { absent } : {}),
  };
}

function sourceOf({ name }: RouteParameter, { meta: { http } }: RouteDef): HttpArgument["from"] {
  if (http === null) return "body";
  if (pathParameters(http.path).includes(name)) return "path";
  if (http.body === name) return "whole";
  return http.body === undefined && takesBody(http.method) ? "body" : "query";
}

function takesBody(method: string): boolean {
  return method !== "GET" && method !== "DELETE";
}

function pathParameters(path: string): readonly string[] {
  const segments = parsePath(path);
  if (typeof segments === "string") return [];
  return segments.flatMap((segment) => "parameter" in segment ? [segment.parameter] : []);
}

function resolve(shape: Shape, types: ShapeTable): Shape {
  const seen = new Set<string>();
  while (shape.kind === "ref" && !seen.has(shape.name)) {
    seen.add(shape.name);
    shape = types[shape.name] ?? shape;
  }
  return shape;
}

function peel(
  shape: Shape,
  types: ShapeTable,
): {
  readonly inner: Shape;
  readonly flags: { readonly null: boolean; readonly undefined: boolean };
} {
  const flags = { null: false, undefined: false };
  let inner = resolve(shape, types);
  while (inner.kind === "nullable") {
    flags.null ||= inner.null;
    flags.undefined ||= inner.undefined;
    inner = resolve(inner.inner, types);
  }
  return { inner, flags };
}

/** What a text is read as for a shape; null for one that no text can say. */
function textOf(shape: Shape, types: ShapeTable): HttpArgument["text"] | null {
  const inner = resolve(shape, types);
  switch (inner.kind) {
    case "string":
    case "bigint":
    case "date":
      return "string";
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "literal":
    case "enum": {
      const values = inner.kind === "literal" ? [inner.value] : inner.values;
      const kinds = [...new Set(values.map((value) => typeof value))];
      return kinds.length === 1 ? kinds[0] as HttpArgument["text"] : null;
    }
    default:
      return null;
  }
}

/** Reports what is wrong with the `http` options of an app's routes. */
export function checkHttp(
  sources: readonly RouteSource[],
  routes: readonly RouteDef[],
  types: ShapeTable,
  reporter: Reporter,
): void {
  const byName = new Map(routes.map((route) => [route.name, route]));
  const taken = new Map<string, RouteSource>();
  for (const source of sources) {
    const route = byName.get(source.name);
    const http = source.meta.http;
    if (route === undefined || http === null) continue;
    const report: Report = (message, hint, parameter) => {
      const symbol = source.signature.parameters[route.parameters.indexOf(parameter!)];
      const node = symbol?.valueDeclaration ?? source.httpNode ?? source.node;
      reporter.error("KT2010", node, message, hint);
    };
    checkOne(route, http, types, report);
    const address = `${http.method} ${http.path.replaceAll(/\{[^}/]*\}/g, "{}")}`;
    const first = taken.get(address);
    if (first !== undefined) {
      report(
        `'${http.method} ${http.path}' is also the address of '${first.name}' (${first.span.file}:${first.span.line}).`,
        "Names of path parameters do not tell addresses apart: change a literal segment or the method.",
      );
    }
    taken.set(address, first ?? source);
  }
}

/** Reports at a parameter, or at the option. */
type Report = (message: string, hint?: string, parameter?: RouteParameter) => void;

function checkOne(
  route: RouteDef,
  http: NonNullable<RouteDef["meta"]["http"]>,
  types: ShapeTable,
  report: Report,
): void {
  const { method, path, body } = http;
  const segments = parsePath(path);
  if (typeof segments === "string") {
    return report(`The path '${path}' ${segments}.`, 'For example: path: "/api/users/{id}".');
  }
  if (method === "GET" && !route.meta.readOnly) {
    report(
      `'${route.name}' answers to GET and so must not write: browsers, caches and crawlers repeat a GET at will.`,
      "Add readOnly: true, or use POST, PUT, PATCH or DELETE.",
    );
  }
  const colon = /\/:([A-Za-z_$][\w$]*)/.exec(path);
  if (colon !== null) {
    report(`The path '${path}' has ':${colon[1]}', which is no parameter.`, `Write {${colon[1]}}.`);
  }
  const names = pathParameters(path);
  for (const [i, name] of names.entries()) {
    if (names.indexOf(name) !== i) report(`The path '${path}' has '{${name}}' twice.`);
    if (route.parameters.some((parameter) => parameter.name === name)) continue;
    const known = route.parameters.map((parameter) => `'${parameter.name}'`).join(", ");
    report(
      `The path '${path}' has '{${name}}', but '${route.name}' has no parameter of this name.`,
      known === "" ? `Add it: ${route.name}(${name}: string).` : `It has ${known}.`,
    );
  }
  checkBody(route, body, method, names, report);
  for (const parameter of route.parameters) {
    checkParameter(parameter, route, types, (message, hint) => report(message, hint, parameter));
  }
}

function checkBody(
  route: RouteDef,
  body: string | undefined,
  method: string,
  names: readonly string[],
  report: Report,
): void {
  if (body === undefined) return;
  if (!takesBody(method)) {
    report(`A ${method} has no body, so 'body: "${body}"' has no meaning.`, "Leave 'body' out.");
  } else if (!route.parameters.some((parameter) => parameter.name === body)) {
    report(`'body' names '${body}', but '${route.name}' has no parameter of this name.`);
  } else if (names.includes(body)) {
    report(`'${body}' cannot be the body and a part of the path.`);
  }
}

function checkParameter(
  parameter: RouteParameter,
  route: RouteDef,
  types: ShapeTable,
  report: Report,
): void {
  const { name, optional, rest } = parameter;
  if (rest) {
    return report(
      `'${route.name}' has the rest parameter '...${name}', which has no place in a plain request.`,
      `Take an array: ${name}: string[].`,
    );
  }
  if (parameter.shape.kind === "stream") {
    return report(
      `'${name}' is a stream, which only the sealed channel carries.`,
      "Leave 'http' out; the generated client calls the function all the same.",
    );
  }
  const from = sourceOf(parameter, route);
  if (from === "body" || from === "whole") return;
  const { inner, flags } = peel(parameter.shape, types);
  const where = from === "path" ? "the path" : "the query";
  if (from === "path" && (optional || flags.undefined)) {
    return report(`'${name}' is part of the path and so cannot be optional.`);
  }
  if (flags.null) {
    return report(
      `'${name}' comes from ${where}, where null cannot be said.`,
      from === "path" ? undefined : `Make it optional instead: ${name}?: …`,
    );
  }
  const element = from === "query" && inner.kind === "array" ? inner.element : inner;
  if (textOf(element, types) !== null) return;
  report(
    `'${name}' comes from ${where}, but its type cannot be written as one text.`,
    "Strings, numbers, booleans, bigint, Date and literals of one kind can" +
      (from === "query" ? ", and arrays of these. Other types go into the body of a POST." : "."),
  );
}
