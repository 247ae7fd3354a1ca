/**
 * The client module: `client.js` with its parts `connection.js`, `routes.js` and `codec.js`, and
 * `client.d.ts`.
 *
 * Every route is an export of its own, and `api` is the namespace of the module that holds them and nothing
 * else: nothing refers to all of them, so a bundler keeps only what is called. Holds stubs, codecs and the
 * pinned keys; no server code, no option of a route.
 *
 * @module
 */
import type { ErrorDef, Manifest, RouteDef, RouteParameter } from "../../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { type CodecEntry, emitCodecModule } from "./codec.ts";
import { argumentsShape, streamedParameters } from "./fbs.ts";
import { holdsFile, reachableNames } from "./reachable.ts";
import { docText, propertyName, typeText, type TypeUse } from "./type_text.ts";

const HEADER = "// Written by Kontract from the backend functions of this app. Do not edit.";

/** Files of the client module, by name. */
export function emitClient(
  manifest: Manifest,
  pins: readonly string[],
): Readonly<Record<string, string>> {
  return {
    "client.js": ENTRY,
    "connection.js": connectionModule(manifest, pins),
    "routes.js": routesModule(manifest),
    "client.d.ts": clientTypes(manifest),
    "codec.js": emitCodecModule({
      types: manifest.types,
      entries: codecEntries(manifest.routes, "client"),
      runtime: "@kontract/kontract/codec",
    }),
  };
}

/**
 * Codec entries of routes, in the direction that a side needs: `a<op>` for the arguments, `i<op>_<n>` for an
 * element of the n-th streamed one, `r<op>` for the result or a stream's element.
 */
export function codecEntries(
  routes: readonly RouteDef[],
  side: "client" | "server",
): readonly CodecEntry[] {
  const [sent, received] = side === "client"
    ? ["encode", "decode"] as const
    : ["decode", "encode"] as const;
  return routes.flatMap((route) => [
    { name: `a${route.op}`, shape: argumentsShape(route), only: sent },
    ...streamedParameters(route).map(({ shape }, n) => ({
      name: `i${route.op}_${n}`,
      shape: shape.element,
      only: sent,
    })),
    { name: `r${route.op}`, shape: resultShape(route), only: received },
  ]);
}

/** What one message of the answer is: the result, or an element of a stream. */
export function resultShape(route: RouteDef): Shape {
  return route.result.kind === "stream" ? route.result.element : route.result;
}

const ENTRY = `${HEADER}
// @ts-self-types="./client.d.ts"
export * from "./connection.js";
export * from "./routes.js";
export * as api from "./routes.js";
`;

/** The client, and the classes of the errors it rejects with. */
function connectionModule(manifest: Manifest, pins: readonly string[]): string {
  return [
    HEADER,
    `import { ${clientImports(manifest).join(", ")} } from "@kontract/kontract/client";`,
    ...manifest.errors.flatMap(errorClass),
    "",
    `export const client = /* @__PURE__ */ createClient(${clientSettings(manifest, pins)});`,
    "",
  ].join("\n");
}

/** The routes, and nothing beside them: `api` is this module. */
function routesModule(manifest: Manifest): string {
  if (manifest.routes.length === 0) return `${HEADER}\nexport {};\n`;
  const withFiles = manifest.routes.some((route) =>
    route.parameters.some(({ shape }) => holdsFile(shape, manifest.types))
  );
  const names = manifest.routes.flatMap((route) => [
    `decode_r${route.op}`,
    `encode_a${route.op}`,
    ...streamedParameters(route).map((_, n) => `encode_i${route.op}_${n}`),
  ]).sort();
  const lines = [
    HEADER,
    `import { ${names.join(", ")} } from "./codec.js";`,
    `import { client } from "./connection.js";`,
    ...(withFiles ? [`import { readFiles as $readFiles } from "@kontract/kontract/codec";`] : []),
  ];
  for (const route of manifest.routes) {
    const stream = route.result.kind === "stream";
    const { readOnly, cache } = route.meta;
    const head = {
      name: route.name,
      op: route.op,
      readOnly,
      stream,
      ...(cache === null ? {} : { cache }),
    };
    const fields = Object.entries(head).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
    fields.push(`encodeArguments: encode_a${route.op}`, `decodeResult: decode_r${route.op}`);
    if (holdsFile(argumentsShape(route), manifest.types)) fields.push("readFiles: $readFiles");
    fields.push(...inputsField(route, manifest.types));
    lines.push(
      "",
      `const $r${route.op} = { ${fields.join(", ")} };`,
      ...docText(route.doc),
      `export function ${route.name}(...args) {`,
      `  return client.${stream ? "stream" : "call"}($r${route.op}, args);`,
      "}",
    );
  }
  return [...lines, ""].join("\n");
}

function inputsField(route: RouteDef, types: ShapeTable): readonly string[] {
  const inputs = streamedParameters(route).map(({ at, shape }, n) => {
    const bytes = shape.element.kind === "bytes" ? "bytes: true, " : "";
    const files = holdsFile(shape.element, types) ? "readFiles: $readFiles, " : "";
    return `{ at: ${at}, ${bytes}${files}encode: encode_i${route.op}_${n} }`;
  });
  return inputs.length === 0 ? [] : [`inputs: [${inputs.join(", ")}]`];
}

/** No name of an app's begins with `$`. */
function clientImports({ errors, routes }: Manifest): readonly string[] {
  return [
    ...(errors.length > 0 ? ["AppError as $AppError"] : []),
    ...(routes.some((route) => route.meta.cache !== null) ? ["ResultCache as $ResultCache"] : []),
    "createClient",
  ];
}

