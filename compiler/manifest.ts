/**
 * Discovery and lowering → {@link Manifest}, with wire numbers from the lock.
 *
 * @module
 */
import ts from "typescript";
import type {
  ErrorDef,
  FieldDef,
  Manifest,
  RouteDef,
  RouteParameter,
  TableDef,
} from "../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../_internal/shape.ts";
import { errorDefs, thrownIn } from "./app_errors.ts";
import { checkHttp } from "./http_binding.ts";
import { compareText } from "./diagnostic.ts";
import { execDefs } from "./discover_execs.ts";
import type { Discovery } from "./discover.ts";
import type { Lock } from "./lock.ts";
import { holdsFile } from "./emit/reachable.ts";
import { isUnresolved, type Lowering, type Place } from "./lower/mod.ts";
import { chainOf } from "./middleware.ts";
import { appPath } from "./project.ts";
import type { FieldSource, RouteSource, TableSource } from "./route_source.ts";
import { SchemaHashes } from "./schema_hash.ts";
import type { Reporter } from "./source_place.ts";

/**
 * What the client module has besides routes, and words that cannot be a function's name. A module that
 * exports `then` is taken for a promise by `await import()`.
 */
const RESERVED: ReadonlySet<string> = new Set(
  ("api client createClient then default arguments await break case catch class const continue debugger delete do else " +
    "enum eval export extends false finally for function if implements import in instanceof interface " +
    "let new null package private protected public return static super switch this throw true try " +
    "typeof var void while with yield").split(" "),
);

const IDENTIFIER = /^[A-Za-z][A-Za-z0-9_$]{0,99}$/;
/** Names that the client module gives to its own parts. */
const GENERATED = /^(?:encode_a|decode_r)\d+$/;

/** What the manifest is made from. */
export interface ManifestInput {
  readonly app: string;
  readonly root: string;
  readonly discovery: Discovery;
  readonly lowering: Lowering;
  /** For queries, whose types never cross and so have no numbers in the lock. */
  readonly execLowering: Lowering;
  readonly lock: Lock;
  readonly reporter: Reporter;
}

/** The manifest, still without its build hash. */
export function makeManifest(input: ManifestInput): Omit<Manifest, "build"> {
  const { discovery, reporter } = input;
  checkNames(discovery.routes, reporter);
  const tables = discovery.tables.map((table) => tableDef(table, input))
    .sort((a, b) => compareText(a.name, b.name));
  checkTableNames(discovery.tables, reporter);
  checkStoredFiles(tables, input);
  // Ops are handed out by name, so that where a function stands means nothing.
  for (const { name } of discovery.routes.toSorted((a, b) => compareText(a.name, b.name))) {
    input.lock.op(name);
  }
  const routes = discovery.routes
    .map((route) => routeDef(route, input))
    .sort((a, b) => a.op - b.op);
  checkGrants(discovery.routes, tables, reporter);
  const errors = errorDefs(discovery.errors, input.lowering, reporter);
  const types = input.lowering.names.table;
  checkErrorNames(errors, routes, types, input);
  checkIndexes(discovery.tables, tables, types, reporter);
  checkHttp(discovery.routes, routes, types, reporter);
  const hashes = new SchemaHashes(types);
  return {
    version: 1,
    app: input.app,
    routes: routes.map((route) => ({ ...route, schemaHash: hashes.of(route) })),
    errors,
    tables,
    execs: execDefs(discovery.execs, input.execLowering, reporter),
    types,
    ...(discovery.server?.ownErrors === true ? { ownErrors: true } : {}),
  };
}

function checkNames(routes: readonly RouteSource[], reporter: Reporter): void {
  const seen = new Map<string, RouteSource>();
  for (const route of routes) {
    const first = seen.get(route.name);
    if (first !== undefined) {
      reporter.explain(first.node);
      reporter.error(
        "KT2002",
        route.node,
        `Two backend functions are called '${route.name}'; the other is at ${first.span.file}:${first.span.line}.`,
        `Names are unique in an app: give one of them another with @backend({ name: "…" }).`,
      );
    } else if (!IDENTIFIER.test(route.name)) {
      reporter.error(
        "KT2002",
        route.node,
        `'${route.name}' cannot be a public name: it stands in addresses and in other languages.`,
        'A public name has A–Z, a–z, 0–9, "_" and "$", at most 100, and begins with a letter: give one with ' +
          '@backend({ name: "…" }).',
      );
    } else if (RESERVED.has(route.name) || GENERATED.test(route.name)) {
      reporter.error(
        "KT2002",
        route.node,
        `'${route.name}' cannot be the name of a function in the client module: it is a word of JavaScript or of ` +
          "that module's own.",
        'Give it another with @backend({ name: "…" }).',
      );
    }
    seen.set(route.name, first ?? route);
  }
}

