/**
 * The server side: one small eager module per host, one lazily imported module per source module.
 *
 * The texts are virtual modules of the bundler: `kontract:workers`, `kontract:deno`, `kontract:app`,
 * `kontract:module/<n>`, `kontract:codec/<n>`.
 *
 * @module
 */
import type { Manifest, RouteDef } from "../../_internal/manifest.ts";
import type { RouteEntry } from "../../runtime/app.ts";
import { appFile, packageFile } from "../bundle.ts";
import type { MiddlewareSource } from "../middleware.ts";
import { appPath } from "../project.ts";
import { codecEntries, reachableTypes, resultShape } from "./client.ts";
import { emitCodecModule } from "./codec.ts";
import { argumentsShape } from "./fbs.ts";

/** What the server modules are made from. */
export interface ServerInput {
  readonly manifest: Manifest;
  readonly middleware: readonly MiddlewareSource[];
  /** The app's folder. */
  readonly root: string;
}

/** Names of the Durable Object classes that the Workers entry exports. */
export const DURABLE_OBJECTS: readonly string[] = ["SessionDO", "KvcDO", "ChangeHubDO", "DbPoolDO"];

/** All virtual modules, by specifier. */
export function emitServer(input: ServerInput): ReadonlyMap<string, string> {
  const modules = routeModules(input.manifest.routes);
  const out = new Map<string, string>();
  out.set("kontract:workers", workersEntry());
  out.set("kontract:deno", denoEntry());
  out.set("kontract:app", appModule(input, modules));
  for (const [i, module] of modules.entries()) {
    const routes = input.manifest.routes.filter((route) => route.module === module);
    out.set(`kontract:module/${i}`, routeModule(i, module, routes, input));
    out.set(
      `kontract:codec/${i}`,
      emitCodecModule({
        types: input.manifest.types,
        entries: codecEntries(routes),
        runtime: packageFile("protocol/codec/mod.ts"),
      }),
    );
  }
  return out;
}

/** Source modules with routes, in the order of their numbers. */
export function routeModules(routes: readonly RouteDef[]): readonly string[] {
  return [...new Set(routes.map((route) => route.module))].sort();
}

function workersEntry(): string {
  const runtime = text(packageFile("runtime/workers/mod.ts"));
  return `import { createWorker } from ${runtime};
import app from "kontract:app";
export { ${DURABLE_OBJECTS.join(", ")} } from ${runtime};
export default createWorker(app);
`;
}

function denoEntry(): string {
  return `import { createServer } from ${text(packageFile("runtime/deno/mod.ts"))};
import app from "kontract:app";
export default createServer(app);
`;
}

function appModule({ manifest }: ServerInput, modules: readonly string[]): string {
  const routes = manifest.routes.map((route): RouteEntry => ({
    name: route.name,
    op: route.op,
    module: modules.indexOf(route.module),
    meta: route.meta,
    schemaHash: route.schemaHash,
    stream: route.result.kind === "stream",
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
};
`;
}

function routeModule(
  index: number,
  module: string,
  routes: readonly RouteDef[],
  input: ServerInput,
): string {
  const names = [...new Set(routes.map((r) => r.export.className ?? r.export.name))].sort();
  const codecs = routes.flatMap(({ op }) => [`decode_a${op}`, `encode_r${op}`]).sort();
  const used = input.middleware.filter((one) =>
    routes.some((route) => route.middleware.includes(one.name))
  );
  const shapes = routes.flatMap((route) => [argumentsShape(route), resultShape(route)]);
  const lines = [
    `import { ${names.map((n) => `${n} as ${local(n)}`).join(", ")} } from ${
      text(appFile(module))
    };`,
    `import { ${codecs.join(", ")} } from "kontract:codec/${index}";`,
    `import { jsonDecode, jsonEncode } from ${text(packageFile("_internal/json_codec.ts"))};`,
    ...used.map((one) =>
      `import { ${one.member} as ${middlewareName(one, input)} } from ${
        text(appFile(appPath(input, one.file)))
      };`
    ),
    `const types = ${json(reachableTypes(shapes, input.manifest.types))};`,
  ];
  for (const route of routes) {
    lines.push(
      `const a${route.op} = ${json(argumentsShape(route))};`,
      `const r${route.op} = ${json(resultShape(route))};`,
    );
  }
  lines.push("export const routes = {");
  for (const route of routes) lines.push(routeCode(route, input));
  lines.push("};", "");
  return lines.join("\n");
}

function routeCode(route: RouteDef, input: ServerInput): string {
  const { op } = route;
  return `  ${route.name}: {
    decodeArguments: decode_a${op},
    encodeResult: encode_r${op},
    argumentsFromJson: (value) => jsonDecode(a${op}, types, value),
    resultToJson: (value) => jsonEncode(r${op}, types, value),
    invoke: (args) => ${invocation(route, input)},
  },`;
}

/** The chain as nested calls, outermost first. */
function invocation(route: RouteDef, input: ServerInput): string {
  const { className, name } = route.export;
  const target = className === null ? local(name) : `${local(className)}.${name}`;
  const args = route.parameters.map((parameter, i) =>
    parameter.rest ? `...args.slice(${i})` : `args[${i}]`
  );
  const call = `${target}(${args.join(", ")})`;
  const chain = input.middleware.filter((one) => route.middleware.includes(one.name));
  if (chain.length === 0) return call;
  return chain.reduceRight(
    (rest, one) => `${middlewareName(one, input)}.handler(async () => ${rest})`,
    call,
  );
}

function local(name: string): string {
  return `app_${name}`;
}

function middlewareName(one: MiddlewareSource, input: ServerInput): string {
  return `around_${input.middleware.indexOf(one)}`;
}

function text(value: string): string {
  return JSON.stringify(value);
}

/** Data in generated code: parsed, not evaluated, so that no key means anything. */
function json(value: unknown): string {
  return `JSON.parse(${JSON.stringify(JSON.stringify(value))})`;
}
