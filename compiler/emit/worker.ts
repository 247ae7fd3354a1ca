/**
 * The server side: one small eager module per host, one lazily imported module per source module.
 *
 * The texts are virtual modules of the bundler: `kontract:workers`, `kontract:deno`, `kontract:app`,
 * `kontract:module/<n>`, `kontract:codec/<n>`.
 *
 * @module
 */
import type { Manifest, RouteDef } from "../../_internal/manifest.ts";
import type { ShapeTable } from "../../_internal/shape.ts";
import type { RouteEntry } from "../../runtime/app.ts";
import { appFile, packageFile } from "../bundle.ts";
import { httpBinding } from "../http_binding.ts";
import { chainOf, type MiddlewareSource } from "../middleware.ts";
import { appPath } from "../project.ts";
import { codecEntries, resultShape } from "./client.ts";
import { emitCodecModule } from "./codec.ts";
import { argumentsShape, streamedParameters } from "./fbs.ts";
import { MappedText } from "./mapped_text.ts";
import { holdsFile, reachableTypes } from "./reachable.ts";
import { emitChain, splicedLinks, type SpliceLink } from "./splice.ts";

/** What the server modules are made from. */
export interface ServerInput {
  readonly manifest: Manifest;
  readonly middleware: readonly MiddlewareSource[];
  /** Absolute file name of the module that defines the server, or null. */
  readonly server: string | null;
  /** The app's folder. */
  readonly root: string;
  /** Way from a chunk to the app's folder, for source maps: `../../..`. */
  readonly rootFromChunk: string;
}

/** Names of the Durable Object classes that the Workers entry exports. */
export const DURABLE_OBJECTS: readonly string[] = ["SessionDO", "KvcDO", "ChangeHubDO", "DbPoolDO"];

/** The package's own files that generated code imports. */
const FILES = {
  codec: "protocol/codec/mod.ts",
  json: "_internal/json_codec.ts",
  workers: "runtime/workers/mod.ts",
  deno: "runtime/deno/mod.ts",
} as const;

/** Those that every host needs. */
export const PACKAGE_FILES: readonly string[] = [FILES.codec, FILES.json];

/** All virtual modules, by specifier. */
export function emitServer(input: ServerInput): ReadonlyMap<string, string> {
  const modules = routeModules(input.manifest.routes);
  const out = new Map<string, string>();
  out.set("kontract:workers", workersEntry(input));
  out.set("kontract:deno", denoEntry(input));
  out.set("kontract:app", appModule(input, modules));
  for (const [i, module] of modules.entries()) {
    const routes = input.manifest.routes.filter((route) => route.module === module);
    out.set(`kontract:module/${i}`, routeModule(i, module, routes, input));
    out.set(
      `kontract:codec/${i}`,
      emitCodecModule({
        types: input.manifest.types,
        entries: codecEntries(routes),
        runtime: packageFile(FILES.codec),
      }),
    );
  }
  return out;
}

/** Source modules with routes, in the order of their numbers. */
export function routeModules(routes: readonly RouteDef[]): readonly string[] {
  return [...new Set(routes.map((route) => route.module))].sort();
}

function workersEntry(input: ServerInput): string {
  const runtime = text(packageFile(FILES.workers));
  const server = serverOf(input);
  return `import { createWorker } from ${runtime};
import app from "kontract:app";
${server.statement}export { ${DURABLE_OBJECTS.join(", ")} } from ${runtime};
export default createWorker(app, { ${server.option}});
`;
}

function denoEntry(input: ServerInput): string {
  const server = serverOf(input);
  return `import { createServer } from ${text(packageFile(FILES.deno))};
import app from "kontract:app";
${server.statement}export default createServer(app, {
  ${server.option}public: new URL("../public/", import.meta.url),
});
`;
}

/** How an entry takes the app's own options: its import, and what it passes on. */
function serverOf(
  input: ServerInput,
): { readonly statement: string; readonly option: string } {
  if (input.server === null) return { statement: "", option: "" };
  const from = text(appFile(appPath(input, input.server)));
  return { statement: `import server from ${from};\n`, option: "server, " };
}

function appModule({ manifest }: ServerInput, modules: readonly string[]): string {
  const routes = manifest.routes.map((route): RouteEntry => ({
    name: route.name,
    op: route.op,
    module: modules.indexOf(route.module),
    meta: route.meta,
    schemaHash: route.schemaHash,
    stream: route.result.kind === "stream",
    ...inputsOf(route),
    ...httpOf(route, manifest.types),
  }));
  const types = reachableTypes(
    manifest.tables.flatMap((table) => table.fields.map((field) => field.shape)),
    manifest.types,
  );
  const imports = modules.map((_, i) => `  () => import("kontract:module/${i}"),\n`).join("");
  return `export default {
  app: ${text(manifest.app)},
  build: ${text(manifest.build)},
  routes: ${json(routes)},
  modules: [
${imports}  ],
  tables: ${json(manifest.tables)},
  types: ${json(types)},
  execs: ${json(manifest.execs)},
};
`;
}

function inputsOf(route: RouteDef): Pick<RouteEntry, "inputs"> {
  const inputs = streamedParameters(route).length;
  return inputs === 0 ? {} : { inputs };
}

function httpOf(route: RouteDef, types: ShapeTable): Pick<RouteEntry, "http"> {
  const http = httpBinding(route, types);
  return http === null ? {} : { http };
}

function routeModule(
  index: number,
  module: string,
  routes: readonly RouteDef[],
  input: ServerInput,
): string {
  const names = [...new Set(routes.map((r) => r.export.className ?? r.export.name))].sort();
  const codecs = routes.flatMap((route) => [
    `decode_a${route.op}`,
    `encode_r${route.op}`,
    ...streamedParameters(route).map((_, n) => `decode_i${route.op}_${n}`),
  ]).sort();
  const shapes = routes.flatMap((route) => [argumentsShape(route), resultShape(route)]);
  const out = new MappedText();
  const lines = [
    `import { ${names.map((n) => `${n} as ${local(n)}`).join(", ")} } from ${
      text(appFile(module))
    };`,
    `import { ${codecs.join(", ")} } from "kontract:codec/${index}";`,
    `import { jsonDecode, jsonEncode } from ${text(packageFile(FILES.json))};`,
    ...(routes.some((route) => holdsFile(resultShape(route), input.manifest.types))
      ? [`import { readFiles as $kreadFiles } from ${text(packageFile(FILES.codec))};`]
      : []),
    ...middlewareImports(routes, input),
    `const types = ${json(reachableTypes(shapes, input.manifest.types))};`,
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

function middlewareImports(routes: readonly RouteDef[], input: ServerInput): readonly string[] {
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
    const from = text(appFile(appPath(input, file)));
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

function routeCode(route: RouteDef, input: ServerInput, out: MappedText): void {
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

function middlewareOf(route: RouteDef, input: ServerInput): readonly MiddlewareSource[] {
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

function linkOf(one: MiddlewareSource, input: ServerInput): SpliceLink {
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

function objectName(one: MiddlewareSource, input: ServerInput): string {
  return `$ka${input.middleware.indexOf(one)}`;
}

function freeName(one: MiddlewareSource, name: string, input: ServerInput): string {
  const first = input.middleware.findIndex((other) => other.file === one.file);
  return `$km${first}_${name}`;
}

function text(value: string): string {
  return JSON.stringify(value);
}

/** Data in generated code: parsed, not evaluated, so that no key means anything. */
function json(value: unknown): string {
  return `JSON.parse(${JSON.stringify(JSON.stringify(value))})`;
}