function checkTableNames(tables: readonly TableSource[], reporter: Reporter): void {
  const seen = new Map<string, TableSource>();
  for (const table of tables) {
    const first = seen.get(table.name);
    if (first !== undefined) {
      reporter.error(
        "KT4001",
        table.node.name ?? table.node,
        `Two table classes are called '${table.name}'; the other is at ${first.span.file}:${first.span.line}.`,
        "Give one of them another name in its @table(…).",
      );
    }
    seen.set(table.name, first ?? table);
  }
}

/** Once all fields have their shapes: what a type holds is asked of all types together. */
function checkStoredFiles(
  tables: readonly TableDef[],
  { discovery, lowering, reporter }: ManifestInput,
): void {
  const types = lowering.names.table;
  for (const { name, fields } of tables) {
    for (const field of fields) {
      if (!holdsFile(field.shape, types)) continue;
      const source = discovery.tables.find((table) => table.name === name);
      reporter.error(
        "KT4001",
        source!.fields.find((one) => one.name === field.name)!.node,
        `Table '${name}' cannot store the File or Blob of '${field.name}'.`,
        "Store its bytes (a Uint8Array) and its name, or keep it elsewhere and store where.",
      );
    }
  }
}

function checkGrants(
  routes: readonly RouteSource[],
  tables: readonly TableDef[],
  reporter: Reporter,
): void {
  for (const route of routes) {
    for (const grant of Object.keys(route.meta.grants)) {
      const [name, ...rest] = grant.split(".");
      const table = tables.find((one) => one.name === name);
      if (table?.fields.some((field) => field.name === rest.join(".")) === true) continue;
      reporter.error(
        "KT2005",
        route.node,
        table === undefined
          ? `'grants' of '${route.name}' names the table '${name}', which does not exist.`
          : `'grants' of '${route.name}' names '${grant}', but '${name}' has no such field.`,
        table === undefined
          ? `Tables: ${tables.map((one) => one.name).join(", ")}.`
          : `Fields of '${name}': ${table.fields.map((field) => field.name).join(", ")}.`,
      );
    }
  }
}

/** An index of a nested field leads through objects and records; one of a field is looked at where it stands. */
function checkIndexes(
  sources: readonly TableSource[],
  tables: readonly TableDef[],
  types: ShapeTable,
  reporter: Reporter,
): void {
  for (const { name, indexes } of sources) {
    const fields = tables.find((table) => table.name === name)?.fields ?? [];
    for (const { fields: paths, node } of indexes) {
      for (const path of paths) {
        const [first, ...parts] = path.split(".");
        const field = fields.find((one) => one.name === first);
        if (field === undefined || fields.some((one) => one.name === path)) continue;
        if (leadsSomewhere(field.shape, parts, types)) continue;
        reporter.error(
          "KT4004",
          node,
          `There is no field '${path}' to index.`,
          "Each part but the last is an object, or a record, that has the next.",
        );
      }
    }
  }
}

function leadsSomewhere(shape: Shape, parts: readonly string[], types: ShapeTable): boolean {
  const [part, ...rest] = parts;
  if (part === undefined) return true;
  if (shape.kind === "nullable") return leadsSomewhere(shape.inner, parts, types);
  if (shape.kind === "ref") {
    const target = types[shape.name];
    return target !== undefined && leadsSomewhere(target, parts, types);
  }
  const next = shape.kind === "record"
    ? shape.value
    : shape.kind === "object"
    ? shape.fields.find(({ name }) => name === part)?.shape
    : undefined;
  return next !== undefined && leadsSomewhere(next, rest, types);
}