function clientSettings({ app, build, errors, routes }: Manifest, pins: readonly string[]): string {
  const plain = JSON.stringify({ app, build, pins }).slice(1, -1);
  const parts = [plain];
  if (errors.length > 0) {
    const classes = errors.map(({ code, name }) => `${code}: ${name}`).join(", ");
    parts.push(`"errors": { ${classes} }`);
  }
  if (routes.some((route) => route.meta.cache !== null)) {
    parts.push(`"results": /* @__PURE__ */ new $ResultCache()`);
  }
  return `{${parts.join(",")}}`;
}

/** The twin of an error class: its code, status and name, and no word of its constructor. */
function errorClass({ name, code, status, doc }: ErrorDef): string[] {
  const options = status === null ? "options" : `{ status: ${status}, ...options }`;
  return [
    "",
    ...docText(doc),
    `export class ${name} extends $AppError {`,
    "  constructor(message, options) {",
    `    super(${JSON.stringify(code)}, message, ${options});`,
    // A minifier may call the class something else.
    `    this.name = ${JSON.stringify(name)};`,
    "  }",
    "}",
  ];
}

function errorTypes({ name, code, data, doc }: ErrorDef): string[] {
  const type = data === undefined ? "unknown" : typeText(data);
  return [
    ...docText(doc),
    `export declare class ${name} extends $AppError<${JSON.stringify(code)}, ${type}> {`,
    `  constructor(message?: string, options?: $AppErrorOptions<${type}>);`,
    "}",
    "",
  ];
}

/** `client.d.ts`: named types, one declaration per route, `api`, `client`. */
export function clientTypes(manifest: Manifest): string {
  const lines = [HEADER, ""];
  const names = [
    ...(manifest.errors.length > 0
      ? ["AppError as $AppError", "type AppErrorOptions as $AppErrorOptions"]
      : []),
    ...(manifest.routes.some(isFollowed) ? ["type ReadOnlyFunction as $ReadOnlyFunction"] : []),
  ];
  if (names.length > 0) {
    lines.push(`import { ${names.join(", ")} } from "@kontract/kontract/client";`, "");
  }
  const given = reachableNames(
    manifest.routes.flatMap(({ parameters }) => parameters.map(({ shape }) => shape)),
    manifest.types,
  );
  for (const [name, shape] of Object.entries(manifest.types)) {
    lines.push(...namedType(name, shape, given.has(name) ? "value" : "result"), "");
  }
  for (const error of manifest.errors) lines.push(...errorTypes(error));
  for (const route of manifest.routes) {
    const [parameters, result] = [parameterList(route), resultText(route.result)];
    lines.push(
      ...docText(route.doc),
      isFollowed(route)
        ? `export declare const ${route.name}: $ReadOnlyFunction<(${parameters}) => ${result}>;`
        : `export declare function ${route.name}(${parameters}): ${result};`,
      "",
    );
  }
  lines.push("/** All backend functions, by name. */", "export declare const api: {");
  for (const name of manifest.routes.map((route) => route.name).sort()) {
    lines.push(`  readonly ${name}: typeof ${name};`);
  }
  lines.push(
    "};",
    "",
    "/** The connection to the gateway: who is signed in, events, settings. */",
    // By its address: an app may have a type called 'Client'.
    `export declare const client: import("@kontract/kontract/client").Client;`,
    "",
  );
  return lines.join("\n");
}

/** True where `client.live` takes the function. */
export function isFollowed(route: RouteDef): boolean {
  return route.meta.readOnly && route.result.kind !== "stream" &&
    streamedParameters(route).length === 0;
}

/** Declaration of a named type. */
export function namedType(name: string, shape: Shape, use: TypeUse = "value"): string[] {
  if (shape.kind !== "object") return [`export type ${name} = ${typeText(shape, use)};`];
  const lines = [`export interface ${name} {`];
  for (const field of shape.fields) {
    lines.push(
      ...docText(field.doc, "  "),
      `  ${propertyName(field.name)}${field.optional ? "?" : ""}: ${typeText(field.shape, use)};`,
    );
  }
  return [...lines, "}"];
}

/** Parameters as in a declaration, without parentheses. */
export function parameterList(route: RouteDef): string {
  return route.parameters.map((parameter, i) => {
    const later = route.parameters.slice(i).every((one) => one.optional || one.rest);
    return parameterText(parameter, later);
  }).join(", ");
}

/** `x?` may stand only before other optional ones; else the type says that it may be missing. */
function parameterText(parameter: RouteParameter, trailing: boolean): string {
  const type = parameter.shape.kind === "stream"
    ? inputText(parameter.shape.element)
    : typeText(parameter.shape, parameter.rest ? "value" : "argument");
  if (parameter.rest) return `...${parameter.name}: ${type}`;
  if (!parameter.optional) return `${parameter.name}: ${type}`;
  return trailing ? `${parameter.name}?: ${type}` : `${parameter.name}: ${type} | undefined`;
}

/** What a streamed argument may be given as. */
function inputText(element: Shape): string {
  const type = typeText(element);
  const file = element.kind === "bytes" ? "Blob | " : "";
  return `${file}AsyncIterable<${type}> | ReadableStream<${type}>`;
}

/** What a call gives: a promise or an async generator. */
export function resultText(shape: Shape): string {
  if (shape.kind === "stream") {
    return `AsyncGenerator<${typeText(shape.element, "result")}, void, void>`;
  }
  return `Promise<${shape.kind === "undefined" ? "void" : typeText(shape, "result")}>`;
}
