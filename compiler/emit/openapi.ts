/**
 * `openapi.json`: the plain REST addresses of an app as an OpenAPI 3.1 document.
 *
 * Made of the manifest alone, so it says what the gateway does: types are the JSON codec's, texts are the
 * doc comments. An app without such an address has no document.
 *
 * @module
 */
import { ERROR_CODES, type ErrorCode, isErrorCode } from "../../_internal/errors.ts";
import type { HttpArgument, HttpBinding } from "../../_internal/http_route.ts";
import type { Manifest, RouteDef } from "../../_internal/manifest.ts";
import type { Shape } from "../../_internal/shape.ts";
import { type DocComment, parseDocComment } from "../cookbook/doc_comment.ts";
import { compareText } from "../diagnostic.ts";
import { httpBinding } from "../http_binding.ts";
import { reachableTypes } from "./reachable.ts";
import { described, type JsonSchema, jsonSchema, schemaName } from "./json_schema.ts";

interface Operation {
  readonly route: RouteDef;
  readonly binding: HttpBinding;
  readonly doc: DocComment;
}

/** The document's text; null for an app without plain REST addresses. */
export function emitOpenApi(manifest: Manifest): string | null {
  const operations = manifest.routes.flatMap((route): Operation[] => {
    const binding = httpBinding(route, manifest.types);
    return binding === null ? [] : [{ route, binding, doc: parseDocComment(route.doc) }];
  });
  if (operations.length === 0) return null;
  const byPath = Map.groupBy(
    operations.sort((a, b) => compareText(a.binding.path, b.binding.path)),
    ({ binding }) => binding.path,
  );
  const document = {
    openapi: "3.1.0",
    info: { title: manifest.app, version: manifest.build },
    servers: [{ url: "/" }],
    security: [{ session: [] }],
    paths: Object.fromEntries([...byPath].map(([path, own]) => [path, pathItem(own, manifest)])),
    components: {
      securitySchemes: {
        session: {
          type: "http",
          scheme: "bearer",
          description: "'access' of POST /auth/anonymous, /auth/login or /auth/refresh.",
        },
      },
      responses: { Error: manifest.ownErrors === true ? OWN_ERROR_RESPONSE : ERROR_RESPONSE },
      schemas: schemas(operations, manifest),
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function pathItem(operations: readonly Operation[], manifest: Manifest): JsonSchema {
  return Object.fromEntries(
    operations.toSorted((a, b) => compareText(a.binding.method, b.binding.method))
      .map((one) => [one.binding.method.toLowerCase(), operation(one, manifest)]),
  );
}

function operation(one: Operation, manifest: Manifest): JsonSchema {
  const { route, doc } = one;
  const { egroup } = route.meta;
  const parameters = parametersOf(one, manifest);
  const body = requestBody(one, manifest);
  return {
    operationId: route.name,
    ...(egroup === null ? {} : { tags: [egroup] }),
    ...SECURITY[route.meta.session],
    ...(doc.summary === "" ? {} : { summary: doc.summary }),
    ...(doc.text === "" || doc.text === doc.summary ? {} : { description: doc.text }),
    ...(doc.deprecated === null ? {} : { deprecated: true }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === null ? {} : { requestBody: body }),
    responses: responses(one, manifest),
  };
}

/** What an operation says where the document's own `security` does not hold. */
const SECURITY: Readonly<Record<RouteDef["meta"]["session"], JsonSchema>> = {
  required: {},
  optional: { security: [{ session: [] }, {}] },
  none: { security: [] },
};

function docOf(one: Operation, index: number): string {
  const { name, doc } = one.route.parameters[index]!;
  return one.doc.params.get(name) ?? doc ?? "";
}

function shapeOf(one: Operation, index: number): Shape {
  return one.route.parameters[index]!.shape;
}

/** Path and query, in the order of the source. */
function parametersOf(one: Operation, { types }: Manifest): readonly JsonSchema[] {
  return one.binding.arguments.flatMap((argument, i) => {
    const { name, from, list } = argument;
    if (from !== "path" && from !== "query") return [];
    return [described({
      name,
      in: from,
      required: isRequired(argument),
      ...(list ? { style: "form", explode: true } : {}),
      schema: jsonSchema(withoutUndefined(shapeOf(one, i)), types),
    }, docOf(one, i))];
  });
}

function isRequired(argument: HttpArgument): boolean {
  return !("absent" in argument);
}

/** In path and query what is not given is left out. */
function withoutUndefined(shape: Shape): Shape {
  return shape.kind === "nullable" && !shape.null ? shape.inner : shape;
}

function requestBody(one: Operation, { types }: Manifest): JsonSchema | null {
  const all = one.binding.arguments.map((argument, i) => ({ argument, i }));
  const whole = all.find(({ argument }) => argument.from === "whole");
  if (whole !== undefined) {
    const schema = jsonSchema(withoutUndefined(shapeOf(one, whole.i)), types);
    const content = RAW_BODIES[whole.argument.raw ?? "json"] ?? { "application/json": { schema } };
    return described({ required: isRequired(whole.argument), content }, docOf(one, whole.i));
  }
  const parts = all.filter(({ argument }) => argument.from === "body");
  if (parts.length === 0) return null;
  const required = parts.filter(({ argument }) => isRequired(argument));
  const schema = {
    type: "object",
    properties: Object.fromEntries(parts.map(({ argument, i }) => [
      argument.name,
      described(jsonSchema(withoutUndefined(shapeOf(one, i)), types), docOf(one, i)),
    ])),
    ...(required.length === 0 ? {} : { required: required.map(({ argument }) => argument.name) }),
    additionalProperties: false,
  };
  return { required: required.length > 0, content: { "application/json": { schema } } };
}

/** Bodies that are no JSON, by how they are read. */
const RAW_BODIES: Readonly<Record<string, JsonSchema | undefined>> = {
  bytes: { "*/*": {} },
  blob: { "*/*": {} },
};

function responses(one: Operation, manifest: Manifest): JsonSchema {
  const { types } = manifest;
  const { result } = one.route;
  const description = one.doc.returns === "" ? "The result." : one.doc.returns;
  const failed = {
    ...knownFailures(one, manifest),
    default: { $ref: "#/components/responses/Error" },
  };
  if (one.binding.empty) return { 204: { description: "Done." }, ...failed };
  // What the bytes are is said in code, by the Blob or by HttpResp.
  if (one.binding.raw === true) {
    return { "2XX": { description, content: { "*/*": {} } }, ...failed };
  }
  if (result.kind === "stream") {
    const schema = streamLine(jsonSchema(result.element, types));
    return {
      200: { description, content: { "application/x-ndjson": { schema } } },
      ...failed,
    };
  }
  // Status and headers are said in code, by HttpResp: any success has the same body.
  const schema = jsonSchema(result, types);
  return { "2XX": { description, content: { "application/json": { schema } } }, ...failed };
}

/** Statuses of the errors that a function says it throws: its own classes with their data, and Kontract's. */
function knownFailures(
  { route, doc }: Operation,
  { errors, types, ownErrors }: Manifest,
): JsonSchema {
  if (ownErrors === true) return {};
  const said = new Map(doc.throws.map(({ type, text }) => [type, text]));
  const found = route.throws.flatMap((name) => {
    const own = errors.find((error) => error.name === name);
    const code = own?.code ?? CLASS_CODES[name] ?? name;
    const status = own === undefined
      ? isErrorCode(code) ? ERROR_CODES[code].status : null
      : own.status ?? 400;
    if (status === null) return [];
    const text = said.get(name) || own?.doc ||
      (isErrorCode(code) ? ERROR_CODES[code].message : code);
    const data = own?.data === undefined ? {} : { data: jsonSchema(own.data, types) };
    return [{ status, text, schema: errorSchema({ code: { const: code }, ...data }) }];
  });
  return Object.fromEntries(
    [...Map.groupBy(found, ({ status }) => status)].map(([status, all]) => {
      const schemas = all.map(({ schema }) => schema);
      return [status, {
        description: all.map(({ text }) => text).join(" "),
        content: {
          "application/json": { schema: schemas.length === 1 ? schemas[0] : { anyOf: schemas } },
        },
      }];
    }),
  );
}

/** Codes of Kontract's named classes: the first of each family. */
const CLASS_CODES: Readonly<Record<string, ErrorCode>> = {
  UnauthorizedError: "UNAUTHORIZED",
  ForbiddenError: "FORBIDDEN",
  PermissionError: "PERMISSION_DENIED",
  NotFoundError: "NOT_FOUND",
  ConflictError: "CONFLICT",
  ValidationError: "VALIDATION",
  RateLimitedError: "RATE_LIMITED",
};

function errorSchema(more: JsonSchema): JsonSchema {
  const error = {
    ...ERROR_SCHEMA,
    properties: { ...ERROR_SCHEMA.properties as JsonSchema, ...more },
  };
  return { type: "object", properties: { error }, required: ["error"] };
}

const ERROR_SCHEMA: JsonSchema = {
  type: "object",
  properties: {
    code: { type: "string", description: "Stable; clients switch on it." },
    message: { type: "string" },
    data: { description: "Typed by the code." },
    requestId: { type: "string", description: "Finds the call in the server's log." },
  },
  required: ["code", "message", "requestId"],
};

const ERROR_RESPONSE: JsonSchema = {
  description: "The call failed; the status is the code's.",
  content: {
    "application/json": {
      schema: errorSchema({}),
    },
  },
};

const OWN_ERROR_RESPONSE: JsonSchema = {
  description: "The call failed; status and body are as the app's 'server.ts' makes them.",
  content: { "application/json": { schema: {} } },
};

/** One line of a stream: an element, the end, or the error that cut it. */
function streamLine(element: JsonSchema): JsonSchema {
  return {
    oneOf: [
      { type: "object", properties: { element }, required: ["element"] },
      { type: "object", properties: { end: { const: true } }, required: ["end"] },
      { type: "object", properties: { error: ERROR_SCHEMA }, required: ["error"] },
    ],
  };
}

function schemas(operations: readonly Operation[], { types, errors }: Manifest): JsonSchema {
  const shapes = operations.flatMap(({ route }) => [
    ...route.parameters.map(({ shape }) => shape),
    route.result,
    ...errors.flatMap(({ name, data }) =>
      data !== undefined && route.throws.includes(name) ? [data] : []
    ),
  ]);
  return Object.fromEntries(
    Object.entries(reachableTypes(shapes, types))
      .map(([name, shape]) => [schemaName(name), jsonSchema(shape, types)] as const)
      .sort(([a], [b]) => compareText(a, b)),
  );
}