function routeDef(route: RouteSource, input: ManifestInput): RouteDef {
  const { lowering, lock } = input;
  const op = lock.op(route.name);
  const generic = (route.signature.typeParameters?.length ?? 0) > 0;
  if (generic) {
    input.reporter.error(
      "KT2008",
      route.node,
      `'${route.name}' has type parameters; what crosses must be known at build time.`,
      "Write concrete types, or one backend function per type.",
    );
  }
  // Said once is enough: nothing of its types is known.
  const parameters = generic
    ? []
    : route.signature.parameters.map((symbol, i) => parameterOf(symbol, i, op, route, input));
  const streams = parameters.filter(({ shape }) => shape.kind === "stream");
  if (streams.length > MAX_INPUTS) {
    input.reporter.error(
      "KT2012",
      route.node,
      `'${route.name}' takes ${streams.length} streams; at most ${MAX_INPUTS} can travel with one call.`,
    );
  }
  const declaration = route.signature.getDeclaration() as ts.SignatureDeclaration | undefined;
  const place: Place = {
    node: declaration?.type ?? route.node,
    subject: `'${route.name}' cannot return`,
    path: "",
    owner: `${op}=`,
    depth: 0,
  };
  const chain = chainOf(input.discovery.middleware, {
    name: route.name,
    egroup: route.meta.egroup,
  });
  const result: Shape = generic
    ? { kind: "undefined" }
    : resultOf(route.signature.getReturnType(), lowering, place);
  checkCache(route, parameters, result, input.reporter);
  return {
    name: route.name,
    op,
    module: appPath(input, route.file),
    export: { className: route.className, name: route.member },
    meta: route.meta,
    parameters,
    result,
    throws: throwsOf(route, declaration, input),
    middleware: chain.map((one) => one.name),
    schemaHash: "",
    doc: route.doc,
    source: route.span,
  };
}

/** What the comment names, then what the function's own text makes beside that. */
function throwsOf(
  route: RouteSource,
  declaration: ts.Node | undefined,
  { discovery, lowering }: ManifestInput,
): readonly string[] {
  const named = [...route.doc.matchAll(/@throws\s+(?:\{([^}]+)\}|([\w.]+))/g)]
    .map((match) => (match[1] ?? match[2] ?? "").trim());
  const classes = new Map(discovery.errors.map((error) => [error.symbol, error.name]));
  return [...new Set([...named, ...thrownIn(declaration, classes, lowering.checker)])];
}

/** In the client module functions, types and error classes share one space of names. */
function checkErrorNames(
  errors: readonly ErrorDef[],
  routes: readonly RouteDef[],
  types: ShapeTable,
  { discovery, reporter }: ManifestInput,
): void {
  for (const { name } of errors) {
    const taken = routes.some((route) => route.name === name)
      ? "a backend function"
      : Object.hasOwn(types, name)
      ? "a type that crosses"
      : RESERVED.has(name) || GENERATED.test(name)
      ? "a name that the client module has already"
      : null;
    const node = discovery.errors.find((error) => error.name === name)?.node;
    if (taken === null || node === undefined) continue;
    reporter.error(
      "KT2011",
      node,
      `The error class '${name}' has the name of ${taken}; the client module exports both.`,
      "Give the class another name.",
    );
  }
}

/** A stream is read once: there is nothing to keep. */
function checkCache(
  route: RouteSource,
  parameters: readonly RouteParameter[],
  result: Shape,
  reporter: Reporter,
): void {
  if (route.meta.cache === null) return;
  const streamed = [result, ...parameters.map(({ shape }) => shape)];
  if (!streamed.some(({ kind }) => kind === "stream")) return;
  reporter.error(
    "KT2005",
    route.node,
    `'${route.name}' takes or gives a stream, and the result of such a call cannot be kept.`,
    "Leave 'cache' out.",
  );
}

/** As raystream has it: see `protocol/socket_input.ts`. */
const MAX_INPUTS = 8;

