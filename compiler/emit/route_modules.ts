/**
 * The modules of an app's routes: for each source module with routes what calls them, `kontract:module/<n>`,
 * and their codecs, `kontract:codec/<n>`; for each group of types that several of them use what encodes,
 * decodes and describes these, `kontract:types/<n>`.
 *
 * @module
 */
import type { Manifest, RouteDef } from "../../_internal/manifest.ts";
import type { Shape, ShapeTable } from "../../_internal/shape.ts";
import { appFile, packageFile } from "../bundle.ts";
import { chainOf, type MiddlewareSource } from "../middleware.ts";
import { appPath } from "../project.ts";
import { codecEntries, resultShape } from "./client.ts";
import { emitCodecModule } from "./codec.ts";
import { argumentsShape, streamedParameters } from "./fbs.ts";
import { MappedText } from "./mapped_text.ts";
import { holdsFile, reachableNames } from "./reachable.ts";
import { type SharedTypes, sharedTypes } from "./shared_types.ts";
import { emitChain, splicedLinks, type SpliceLink } from "./splice.ts";

/** What the modules are made from. */
export interface RouteModulesInput {
  readonly manifest: Manifest;
  readonly middleware: readonly MiddlewareSource[];
  /** The app's folder. */
  readonly root: string;
  /** Way from a chunk to the app's folder, for source maps: `../../..`. */
  readonly rootFromChunk: string;
}

/** The package's own files that these modules import. */
export const PACKAGE_FILES: readonly string[] = [
  "protocol/codec/mod.ts",
  "_internal/json_codec.ts",
];

const [CODEC, JSON_CODEC] = PACKAGE_FILES.map(packageFile) as [string, string];

/** Source modules with routes, in the order of their numbers. */
export function routeModules(routes: readonly RouteDef[]): readonly string[] {
  return [...new Set(routes.map((route) => route.module))].sort();
}

/** A module with routes, and what it is told of their types. */
interface Part {
  readonly index: number;
  readonly module: string;
  readonly routes: readonly RouteDef[];
  readonly shared: SharedTypes;
}

/** Makes an app's modules again and again; those that would say the same are kept. */
export class RouteModules {
  /** What all modules depend on. */
  #base = "";
  #kept: ReadonlyMap<string, readonly string[]> = new Map();