function parameterOf(
  symbol: ts.Symbol,
  index: number,
  op: number,
  route: RouteSource,
  input: ManifestInput,
): RouteParameter {
  const declaration = symbol.valueDeclaration;
  const node = declaration ?? route.node;
  const parameter = declaration !== undefined && ts.isParameter(declaration) ? declaration : null;
  const named = parameter !== null && ts.isIdentifier(parameter.name);
  const name = named ? symbol.name : `argument${index + 1}`;
  const optional = parameter !== null &&
    (parameter.questionToken !== undefined || parameter.initializer !== undefined);
  const place: Place = {
    node,
    subject: `'${route.name}' cannot take`,
    path: name,
    owner: `${op}(${index})`,
    depth: 0,
  };
  const type = input.lowering.checker.getTypeOfSymbolAtLocation(symbol, node);
  const rest = parameter?.dotDotDotToken !== undefined;
  if (rest && !input.lowering.checker.isArrayType(type)) {
    input.reporter.error(
      "KT2009",
      node,
      `The rest parameter '...${name}' must be an array type such as string[].`,
    );
  }
  const text = ts.displayPartsToString(symbol.getDocumentationComment(input.lowering.checker));
  const stream = streamOf(type, input.lowering, place);
  if (stream !== null && optional) {
    input.reporter.error(
      "KT2012",
      node,
      `The streamed parameter '${name}' cannot be optional.`,
      "Take it always: a caller that has nothing gives an empty stream.",
    );
  }
  return {
    name,
    shape: stream ??
      (isDefaulted(parameter, type)
        ? input.lowering.refuse("defaulted", place)
        : input.lowering.lowerMember(type, optional, place)),
    optional,
    rest,
    ...(text === "" ? {} : { doc: text }),
  };
}

/** True for `page = 1` of a function in a call, which TypeScript takes for `any`. */
function isDefaulted(parameter: ts.ParameterDeclaration | null, type: ts.Type): boolean {
  return parameter?.initializer !== undefined && parameter.type === undefined &&
    (type.flags & ts.TypeFlags.Any) !== 0 && !isUnresolved(type);
}

const STREAMS: ReadonlySet<string> = new Set([
  "AsyncGenerator",
  "AsyncIterable",
  "AsyncIterableIterator",
  "AsyncIteratorObject",
  "ReadableStream",
]);

function resultOf(type: ts.Type, lowering: Lowering, place: Place): Shape {
  const awaited = lowering.awaited(type);
  if (awaited.flags & ts.TypeFlags.Never) return { kind: "undefined" };
  const stream = streamOf(awaited, lowering, { ...place, path: "<element>" });
  if (stream === null) return lowering.lower(awaited, place);
  return { kind: "stream", element: stream.element };
}

type StreamShape = Extract<Shape, { kind: "stream" }>;

/** The shape of a type that is a stream, null for any other. */
function streamOf(type: ts.Type, lowering: Lowering, place: Place): StreamShape | null {
  const given = lowering.checker.getNonNullableType(type);
  const symbol = given.getSymbol();
  if (symbol === undefined || !STREAMS.has(symbol.name) || !lowering.isLibrary(symbol)) return null;
  const element = lowering.checker.getTypeArguments(given as ts.TypeReference)[0];
  const at = { ...place, owner: `${place.owner}*` };
  return {
    kind: "stream",
    element: element === undefined ? { kind: "unknown" } : lowering.lower(element, at),
    ...(symbol.name === "ReadableStream" ? { readable: true } : {}),
  };
}

function tableDef(table: TableSource, input: ManifestInput): TableDef {
  return {
    name: table.name,
    className: table.className,
    primkey: table.primkey,
    perm: table.perm,
    rows: table.rows,
    fields: table.fields.map((field) => fieldDef(field, table, input)),
    indexes: table.indexes.map(({ fields, unique, oracle }) => ({ fields, unique, oracle })),
    doc: table.doc,
    source: {
      ...table.span,
      fields: table.fields.map(({ node }) => lineOf(node) - table.span.line),
    },
  };
}

function lineOf({ name }: ts.PropertyDeclaration): number {
  const source = name.getSourceFile();
  return source.getLineAndCharacterOfPosition(name.getStart(source)).line + 1;
}

function fieldDef(field: FieldSource, table: TableSource, input: ManifestInput): FieldDef {
  const place: Place = {
    node: field.node,
    subject: `Table '${table.name}' cannot store`,
    path: field.name,
    owner: `table ${table.name}.${field.name}`,
    depth: 0,
  };
  const type = input.lowering.checker.getTypeOfSymbol(field.symbol);
  const shape = input.lowering.lowerMember(type, field.optional, place);
  return {
    name: field.name,
    shape,
    optional: field.optional,
    ...(field.default === undefined ? {} : { default: field.default }),
    perm: field.perm,
    doc: field.doc,
  };
}