  /** All modules, by specifier. */
  make(input: RouteModulesInput): ReadonlyMap<string, string> {
    const { manifest, middleware, root, rootFromChunk } = input;
    const { types } = manifest;
    const base = JSON.stringify([root, rootFromChunk, middleware]);
    const before = base === this.#base ? this.#kept : new Map<string, readonly string[]>();
    const kept = new Map<string, readonly string[]>();
    const texts = (key: string, make: () => readonly string[]): readonly string[] => {
      const known = before.get(key) ?? make();
      kept.set(key, known);
      return known;
    };
    const byModule = Map.groupBy(manifest.routes, (route) => route.module);
    const modules = routeModules(manifest.routes).map((name) => byModule.get(name)!);
    const shared = sharedTypes(
      modules.map((routes) =>
        routes.flatMap((route) => [argumentsShape(route), resultShape(route)])
      ),
      types,
    );
    const out = new Map<string, string>();
    for (const i of shared.groups.keys()) {
      const [text] = texts(groupKey(i, shared, types), () => [groupModule(i, shared, types)]);
      out.set(`kontract:types/${i}`, text!);
    }
    for (const [index, routes] of modules.entries()) {
      const part = { index, module: routes[0]!.module, routes, shared };
      const [module, codec] = texts(partKey(part, types), () => [
        routeModule(part, input),
        codecModule(part, types),
      ]);
      out.set(`kontract:module/${index}`, module!);
      out.set(`kontract:codec/${index}`, codec!);
    }
    [this.#base, this.#kept] = [base, kept];
    return out;
  }
}

/** Everything that the texts of a part are made from, beside what all of them are. */
function partKey({ index, module, routes, shared }: Part, types: ShapeTable): string {
  const plain = routes.map((route) => [
    { ...route, doc: "", source: null, schemaHash: "" },
    holdsFile(resultShape(route), types),
  ]);
  const own = [index, module, plain, shared.groupsOf[index], shared.ownOf[index]];
  return typesKey(own, shared.usedBy[index]!, null, shared, types);
}

function groupKey(index: number, shared: SharedTypes, types: ShapeTable): string {
  const { names } = shared.groups[index]!;
  const refs = names.map((name): Shape => ({ kind: "ref", name }));
  return typesKey([index, names], reachableNames(refs, types), index, shared, types);
}

/** `own` with what a module says of types: all of its own ones, and of others where they stand. */
function typesKey(
  own: unknown,
  used: ReadonlySet<string>,
  group: number | null,
  { codeOf }: SharedTypes,
  types: ShapeTable,
): string {
  const elsewhere = (name: string): boolean => (codeOf.get(name) ?? group) !== group;
  const text = JSON.stringify([
    own,
    ...[...used].map((name) =>
      elsewhere(name) ? [name, codeOf.get(name), types[name]!.kind] : [name, types[name]]
    ),
  ]);
  // How the variants of a union are told apart depends on what is in them.
  if (!text.includes('"kind":"union"')) return text;
  return text + JSON.stringify([...used].map((name) => types[name]));
}

function codecModule({ index, routes, shared }: Part, types: ShapeTable): string {
  const entries = codecEntries(routes, "server");
  const outside = codeOutside(shared.usedBy[index]!, null, shared);
  return emitCodecModule({ types, entries, outside, runtime: CODEC });
}

function groupModule(index: number, shared: SharedTypes, types: ShapeTable): string {
  const { names, planned } = shared.groups[index]!;
  const code = emitCodecModule({
    types,
    entries: [],
    shared: planned,
    outside: codeOutside(Object.keys(types), index, shared),
    runtime: CODEC,
  });
  return `${code}\nexport const types = ${json(tableOf(names, types))};\n`;
}

/** Which module has the code of which type, of those that others have. */
function codeOutside(
  names: Iterable<string>,
  group: number | null,
  { codeOf }: SharedTypes,
): ReadonlyMap<string, string> {
  const outside = new Map<string, string>();
  for (const name of names) {
    const at = codeOf.get(name) ?? group;
    if (at !== group) outside.set(name, `kontract:types/${at}`);
  }
  return outside;
}

function tableOf(names: readonly string[], types: ShapeTable): ShapeTable {
  return Object.fromEntries(names.map((name) => [name, types[name]!]));
}

function routeModule(
  { index, module, routes, shared }: Part,
  input: RouteModulesInput,
): string {
  const { types } = input.manifest;
  const names = [...new Set(routes.map((r) => r.export.className ?? r.export.name))].sort();
  const codecs = routes.flatMap((route) => [
    `decode_a${route.op}`,
    `encode_r${route.op}`,
    ...streamedParameters(route).map((_, n) => `decode_i${route.op}_${n}`),
  ]).sort();
  const groups = shared.groupsOf[index]!;
  const own = tableOf(shared.ownOf[index]!, types);
  const out = new MappedText();
  const lines = [
    `import { ${names.map((n) => `${n} as ${local(n)}`).join(", ")} } from ${
      JSON.stringify(appFile(module))
    };`,
    `import { ${codecs.join(", ")} } from "kontract:codec/${index}";`,
    `import { jsonDecode, jsonEncode } from ${JSON.stringify(JSON_CODEC)};`,
    ...groups.map((group) => `import { types as $kg${group} } from "kontract:types/${group}";`),
    ...(routes.some((route) => holdsFile(resultShape(route), types))
      ? [`import { readFiles as $kreadFiles } from ${JSON.stringify(CODEC)};`]
      : []),
    ...middlewareImports(routes, input),
    groups.length === 0
      ? `const types = ${json(own)};`
      : `const types = { ${groups.map((group) => `...$kg${group}, `).join("")}...${json(own)} };`,
  ];
  for (const route of routes) {
    lines.push(
      `const a${route.op} = ${json(argumentsShape(route))};`,
      `const r${route.op} = ${json(resultShape(route))};`,
    );
  }
  out.add(lines.join("\n")).add("\nexport const routes = {\n");
  for (const route of routes) routeCode(route, input, out);
  return out.add("};\n").toString();
}

function middlewareImports(
  routes: readonly RouteDef[],
  input: RouteModulesInput,
): readonly string[] {
  const needed = new Map<string, Set<string>>();
  for (const route of routes) {
    const chain = middlewareOf(route, input);
    const spliced = splicedLinks(chain.map((one) => linkOf(one, input)));
    for (const [i, one] of chain.entries()) {
      const names = needed.get(one.file) ?? new Set();
      if (!spliced[i]) names.add(`${one.member} as ${objectName(one, input)}`);
      else {
        for (const name of one.inline!.free) {
          names.add(`${FREE_EXPORT}${name} as ${freeName(one, name, input)}`);
        }
      }
      needed.set(one.file, names);
    }
  }
  return [...needed].map(([file, names]) => {
    const from = JSON.stringify(appFile(appPath(input, file)));
    return names.size === 0
      ? `import ${from};`
      : `import { ${[...names].sort().join(", ")} } from ${from};`;
  });
}

/** What a module exports besides its own exports, so that handlers may stand elsewhere. */
const FREE_EXPORT = "$k_";

/** Statements behind the text of modules whose middleware is spliced, by absolute file name. */
export function spliceExports(
  middleware: readonly MiddlewareSource[],
): ReadonlyMap<string, string> {
  const names = new Map<string, Set<string>>();
  for (const { file, inline } of middleware) {
    const own = names.get(file) ?? new Set();
    for (const name of inline?.free ?? []) own.add(`${name} as ${FREE_EXPORT}${name}`);
    if (own.size > 0) names.set(file, own);
  }
  return new Map(
    [...names].map(([file, own]) => [file, `export { ${[...own].sort().join(", ")} };\n`]),
  );
}

function routeCode(route: RouteDef, input: RouteModulesInput, out: MappedText): void {
  const { op } = route;
  const inputs = streamedParameters(route).map(({ at, shape }, n) =>
    `{ at: ${at}, readable: ${shape.readable === true}, decode: decode_i${op}_${n} }`
  );
  const names = route.parameters.map(({ name }) => name);
  out.add(`  ${route.name}: {
    decodeArguments: decode_a${op},
    encodeResult: encode_r${op},
${holdsFile(resultShape(route), input.manifest.types) ? "    readFiles: $kreadFiles,\n" : ""}\
${inputs.length === 0 ? "" : `    inputs: [${inputs.join(", ")}],\n`}\
    argumentsFromJson: (value, lenient) => jsonDecode(a${op}, types, value, lenient),
${names.length === 0 ? "" : `    parameters: ${json(names)},\n`}\
    resultToJson: (value) => jsonEncode(r${op}, types, value),
    invoke: `);
  const chain = middlewareOf(route, input).map((one) => linkOf(one, input));
  if (chain.length === 0) out.add(`($kargs) => ${targetCall(route)}`);
  else emitChain(out, chain, targetCall(route));
  out.add(",\n  },\n");
}

function middlewareOf(route: RouteDef, input: RouteModulesInput): readonly MiddlewareSource[] {
  return chainOf(input.middleware, { name: route.name, egroup: route.meta.egroup });
}

function targetCall(route: RouteDef): string {
  const { className, name } = route.export;
  const target = className === null ? local(name) : `${local(className)}.${name}`;
  const args = route.parameters.map((parameter, i) =>
    parameter.rest ? `...$kargs.slice(${i})` : `$kargs[${i}]`
  );
  return `${target}(${args.join(", ")})`;
}

function linkOf(one: MiddlewareSource, input: RouteModulesInput): SpliceLink {
  return {
    object: objectName(one, input),
    inline: one.inline,
    file: `${input.rootFromChunk}/${appPath(input, one.file)}`,
    freeName: (name) => freeName(one, name, input),
  };
}

// Names in generated code that no spliced handler can hide: handlers with `$k…` names are not spliced.

function local(name: string): string {
  return `$kt_${name}`;
}

function objectName(one: MiddlewareSource, input: RouteModulesInput): string {
  return `$ka${input.middleware.indexOf(one)}`;
}

function freeName(one: MiddlewareSource, name: string, input: RouteModulesInput): string {
  const first = input.middleware.findIndex((other) => other.file === one.file);
  return `$km${first}_${name}`;
}

/** Data in generated code: parsed, not evaluated, so that no key means anything. */
export function json(value: unknown): string {
  return `JSON.parse(${JSON.stringify(JSON.stringify(value))})`;
}
